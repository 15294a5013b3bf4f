"""`datm inspect` on a run and on a file, for people, for machines, and as an image."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file

from datm_cli.text import set_report
from datm_engine.errors import ConfigError, FileError, RunError
from datm_engine.hints import fix_text
from datm_engine.runs.checkpoint import Checkpoint, Progress
from datm_engine.summary import summarize
from tests.cli.commands.inspect.conftest import IPC, NAMES


def lines_with(output, word):
    return [line for line in output.splitlines() if word in line]


def test_a_file_is_described(datm, file):
    result = datm(file)
    assert result.exit_code == 0, result.exception
    assert "12: 3 classes × 4 ipc, 3×8×8" in result.stdout
    assert lines_with(result.stdout, "syn_lr")[0].split() == ["syn_lr", "0.125"]
    assert "1 of 12 led by another class" in result.stdout
    assert "matching loss" not in result.stdout
    assert "change" not in result.stdout
    assert "\x1b" not in result.stdout
    assert not result.stderr


def test_a_run_has_curves_and_results_too(datm, run):
    result = datm("demo", "--runs-dir", run.parent)
    assert result.exit_code == 0, result.exception
    assert "20 of 20, the run is at 20, 2 took no step" in result.stdout
    assert "matching loss (log scale)" in result.stdout
    assert "candidates: validation accuracy %" in result.stdout
    assert lines_with(result.stdout, "convnet")[0].split() == [
        *("distilled", "convnet", "61.25", "±", "0.50", "3", "12", "20")
    ]
    assert "root mean square from the start, of [0, 1]" in result.stdout


def test_runs_are_found_by_the_environment_and_by_their_folder(datm, run, monkeypatch):
    assert datm(run).exit_code == 0
    monkeypatch.setenv("DATM_RUNS_DIR", str(run.parent))
    assert datm("demo").exit_code == 0
    assert isinstance(datm("nothing").exception, RunError)


def test_a_young_run_shows_what_there_is(datm, run):
    (run / "events.jsonl").unlink()
    (run / "samples" / "initial.safetensors").unlink()
    result = datm(run)
    assert result.exit_code == 0, result.exception
    assert "matching loss" not in result.stdout
    assert "change" not in result.stdout


def test_last_is_the_last_iteration_not_the_selected_one(datm, run, distilled):
    learned = {"images": distilled.images, "labels": distilled.labels}
    learned["syn_lr"] = torch.tensor(0.5)
    Checkpoint(Progress(iteration=30), learned, {}, "of-a-set").save(run / "checkpoint.safetensors")
    for options, expected in [([], (20, 0.125)), (["--last"], (30, 0.5))]:
        facts = json.loads(datm(run, "--json", *options).stdout)
        assert (facts["iteration"], facts["syn_lr"]) == expected


def rows_of_table(output):
    """[image, class] of the table of soft labels."""
    table = output[output.index("soft labels\nimage") :].split("\n\n")[0]
    return [line.split()[:2] for line in table.splitlines()[2:] if line.split()[0].isdigit()]


@pytest.mark.parametrize(
    ("options", "images"),
    [
        ([], [0, 4, 8]),
        (["--per-class", 2], [0, 1, 4, 5, 8, 9]),
        (["--per-class", 9], list(range(12))),
        (["--all"], list(range(12))),
        (["--class", "blue"], [8]),
        (["--class", "blue", "--class", "red", "--per-class", 2], [8, 9, 0, 1]),
    ],
)
def test_as_many_images_are_shown_as_asked_for(datm, file, options, images):
    output = datm(file, *options).stdout
    output = "\n".join(line.rstrip() for line in output.splitlines())
    assert rows_of_table(output) == [[str(i), NAMES[i // IPC]] for i in images]
    captions = [line for line in output.splitlines() if set(line.split()) <= {*NAMES, *"0123"}]
    words = " ".join(captions).split()
    assert [word for word in words if word in NAMES] == [NAMES[i // IPC] for i in images]


def test_an_image_led_by_another_class_is_marked(datm, file):
    rows = lines_with(datm(file, "--class", "red", "--per-class", 2).stdout, "red ")
    assert "◆ blue 96%, red 2%" in " ".join(rows)
    assert sum("◆" in row for row in rows) == 1


def test_a_label_led_by_its_own_class_has_another_colour(distilled):
    images = summarize(distilled).images
    colours = []
    for image in images[:2]:
        console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
        console.no_color = False
        console.print(set_report.label_table([image]))
        colours.append(set(re.findall(r"38;2;(\d+;\d+;\d+)", console.file.getvalue())))
    assert colours == [{"86;180;233"}, {"230;159;0"}]


def test_classes_that_round_to_no_percent_are_left_out(datm, file, distilled):
    labels = torch.tensor([[9.0, 8.0, 0.0]]).repeat(len(distilled.labels), 1)
    labels[1] = torch.tensor([20.0, 0.0, 0.0])
    replace(distilled, labels=labels).save(file)
    rows = lines_with(datm(file, "--class", "red", "--per-class", 2).stdout, "red ")
    assert "red 73%, green 27%  0." in rows[0]
    assert "red 100%  " in rows[1]


def test_each_image_stands_beside_its_start(datm, run):
    output = datm(run, "--start", "--class", "red", "--per-class", 2).stdout
    assert output.splitlines()[-1].split() == ["start", "red", "0", "start", "red", "1"]
    picture = output.splitlines()[-2]
    assert picture[:12].isspace(), "the first one started black"
    assert not picture[14:26].isspace()


def test_json_is_one_object_and_nothing_else(datm, run, file):
    result = datm(run, "--json")
    facts = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert not result.stderr
    assert facts["name"] == "demo"
    assert {"ipc", "classes", "shape", "syn_lr", "dataset", "iteration"} <= facts.keys()
    assert {"pixels", "entropy", "led_by_other", "class_names", "change"} <= facts.keys()
    assert (facts["ipc"], facts["classes"], facts["shape"]) == (4, 3, [12, 3, 8, 8])
    assert (facts["dataset"], facts["syn_lr"], facts["iteration"]) == ("colours", 0.125, 20)
    assert len(facts["images"]) == 12
    assert facts["images"][0]["change"] == pytest.approx(1 / 3**0.5)
    assert facts["images"][1]["change"] == 0.0
    assert facts["results"][0]["accuracy_mean"] == 61.25
    assert [event["iteration"] for event in facts["candidates"]] == [10, 20]
    assert "results" not in json.loads(datm(file, "--json").stdout)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (["--class", "rde"], "--class rde: colours has no such class", "--class red"),
        (["--last"], "--last", "--last"),
        (["--start"], "--start", "--start"),
    ],
)
def test_what_cannot_be_shown_is_said(datm, file, options, message, hint):
    result = datm(file, *options)
    assert isinstance(result.exception, ConfigError)
    assert message in result.exception.message
    assert hint in fix_text(result.exception.fix)
    assert not result.stdout


def test_a_file_that_is_something_else_is_refused(datm, tmp_path):
    missing = datm(tmp_path / "set.safetensors").exception
    assert isinstance(missing, FileError)
    assert missing.message.endswith("set.safetensors: no such file")
    (tmp_path / "notes.txt").write_text("not a set")
    assert isinstance(datm(tmp_path / "notes.txt").exception, FileError)


def test_a_start_of_another_shape_is_refused(datm, run):
    other = {"pictures": torch.zeros(2, 3, 8, 8, dtype=torch.uint8)}
    save_file(other, run / "samples" / "initial.safetensors")
    result = datm(run)
    assert isinstance(result.exception, FileError)
    assert "initial.safetensors" in result.exception.message


def test_the_command_is_imported_without_heavy_libraries():
    heavy = "{'torch', 'numpy', 'PIL', 'textual'}"
    code = f"import sys, datm_cli.commands.inspect; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
