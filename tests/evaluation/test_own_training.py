"""The README's example of own training runs as pasted, and gets what `datm evaluate` gets."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine import SyntheticSet
from datm_engine.compute.runtime import Runtime, derive_seed
from datm_engine.data.datasets import load
from datm_engine.data.prepared import PreparedData, prepare
from datm_engine.evaluation.evaluate import Evaluation
from datm_engine.networks.zoo import build
from datm_engine.runs.events import ignore
from datm_engine.settings.config import Config
from tests.conftest import ROOT, dataset_settings

README = ROOT / "README.md"
EPOCHS, REPEATS = 60, 6


def example() -> tuple[str, str]:
    """The two blocks of code under the heading: the network with the test images, and the rest."""
    readme = README.read_text(encoding="utf-8")
    section = readme.split("## In your own training")[1].split("\n## ")[0]
    definitions, rest = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return definitions, rest


def softly_labelled(data: PreparedData, ipc: int = 10) -> SyntheticSet:
    """Real digits, class after class, with labels that are mostly their own class."""
    own = [(data.train.labels == c).nonzero().flatten()[:ipc] for c in range(10)]
    images = data.train.images[torch.cat(own)]
    labels = 4 * torch.eye(10).repeat_interleave(ipc, dim=0)
    names = data.class_names
    return SyntheticSet(images, labels, 0.05, data.preprocessing, "digits", names, iteration=1)


@pytest.fixture
def raw_test(data_dir: Path, finished: Callable[..., Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Test images as uint8, which have seen no preprocessing."""
    data = load(dataset_settings("digits"), data_dir, emit=ignore)
    return data.test.images, data.test.labels


def run_example(places: dict[str, Any], network: torch.nn.Module, seed: int) -> float:
    torch.manual_seed(seed)
    names = {"network": network, "epochs": EPOCHS, **places}
    _, training = example()
    exec(compile(training, str(README), "exec"), names)
    return 100 * float(names["accuracy"])


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[SyntheticSet], None]:
    """Saves a set at the example's path, below the folder in which the test runs."""

    def save(distilled: SyntheticSet) -> None:
        (tmp_path / "runs/digits-ipc1").mkdir(parents=True)
        distilled.save(tmp_path / "runs/digits-ipc1/distilled.safetensors")
        monkeypatch.chdir(tmp_path)

    return save


def test_the_example_runs_as_pasted(
    digits: PreparedData, saved: Callable[[SyntheticSet], None]
) -> None:
    saved(softly_labelled(digits, ipc=1))
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(compile("\n".join(example()), str(README), "exec"), names)
    assert names["accuracy"] > 0.4  # one real image of each class teaches that much
    assert len(names["test_images"]) == 1797


def test_the_training_is_ten_lines() -> None:
    _, training = example()
    assert [len(part.splitlines()) for part in training.strip().split("\n\n")[1:]] == [10, 2]


def test_own_training_gets_what_evaluate_gets(
    data_dir: Path,
    raw_test: tuple[torch.Tensor, torch.Tensor],
    make_config: Callable[..., Config],
    cpu: Runtime,
    finished: Callable[..., Any],
    saved: Callable[[SyntheticSet], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"epochs": EPOCHS, "repeats": REPEATS, "against": [], "networks": ["convnet"]}
    whitened = {"preprocessing": "zca"}
    config = make_config(evaluate=settings, network={"width": 16}, dataset=whitened)
    data = prepare(config.dataset, data_dir, cpu, emit=ignore)
    distilled = softly_labelled(data)
    saved(distilled)
    rows: list[Any] = []
    Evaluation(config, data, cpu, emit=lambda event: None).compare({"distilled": distilled}, rows)
    (row,) = rows

    images, labels = raw_test
    places = {"test_images": images, "test_labels": labels}
    shape = {"channels": 1, "size": (8, 8), "classes": 10, "width": 16, "depth": 2}

    def fresh(repeat: int) -> torch.nn.Module:
        """From the weights that `datm evaluate` begins with, so that few repeats compare well."""
        seed = derive_seed(config.distill.seed, "evaluation", "convnet", repeat)
        return build("convnet", seed=seed, **shape)

    own = [run_example(places, fresh(repeat), repeat) for repeat in range(REPEATS)]
    assert abs(statistics.fmean(own) - row.accuracy_mean) <= row.accuracy_std
    assert row.accuracy_mean > 60  # so that agreeing means something

    monkeypatch.setattr(SyntheticSet, "preprocess", lambda _, pixels: pixels / 255)
    assert run_example(places, fresh(0), 0) < row.accuracy_mean - 10
