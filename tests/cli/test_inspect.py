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
import typer
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file
from typer.testing import CliRunner

from datm_cli import report, sheet
from datm_cli.commands.inspect import inspect
from datm_engine.checkpoint import Checkpoint, Progress
from datm_engine.data.preprocessing import Normalization
from datm_engine.errors import ConfigError, FileError, RunError
from datm_engine.events import CandidateScored, Evaluated, Matched
from datm_engine.inspection import summarize
from datm_engine.lines import to_json
from datm_engine.synthetic import SyntheticSet

NAMES = ("red", "green", "blue")
IPC = 4
SHADE = 40  # between a class's images, so that each can be told by its colour


@pytest.fixture(autouse=True)
def _on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")  # a dumb one is always 80 columns wide


@pytest.fixture
def distilled():
    """Flat pictures of a class's colour, ever darker; red's second is labelled blue."""
    images = torch.zeros(len(NAMES) * IPC, 3, 8, 8)
    for index in range(len(images)):
        images[index, index // IPC] = (255 - SHADE * (index % IPC)) / 255
    labels = torch.eye(len(NAMES)).repeat_interleave(IPC, dim=0) * 4
    labels[1] = torch.tensor([0.0, 0.0, 4.0])
    identity = Normalization(torch.zeros(3), torch.ones(3))
    return SyntheticSet(images, labels, 0.125, identity, "colours", NAMES, 20)


@pytest.fixture
def file(tmp_path, distilled):
    distilled.save(tmp_path / "set.safetensors")
    return tmp_path / "set.safetensors"


@pytest.fixture
def run(tmp_path, distilled):
    folder = tmp_path / "runs" / "demo"
    (folder / "samples").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"config": {}, "created": 0}))
    distilled.save(folder / "distilled.safetensors")
    start = distilled.pictures()
    start[0] = 0
    save_file({"pictures": start}, folder / "samples" / "initial.safetensors")
    facts = {"expert": 0, "start_epoch": 0, "target_epoch": 2, "lower": 0, "upper": 3}
    facts |= {"final_upper": 3, "refused": "", "skipped": 2, "seconds": 0.1, "iterations": 20}
    told = [Matched(iteration=i, loss=1 / i, syn_lr=0.1, **facts) for i in range(1, 21)]
    told += [
        CandidateScored(iteration=i, part="validation", accuracy=a, images=9, best=False)
        for i, a in [(10, 40.0), (20, 50.0)]
    ]
    told.append(
        Evaluated(
            set="distilled",
            network="convnet",
            accuracy_mean=61.25,
            accuracy_std=0.5,
            repeats=3,
            images=12,
            iteration=20,
        )
    )
    (folder / "events.jsonl").write_text("".join(to_json(event) + "\n" for event in told))
    return folder


@pytest.fixture
def datm(monkeypatch):
    """The command as typed: its result, errors raised."""
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("DATM_RUNS_DIR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    app = typer.Typer()
    app.command()(inspect)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


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
        console.print(report.labels([image]))
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


@pytest.mark.parametrize("name", ["grid.png", "grid.WEBP"])
def test_a_sheet_has_a_row_a_class(datm, file, tmp_path, name):
    path = tmp_path / name
    result = datm(file, "--save", path)
    assert result.exit_code == 0, result.exception
    assert f"saved {path}" in result.stderr.replace("\n", "")
    image = Image.open(path).convert("RGB")
    side, step = 96, 96 + sheet.GAP
    left = image.width - IPC * step
    assert 0 < left < 100, "the classes' names"
    assert image.height == len(NAMES) * step + sheet.GAP
    for index in range(len(NAMES) * IPC):
        row, place = divmod(index, IPC)
        colour = [0, 0, 0]
        colour[row] = 255 - SHADE * place
        corner = left + place * step, sheet.GAP + row * step
        for x, y in [(0, 0), (side - 1, side - 1)]:
            assert image.getpixel((corner[0] + x, corner[1] + y)) == tuple(colour)
        assert image.getpixel((corner[0] + side, corner[1])) == sheet.PAPER
    names = image.crop((0, 0, left, image.height)).getcolors(1 << 16)
    assert {colour for _, colour in names} >= {sheet.PAPER, sheet.INK}


def test_a_sheet_as_jpeg_keeps_colours(datm, file, tmp_path):
    assert datm(file, "--save", tmp_path / "grid.jpg").exit_code == 0
    image = Image.open(tmp_path / "grid.jpg")
    assert image.format == "JPEG"
    centre = image.getpixel((image.width - IPC * 100 + 48, 48))
    assert all(abs(a - b) < 6 for a, b in zip(centre, (255, 0, 0), strict=True))


def test_a_sheet_holds_the_images_asked_for(datm, file, tmp_path):
    datm(file, "--save", tmp_path / "a.png", "--class", "green", "--per-class", 2)
    image = Image.open(tmp_path / "a.png")
    assert image.height == 100 + sheet.GAP
    assert image.getpixel((image.width - 2 * 100, 50)) == (0, 255, 0)
    assert image.getpixel((image.width - 100, 50)) == (0, 255 - SHADE, 0)


def test_outliers_are_clipped_unless_asked_not_to(datm, file, distilled, tmp_path):
    images = torch.full_like(distilled.images, 0.2)
    images[0, :, 0, 0] = 1.0
    replace(distilled, images=images).save(file)
    seen = {}
    for option in ("--clip", "--no-clip"):
        datm(file, option, "--save", tmp_path / "a.png", "--class", "red", "--per-class", 1)
        image = Image.open(tmp_path / "a.png")
        seen[option] = image.getpixel((image.width - 100, sheet.GAP))
    assert seen["--no-clip"] == (255, 255, 255)
    spread = images[0].std().item()
    clipped = round(255 * (images[0].mean().item() + 2.5 * spread))
    assert clipped < 200
    assert seen["--clip"] == (clipped,) * 3


def test_captions_stand_out_where_another_class_leads(datm, file, tmp_path):
    datm(file, "--save", tmp_path / "a.png", "--captions", "--class", "red", "--per-class", 2)
    image = Image.open(tmp_path / "a.png")
    left, below = image.width - 200, sheet.GAP + 96
    for place, ink in enumerate([sheet.INK, sheet.DOUBT]):
        box = (left + place * 100, below, left + place * 100 + 96, image.height)
        colours = {colour for _, colour in image.crop(box).getcolors(1 << 16)}
        assert ink in colours
        assert {sheet.INK, sheet.DOUBT} - {ink} - colours


def test_an_unknown_kind_of_image_is_refused_before_any_work(datm, tmp_path):
    result = datm(tmp_path / "missing", "--save", tmp_path / "grid.gif")
    assert isinstance(result.exception, ConfigError)
    assert "grid.gif" in result.exception.message
    assert "grid.png" in result.exception.hint


def test_a_sheet_that_cannot_be_written_leaves_nothing(datm, file, tmp_path):
    result = datm(file, "--save", tmp_path / "none" / "grid.png")
    assert isinstance(result.exception, FileError)
    assert "No such file" in result.exception.message
    (tmp_path / "grid.png").mkdir()
    assert isinstance(datm(file, "--save", tmp_path / "grid.png").exception, FileError)
    assert {path.name for path in tmp_path.iterdir()} == {"grid.png", "set.safetensors"}


def test_a_large_sheet_is_enlarged_less():
    pictures = torch.zeros(4, 32, 32, 3, dtype=torch.uint8).numpy()
    rows = [sheet.Row(f"c{i}", [0] * 100) for i in range(100)]
    image = sheet.draw(pictures, rows)
    assert image.width * image.height < 1.1 * sheet.MOST_PIXELS
    assert image.height == 100 * (2 * 32 + sheet.GAP) + sheet.GAP


def test_a_format_that_cannot_hold_the_sheet_says_so(tmp_path):
    pictures = torch.zeros(1, 32, 32, 3, dtype=torch.uint8).numpy()
    with pytest.raises(ConfigError, match="more than WEBP can hold") as raised:
        sheet.save_sheet(tmp_path / "a.webp", pictures, [sheet.Row("c", [0] * 500)])
    assert "a.png" in raised.value.hint


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
    assert hint in result.exception.hint
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
