"""Small distilled sets with a course, and a gallery to walk through them without a terminal."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from textual.pilot import Pilot

from datm_cli.gallery.gallery_app import GalleryApp, set_loader
from datm_cli.screen.screenshot import capture
from datm_engine.data.preprocessing import Normalization
from datm_engine.distillation.samples import save_sample
from datm_engine.synthetic import SyntheticSet
from tests.cli import full_screen
from tests.cli.full_screen import until

assert_golden = partial(full_screen.assert_golden, Path(__file__).parent)
PETS = ("cat", "dog", "newt")

Act = Callable[[GalleryApp, Pilot[int]], Awaitable[None]]


def shape(number: int, index: int) -> torch.Tensor:
    """[3, 24, 24] in [0, 1]: a ring, a bar or a diagonal, elsewhere in each image of a class."""
    y, x = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    place = 8 + 3 * (index % 4)
    match number % 3:
        case 0:
            inside = ((y - 12) ** 2 + (x - place) ** 2 - 40).abs() < 20
        case 1:
            inside = (2 * x - y - place).abs() < 5
        case 2:
            inside = ((x + 2 * y - 2 * place).abs() < 4) | (y == place)
    picture = torch.where(inside, 0.9, 0.1).expand(3, 24, 24).clone()
    picture[number % 3] *= 0.6
    return picture


def distilled(ipc: int, names: Sequence[str], dataset: str, iteration: int) -> SyntheticSet:
    """The further an image is into its class, the vaguer its label; the third of a class is led
    by the class after."""
    count = len(names)
    images = torch.stack([shape(k, i) for k in range(count) for i in range(ipc)])
    labels = torch.zeros(count * ipc, count)
    for k in range(count):
        for i in range(ipc):
            labels[k * ipc + i, k] = 4.0 - 0.5 * i - 0.25 * k
            labels[k * ipc + i, (k + 1) % count] = 1.0 if i != 2 else 6.0
    identity = Normalization(torch.zeros(3), torch.ones(3))
    return SyntheticSet(images, labels, 0.05, identity, dataset, tuple(names), iteration)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """A run's folder in tmp_path, with its start and samples of the first images."""

    def make(
        name: str = "pets",
        *,
        ipc: int = 4,
        names: Sequence[str] = PETS,
        dataset: str = "pets",
        iteration: int = 400,
        samples: int = 4,
        start: bool = True,
    ) -> Path:
        folder = tmp_path / name
        (folder / "samples").mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"config": {}, "created": 0}))
        (folder / "events.jsonl").write_text("")
        synthetic = distilled(ipc, names, dataset, iteration)
        synthetic.save(folder / "distilled.safetensors")
        faint = (synthetic.images - 0.5) * 0.5 + 0.5
        if start:
            pictures = (faint * 255).round().to(torch.uint8)
            save_file({"pictures": pictures}, folder / "samples" / "initial.safetensors")
        for number in range(1, samples + 1):
            at = iteration * number // samples
            mixed = faint + (synthetic.images - faint) * number / samples
            path = folder / "samples" / f"{at:06d}.safetensors"
            save_sample(path, mixed, synthetic.preprocessing, len(names), at)
        return folder

    return make


@pytest.fixture(autouse=True)
def plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)  # where views are saved


def walk(
    targets: Sequence[Path | str],
    act: Act,
    *,
    size: tuple[int, int] = (120, 40),
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> GalleryApp:
    """A gallery of these runs or files that `act` has played with, once it was loaded."""
    words = [str(target) for target in targets]
    load = set_loader(words, class_names, Path("runs"), last=False)
    gallery = GalleryApp([Path(word).stem for word in words], load, **options)
    gallery.animation_level = "none"

    async def play() -> None:
        async with gallery.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: is_settled(gallery))
            await act(gallery, pilot)

    asyncio.run(play())
    return gallery


def is_settled(gallery: GalleryApp) -> bool:
    return gallery.is_ready and all(worker.is_finished for worker in gallery.workers)


async def press(pilot: Pilot[Any], *keys: str) -> str:
    """What the screen says after these keys."""
    await pilot.press(*keys)
    await pilot.pause()
    return capture(pilot.app).text()


def grey(value: int, side: int = 8) -> np.ndarray[Any, Any]:
    return np.full((side, side, 3), value, dtype=np.uint8)


def captions(text: str) -> list[str]:
    """The number of every image that is shown, with what it is sorted by."""
    return re.findall(r"#\d+(?:  \d\.\d\d)?", "\n".join(text.splitlines()[2:]))
