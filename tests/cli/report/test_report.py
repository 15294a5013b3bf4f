"""`datm report`: what stands on the page, and that it stands alone."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datm_cli.report.set_images import MOST_BYTES, picture_uri, shown
from datm_engine.data.preprocessing import Normalization
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.runs import events
from datm_engine.runs.directory import Run
from datm_engine.synthetic import SyntheticSet
from datm_engine.tensors import save_tensors
from tests.cli.conftest import Answer, assert_two_lines, recorded
from tests.cli.dashboard.conftest import BEGAN, CLASSES, matched, story
from tests.cli.report.conftest import Reader, assert_stands_alone

Datm = Callable[..., Answer]
EVIL = '<script>alert("x")</script>'


def made(
    ipc: int = 2, names: tuple[str, ...] = CLASSES, side: int = 8, iteration: int = 300
) -> SyntheticSet:
    """Noise, and labels that favour their own class."""
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(ipc * len(names), 3, side, side, generator=draws)
    labels = 3 * torch.eye(len(names)).repeat_interleave(ipc, dim=0)
    plain = Normalization(torch.zeros(3), torch.ones(3))
    return SyntheticSet(images, labels, 0.0125, plain, "pets", names, iteration)


def distilled(
    runs_dir: Path, history: list[events.Event], synthetic: SyntheticSet, **over: Any
) -> Run:
    over = {"dataset": {"name": "pets"}, "distill": {"ipc": synthetic.ipc, **over}}
    run = recorded(runs_dir, "demo", history, **over)
    synthetic.save(run.distilled)
    start = synthetic.pictures().flip(0).contiguous()
    save_tensors(run.samples / "initial.safetensors", {"pictures": start}, {"iteration": "0"})
    return run


def finished() -> list[events.Event]:
    row = {"network": "convnet", "accuracy_std": 0.5, "repeats": 5, "images": 6, "seconds": 4.0}
    return [
        *story(300),
        events.Evaluated(set="distilled-last", accuracy_mean=60.0, iteration=300, **row),
        events.Evaluated(set="distilled", accuracy_mean=61.25, iteration=250, **row),
        events.RunEnded(status="done", iteration=300, time=BEGAN + 900),
    ]


def page_of(datm: Datm, name: str = "demo") -> str:
    answer = datm("report", name)
    assert answer.code == 0, answer.err
    assert answer.out == f"{name}.html\n"
    whole = Path(f"{name}.html").read_text(encoding="utf-8")
    assert_stands_alone(whole)
    return whole


def test_the_page_has_everything(datm: Datm, tmp_path: Path) -> None:
    distilled(tmp_path / "runs", finished(), made(), iterations=300)
    read = Reader(page_of(datm))
    assert "demo: datm report" in read.text
    assert "done · pets · 2 images a class · begun 2" in read.text
    assert (
        "Networks trained on these 6 images classify 61.2 ± 0.5% of 20 test images correctly "
        "(convnet, mean ± standard deviation of 5). As many random real images: 41.0%; all "
        "training images: 82.0%." in read.text
    )
    assert "distilled convnet 61.25 ± 0.50 5 6 250 4.0 s" in read.text
    for title in (
        "Test accuracy",
        "Images",
        "Soft labels",
        "Course",
        "Cost",
        "Configuration",
    ):
        assert title in read.text
    for title in ("Accuracy of candidates", "Matching loss", "Window of start epochs"):
        assert title in read.text
    assert "random 43.0" in read.text, "the line of the held-out images"
    assert "an iteration (median) 2.0 s" in read.text
    assert "training experts 49 s" in read.text
    assert "From preset digits-ipc1 ." in read.text
    assert "syn_steps" in read.text
    assert "torch 2.15.0" in read.text
    assert "cpu (2 threads)" in read.text
    assert "den" not in read.text.split(), "the machine's name is nobody's business"
    assert "The report covers it" not in read.text


def test_what_is_not_as_in_the_preset_stands_out(datm: Datm, tmp_path: Path) -> None:
    distilled(tmp_path / "runs", finished(), made(), syn_steps=7)
    read = Reader(page_of(datm))
    assert re.search(r"syn_steps 7 preset: \d+", read.text)
    assert read.text.count("preset: ") == 3, "ipc, the dataset's name and this"


def test_an_approximate_gradient_is_named(datm: Datm, tmp_path: Path) -> None:
    distilled(tmp_path / "runs", finished(), made(), gradient="tesla")
    assert "The gradient is TESLA's approximation" in Reader(page_of(datm)).text


def test_what_was_derived_has_its_reason_and_the_experts_their_course(
    datm: Datm, tmp_path: Path
) -> None:
    run = distilled(tmp_path / "runs", finished(), made())
    assert "Experts and window" not in Reader(page_of(datm)).text, "where nothing was derived"
    learned = tuple(10.0 * epoch for epoch in range(11))
    loss = tuple(3.0 - epoch / 4 for epoch in range(11))
    known = LearningCurves(loss, learned, None, learned, learned, (1.0,) * 10, (1.5,) * 9, 2, 600)
    derived = {"distill.syn_steps": {"value": 7, "reason": EVIL}}
    run.update(learning_curves=asdict(known), derived=derived)
    whole = page_of(datm)
    read = Reader(whole)
    assert "Experts and window" in read.text
    assert "How far experts move" in read.text
    assert re.search(r"syn_steps \d+ " + re.escape(EVIL), read.text)
    assert EVIL not in whole
    run.update(learning_curves={"loss": 3})
    assert_two_lines(datm("report", "demo"), 1, "learning_curves: loss: ", "datm runs")


def test_images_stand_beside_their_starts(datm: Datm, tmp_path: Path) -> None:
    synthetic = made()
    distilled(tmp_path / "runs", finished(), synthetic)
    read = Reader(page_of(datm))
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one["src"].partition(",")[2]))))
        for one in read.all("img")
    ]
    assert len(pictures) == 2 * 6
    now = synthetic.pictures().permute(0, 2, 3, 1).numpy()
    begun = now[::-1]
    # A class a row: both as they started, then both as they are.
    expected = [begun[0], begun[1], now[0], now[1], begun[2], begun[3], now[2], now[3]]
    for shown_one, picture in zip(pictures, expected, strict=False):
        assert np.array_equal(shown_one, picture)
    strips = [one["aria-label"] for one in read.all("div") if one.get("class") == "strip"]
    assert strips[:2] == ["cat: the same images as they began", "cat: the images as they are"]
    assert all(one["width"] == "56" for one in read.all("img"))


def test_soft_labels_are_reported(datm: Datm, tmp_path: Path) -> None:
    distilled(tmp_path / "runs", finished(), made())
    read = Reader(page_of(datm))
    assert "cat 90.9%" in read.text
    assert "0 of 6 labels led by another class" in read.text
    assert re.search(r"Mean entropy 0\.\d\d nats, \d\d% of log 3", read.text)


@pytest.mark.parametrize(
    ("history", "status", "sentence"),
    [
        (story(120), "crashed", "This run crashed at iteration 120 of 300: it recorded no end."),
        (
            [*story(120), events.RunEnded(status="stopped", iteration=120)],
            "stopped",
            "This run was stopped at iteration 120 of 300, and can be resumed.",
        ),
        (
            [*story(120), events.RunEnded(status="failed", iteration=120, message="no disk left")],
            "failed",
            "This run failed at iteration 120 of 300: no disk left.",
        ),
    ],
)
def test_a_run_that_is_not_done_is_reported_as_far_as_it_came(
    datm: Datm, tmp_path: Path, history: list[events.Event], status: str, sentence: str
) -> None:
    distilled(tmp_path / "runs", history, made(), iterations=300)
    read = Reader(page_of(datm))
    assert f"{status} · pets" in read.text
    assert sentence in read.text
    assert "as it was at iteration 100 classify 60.0% of held-out training images" in read.text
    assert "Matching loss" in read.text


def test_a_run_that_has_hardly_begun(datm: Datm, tmp_path: Path) -> None:
    recorded(tmp_path / "runs", "demo", [])
    read = Reader(page_of(datm))
    assert "This run has not started" in read.text
    assert "There are no images yet." in read.text
    assert "Nothing has been matched yet." in read.text
    assert "Nothing is tested yet." in read.text
    assert "syn_steps" in read.text


def test_without_its_start_a_set_is_shown_alone(datm: Datm, tmp_path: Path) -> None:
    run = distilled(tmp_path / "runs", finished(), made())
    (run.samples / "initial.safetensors").unlink()
    read = Reader(page_of(datm))
    assert "Each as it is at iteration 300; how they started is not known." in read.text
    assert len(read.all("img")) == 6


def test_losses_that_are_not_finite_do_no_harm(datm: Datm, tmp_path: Path) -> None:
    history = [
        *story(20),
        matched(
            21, loss=None, syn_lr=None, skip_reason=events.SkipReason.LOSS_NOT_FINITE, skipped=2
        ),
    ]
    distilled(tmp_path / "runs", history, made(), iterations=300)
    read = Reader(page_of(datm))
    assert "2 of 21 iterations took no step" in read.text
    assert "the student diverged (1 time)" in read.text


def test_nothing_that_others_wrote_becomes_markup(datm: Datm, tmp_path: Path) -> None:
    history = [
        *story(60),
        matched(61, skipped=2),
        events.Evaluated(
            set=EVIL, network=EVIL, accuracy_mean=1, accuracy_std=1, repeats=1, images=1
        ),
        events.RunEnded(status="failed", iteration=61, message=EVIL),
    ]
    names = (EVIL, '"><img src=x onerror=alert(1)>', "</svg></style>&amp;")
    run = distilled(tmp_path / "runs", history, made(names=names))
    stated = run.manifest_file.read_text()
    stated = stated.replace('"preset digits-ipc1"', '"<script>alert(2)</script>"')
    stated = stated.replace('"2.15.0"', '"<img src=http://x>"').replace('"pets"', '"<b>pets</b>"')
    run.manifest_file.write_text(stated)
    whole = page_of(datm)
    assert "<script" not in whole
    assert "<b>pets" not in whole
    read = Reader(whole)
    assert read.text.count(EVIL) >= 5
    assert "&amp;" in read.text


def test_a_large_set_is_cut_to_its_first_images(datm: Datm, tmp_path: Path) -> None:
    names = tuple(f"class number {k}" for k in range(100))
    distilled(tmp_path / "runs", finished(), made(5, names, side=32))
    whole = page_of(datm)
    assert len(whole) < 5_000_000
    read = Reader(whole)
    assert "Of each class the first 3 images of 5 are shown." in read.text
    assert len(read.all("img")) == 100 * 3 * 2


@pytest.mark.parametrize(
    ("ipc", "classes", "side", "expected"),
    [(1, 10, 8, (10, 1)), (50, 10, 8, (10, 8)), (50, 100, 32, (100, 3)), (2, 200, 64, (81, 1))],
)
def test_as_many_images_as_a_page_should_hold(
    ipc: int, classes: int, side: int, expected: tuple[int, int]
) -> None:
    synthetic = made(ipc, tuple(map(str, range(classes))), side)
    assert shown(synthetic, sides=2) == expected
    assert expected[0] * expected[1] * 2 * 3 * side**2 <= MOST_BYTES


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_as_they_were(channels: int) -> None:
    picture = np.arange(64 * channels, dtype=np.uint8).reshape(8, 8, channels)
    encoded = picture_uri(picture).partition(",")[2]
    read = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    assert np.array_equal(read.reshape(8, 8, channels), picture)


def test_where_it_is_written(datm: Datm, tmp_path: Path) -> None:
    distilled(tmp_path / "runs", finished(), made())
    answer = datm("report", "demo", "--to", "a page.html", "--json")
    assert answer.json["report"] == "a page.html"
    assert answer.json["size"] == Path("a page.html").stat().st_size
    before = Path("a page.html").read_bytes()
    assert datm("report", "demo", "--to", "a page.html").out == "a page.html\n"
    assert Path("a page.html").read_bytes() == before, "the same run gives the same page"
    assert {path.name for path in (tmp_path / "runs" / "demo").iterdir()} == {
        "run.json",
        "events.jsonl",
        "distilled.safetensors",
        "samples",
    }


def test_what_cannot_be_reported_is_said(datm: Datm, tmp_path: Path) -> None:
    run = distilled(tmp_path / "runs", finished(), made())
    assert_two_lines(datm("report", "none"), 1, "there is no run none", "datm runs")
    assert_two_lines(
        datm("report", run.distilled), 2, "is a file: only runs", f"datm inspect {run.distilled}"
    )
    answer = datm("report", "demo", "--to", "page.pdf")
    assert_two_lines(answer, 2, "a page is written as .html", "--to page.html")
    answer = datm("report", "demo", "--to", "none/page.html")
    assert_two_lines(answer, 1, "none/page.html cannot be written", "mkdir -p none")
    answer = datm("report", "demo", "--to", ".")
    assert_two_lines(answer, 2, "--to .: has no name of its own", "--to report.html")
    run.distilled.write_bytes(b"broken")
    assert_two_lines(datm("report", "demo"), 1, "cannot be read", "mv ")
