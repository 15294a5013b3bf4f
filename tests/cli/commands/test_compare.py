"""`datm compare`: what differs between runs, as a person at 80 columns and a program read it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datm_engine.runs import events
from datm_engine.settings.config import differences
from tests.cli.conftest import Answer, assert_two_lines, recorded
from tests.cli.dashboard.conftest import BEGAN, story

Datm = Callable[..., Answer]


def finished(accuracy: float, *, iterations: int = 300, **over: Any) -> list[events.Event]:
    history: list[events.Event] = [
        event.model_copy(update=over) if isinstance(event, events.Matched) else event
        for event in story(iterations)
    ]
    row = events.Evaluated(
        set="distilled",
        network="convnet",
        accuracy_mean=accuracy,
        accuracy_std=0.5,
        repeats=5,
        images=6,
        iteration=iterations,
        time=BEGAN + 800,
    )
    return [*history, row, events.RunEnded(status="done", iteration=iterations, time=BEGAN + 801)]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TERM", "xterm-256color")
    folder = tmp_path / "runs"
    recorded(folder, "pets-ipc1", finished(61.25))
    recorded(
        folder,
        "pets-ipc10-with-a-rather-long-name",
        finished(71.5, seconds=0.084, memory=3_400_000_000),
        distill={"ipc": 10, "syn_steps": 40},
        evaluate={"networks": ["convnet", "resnet18"]},
    )
    recorded(folder, "young", story(20))
    return folder


def shown(datm: Datm, monkeypatch: pytest.MonkeyPatch, *words: object, columns: int = 80) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    answer = datm("compare", *words)
    assert answer.code == 0, answer.err
    assert answer.err == ""
    assert all(len(line) <= columns for line in answer.out.splitlines()), answer.out
    return "\n".join(line.rstrip() for line in answer.out.splitlines())


def part(text: str, title: str) -> list[list[str]]:
    """The lines below a title, as words in columns two blanks apart."""
    lines = text[text.index(f"\n{title}") + 1 :].split("\n\n")[0].splitlines()[1:]
    return [[word.strip() for word in line.split("  ") if word.strip()] for line in lines]


def test_only_settings_that_differ_are_listed(
    datm: Datm, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(datm, monkeypatch, "pets-ipc1", "pets-ipc10-with-a-rather-long-name")
    rows = part(text, "settings that differ")
    assert ["distill.ipc", "1", "10"] in rows
    assert ["evaluate.networks", "convnet", "convnet, resnet18"] in rows
    assert {row[0] for row in rows if "." in row[0]} == {
        "distill.ipc",
        "distill.syn_steps",
        "evaluate.networks",
    }


def test_an_approximate_gradient_is_named(
    datm: Datm, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = json.loads((runs / "young" / "run.json").read_text())
    stated["config"]["distill"]["gradient"] = "tesla"
    (runs / "young" / "run.json").write_text(json.dumps(stated))
    text = " ".join(shown(datm, monkeypatch, "pets-ipc1", "young").split())
    assert "B: the gradient is TESLA's approximation" in text
    assert "A: the gradient" not in text


def test_runs_alike_say_so(datm: Datm, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(datm, monkeypatch, "pets-ipc1", "young")
    assert "\nno setting differs\n" in text
    assert "different images" not in text


def test_accuracies_stand_beside_each_other(
    datm: Datm, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(datm, monkeypatch, "pets-ipc1", "pets-ipc10-with-a-rather-long-name", "young")
    rows = part(text, "test accuracy %: mean ± std (repeats)")
    assert ["distilled, convnet", "61.25 ± 0.50 (5)", "71.50 ± 0.50 (5)", "–"] in rows
    assert ["random, convnet", *["41.00 (1)"] * 3] in rows
    assert ["best candidate, held out", "80.00 at 300", "80.00 at 300", "–"] in rows


def test_cost_is_reported(datm: Datm, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(datm, monkeypatch, "pets-ipc1", "pets-ipc10-with-a-rather-long-name", "young")
    rows = {row[0]: row[1:] for row in part(text, "cost")}
    assert rows["status"] == ["done", "done", "crashed"]
    assert rows["iterations"][0] == "300 of 200"
    assert rows["without a step"] == ["1", "1", "1"]
    assert rows["an iteration (median)"] == ["2.0 s", "0.084 s", "2.0 s"]
    assert rows["experts"] == ["49 s"] * 3
    assert rows["peak memory"] == ["1.2 GB", "3.4 GB", "1.2 GB"]
    assert rows["device"] == ["cpu (2 threads)"] * 3
    assert rows["precision"] == ["float32"] * 3


def test_losses_are_one_plot_that_can_be_read_without_colour(
    datm: Datm, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(datm, monkeypatch, "pets-ipc1", "young")
    plot = text[text.index("matching loss") : text.index("test accuracy")]
    assert plot.startswith("matching loss over iterations (log scale)\n")
    assert plot.count("A") >= 3
    assert "B" in plot
    assert plot.strip().splitlines()[-1].split()[-1] == "300"


def test_many_runs_are_shown_in_tables_below_each_other(
    datm: Datm, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["pets-ipc1", "young", "pets-ipc1", "young", "pets-ipc10-with-a-rather-long-name"]
    text = shown(datm, monkeypatch, *words)
    assert text.count("distill.syn_steps") == 2
    assert text.count("test accuracy %") == 1
    assert shown(datm, monkeypatch, *words, columns=140).count("distill.syn_steps") == 1


def test_runs_of_other_images_are_compared_with_a_word_of_caution(
    datm: Datm, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(runs, "other", story(20), dataset={"name": "/data/photos"})
    text = shown(datm, monkeypatch, "young", "other")
    assert "These runs are of different images" in " ".join(text.split())
    assert ["dataset.name", "digits", "/data/photos"] in part(text, "settings that differ")


def test_a_program_gets_one_object(datm: Datm, runs: Path) -> None:
    result = datm("compare", "pets-ipc1", "pets-ipc10-with-a-rather-long-name", "--json").json
    assert result["settings"]["distill.ipc"] == [1, 10]
    assert result["same_images"] is True
    first = result["runs"][0]
    assert (first["run"], first["status"], first["iteration"]) == ("pets-ipc1", "done", 300)
    assert first["best_candidate"] == {"iteration": 300, "accuracy": 80.0, "part": "validation"}
    assert first["results"][0] == {
        "set": "distilled",
        "network": "convnet",
        "accuracy_mean": 61.25,
        "accuracy_std": 0.5,
        "repeats": 5,
        "images": 6,
    }
    assert first["seconds"]["experts"] == pytest.approx(49.0)
    assert first["disk"] > 1000


def test_what_cannot_be_compared_is_said(datm: Datm, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "set.safetensors").write_bytes(b"x")
    answer = datm("compare", "young", "set.safetensors")
    assert_two_lines(answer, 2, "set.safetensors is a file", "datm inspect set.safetensors")
    assert_two_lines(datm("compare", "young"), 2, "young is one run", "datm runs")
    assert_two_lines(datm("compare", "young", "none"), 1, "there is no run none", "datm runs")
    (runs / "young" / "run.json").write_text("{")
    assert_two_lines(datm("compare", "young", "pets-ipc1"), 1, "is damaged", "datm runs")


def test_a_run_is_found_by_its_folder(datm: Datm, runs: Path) -> None:
    assert datm("compare", runs / "young", runs / "pets-ipc1", "--json").code == 0


def test_a_name_is_text_and_nothing_else(
    datm: Datm, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(runs, "odd", story(20), dataset={"name": "/data/[bold red]x[/]"})
    assert "[bold red]x[/]" in shown(datm, monkeypatch, "young", "odd")


def test_differences_of_several(make_config: Callable[..., Any]) -> None:
    configs = [make_config(distill={"seed": seed}) for seed in (0, 0, 5)]
    assert differences(*configs) == {"distill.seed": (0, 0, 5)}
    assert differences(configs[0]) == {}


def test_it_is_quick_to_load() -> None:
    code = "import sys, datm_cli.text.run_comparison; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
