"""`datm experts --inspect`: what experts know, in words, tables, plots, JSON and a page."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from datm_cli.text.expert_report import ExpertReport, shown_epochs
from datm_engine.compute.ranks import Ranks
from datm_engine.errors import ConfigError
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.files import validated
from datm_engine.hints import HELP
from datm_engine.runs.directory import Run
from datm_engine.settings.config import Config
from tests.cli.conftest import Answer, assert_two_lines
from tests.cli.report.conftest import assert_stands_alone

Datm = Callable[..., Answer]
WINDOW = {"min_start_epoch": 1, "initial_max_start_epoch": 2, "max_start_epoch": 4}


def curves(epochs: int = 40, apart: int = 2) -> LearningCurves:
    """Experts that learn evenly, the easy twice as fast, and move less and less."""
    known = [100 * epoch / epochs for epoch in range(epochs + 1)]
    return LearningCurves(
        loss=tuple(3.0 - epoch / epochs for epoch in range(epochs + 1)),
        accuracy=tuple(known),
        held_out=tuple(0.9 * value for value in known),
        easy=tuple(min(100.0, 2 * value) for value in known),
        hard=tuple(value / 2 for value in known),
        step=tuple(1 / (epoch + 1) for epoch in range(epochs)),
        segments=tuple(2 / (epoch + 1) for epoch in range(epochs + 1 - apart)),
        experts=2,
        images=5000,
    )


@pytest.fixture
def report(make_config: Callable[..., Config]) -> ExpertReport:
    over: dict[str, Any] = {"expert_epochs": 2, "expansion_iterations": 9, **WINDOW}
    config = make_config(experts={"epochs": 40}, distill=over)
    return ExpertReport(config, "experts/abc", 3, curves())


def text_of(report: ExpertReport, monkeypatch: pytest.MonkeyPatch, width: int = 80) -> list[str]:
    monkeypatch.setenv("TERM", "xterm-256color")  # a dumb one is always 80 columns wide
    result = io.StringIO()
    console = Console(file=result, width=width, color_system=None, force_terminal=True)
    for part in report.printed():
        console.print(part)
    return [line.rstrip() for line in result.getvalue().splitlines()]


def test_the_window_is_reported_in_words(report: ExpertReport) -> None:
    """T⁻ 1, T⁺ 4, M 2: segments start at 1, 2, 3; the last ends at 5."""
    assert report.explanation == (
        "Segments start at epochs 1–3 and end 2 epochs later: the first begins where experts get "
        "2% of the training images right, the last ends, at epoch 5, where they get 12%. Of the "
        "easy third 5% are right before and 25% after, of the hard third 1% and 6%. "
        "A segment is 0.5 to 1 long."
    )


def test_one_start_is_reported_as_one(
    make_config: Callable[..., Config], report: ExpertReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = {"min_start_epoch": 0, "initial_max_start_epoch": 1, "max_start_epoch": 1}
    config = make_config(experts={"epochs": 40}, distill={"expert_epochs": 2, **window})
    one = replace(report, config=config)
    assert one.explanation.startswith("Segments start at epoch 0 and end 2 epochs later")
    assert one.explanation.endswith("A segment is 2 long.")
    assert [row[-1] for row in one.rows if row[-1]] == ["T⁻ = T⁺ − 1", "T⁺ − 1 + M"]
    assert text_of(one, monkeypatch)


def test_it_fits_eighty_columns(report: ExpertReport, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = text_of(report, monkeypatch)
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines), "nothing is cut off"
    heading = next(n for n, line in enumerate(lines) if line.startswith("epoch "))
    cells = "epoch loss training held out easy hard step segment"
    assert " ".join(lines[heading].split()) == cells
    rows = [line.split() for line in lines[heading + 1 : heading + 9]]
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "5", "10", "20", "40"]
    assert rows[1] == ["1", "2.98", "2.5", "2.2", "5.0", "1.2", "0.5", "1", "T⁻"]
    assert rows[3][8:] == ["T⁺", "−", "1"]
    assert rows[4][8:] == ["T⁺", "−", "1", "+", "M"]
    assert rows[7][6:] == ["–", "–"], "nothing comes after the last epoch"
    assert "T⁻ 1, T 2, T⁺ 4, M 2" in "".join(lines)


def test_the_window_is_marked_on_both_axes(
    report: ExpertReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    floors = [line for line in text_of(report, monkeypatch) if "└" in line]
    assert len(floors) == 2
    widths = [line.count("━") for line in floors]
    assert widths[0] > widths[1] > 0, "epochs 1 to 5, and starts 1 to 3, of 40"
    starts = [line.index("━") - line.index("└") for line in floors]
    assert all(2 <= start <= 4 for start in starts)
    text = "\n".join(text_of(report, monkeypatch))
    assert "window: epochs 1–5" in text
    assert "window: starts 1–3" in text


def test_without_held_out_images_there_is_no_line_of_them(
    report: ExpertReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = replace(report, curves=replace(report.curves, held_out=None))
    assert "held" not in "".join(text_of(alone, monkeypatch))
    assert "held" not in "".join(alone.headings)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, [0, 1]), (7, [0, 1, 2, 5, 7]), (100, [0, 1, 2, 5, 10, 20, 50, 100])],
)
def test_epochs_are_shown_more_sparsely_as_they_go(epochs: int, expected: list[int]) -> None:
    assert shown_epochs(epochs) == expected
    assert shown_epochs(epochs, {1: "T⁻"}) == expected
    assert shown_epochs(12, [3, 11]) == [0, 1, 2, 3, 5, 10, 11, 12]


def test_experts_are_looked_at_and_never_trained(datm: Datm, settings: Path) -> None:
    words = ["--config", settings, "--inspect"]
    for more in ([], ["--save", "x.html"], ["--json"]):
        missing = datm("experts", *words, *more)
        if more != ["--json"]:
            hint = f"datm experts --config {settings}"
            assert_two_lines(missing, 1, "no experts of these settings", hint)
            assert missing.hint == hint, "the same command, which trains them"
        assert missing.code == 1
    assert not Path("experts").exists()

    folder = Path(datm("experts", "--config", settings, "--quiet").out.strip())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    shown = datm("experts", *words, "--quiet", "--save", "page.html")
    assert shown.code == 0, shown.err
    assert shown.err == ""
    assert "\x1b" not in shown.out
    assert f"2 measured, 2 on disk: {folder}" in shown.out
    assert "Segments start at epochs 0–2 and end 1 epoch later" in shown.out.replace("\n", " ")
    assert shown.out.rstrip().endswith("written to page.html")
    page = Path("page.html").read_text()
    assert_stands_alone(page)
    assert page.count("window: epochs 0–3") == 2 * 2, "in two charts, in the legend and in words"
    assert {path: path.read_bytes() for path in folder.iterdir()} == before

    result = datm("experts", *words, "--json").json
    assert (result["folder"], result["experts"], result["epochs"]) == (str(folder), 2, 4)
    assert result["window"]["max_start_epoch"] == 3
    assert result["window"]["last_epoch"] == 3
    measured = validated(LearningCurves, result["course"])
    assert (measured.experts, measured.epochs, measured.expert_epochs) == (2, 4, 1)
    assert result["words"] in " ".join(shown.out.split())


def test_a_window_that_is_to_be_derived_is_shown_as_a_run_would_have_it(datm: Datm) -> None:
    options = ["network.width=4", "experts.count=2", "experts.epochs=8", "experts.batch=16"]
    options += ["evaluate.repeats=2", "evaluate.epochs=10", "evaluate.against=['random']"]
    sets = [word for option in (*options, "evaluate.selection=last") for word in ("--set", option)]
    words = ["--dataset", "digits", "--ipc", 3, *sets]
    assert datm("experts", *words, "--quiet").code == 0
    result = datm("experts", *words, "--inspect", "--json").json
    assert datm("distill", *words, "--iterations", 2, "--quiet", "--no-tui").code == 0
    distill = Run.open(Path("runs"), "digits-ipc3").config().distill
    window = {key: result["window"][key] for key in WINDOW}
    assert window == {key: getattr(distill, key) for key in WINDOW}
    assert validated(LearningCurves, result["course"]).expert_epochs == distill.expert_epochs
    shown = datm("experts", *words, "--inspect")
    assert "distill.max_start_epoch = " in shown.err, "with its reason"


def test_what_is_saved_is_a_page_of_what_is_shown(datm: Datm, settings: Path) -> None:
    words = ["experts", "--config", settings, "--save"]
    loose = datm(*words, "a.html")
    assert_two_lines(loose, 2, "--save is for what --inspect shows", f"--config {settings}")
    other = datm(*words, "a.svg", "--inspect")
    assert_two_lines(other, 2, "a.svg: a page is written as .html or .htm", "--save a.html")


def test_settings_are_settled_by_the_first_rank_for_all(
    datm: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def first(ranks: Ranks, value: Callable[[], Any]) -> Any:
        raise ConfigError("asked of the first rank", HELP)

    monkeypatch.setattr(Ranks, "first", first)
    assert_two_lines(datm("experts"), 2, "asked of the first rank", "datm experts --help")
