"""What a person can get wrong, or a disk: two lines, and a hint that works when it is typed."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FOLDER, Answer, assert_two_lines, image_folder

Datm = Callable[..., Answer]


@pytest.fixture
def run(datm: Datm, settings: Path) -> Path:
    """A finished run in a folder that is not the usual one."""
    where = ["--runs-dir", "my runs", "--experts-dir", "my experts"]
    assert datm("distill", "--config", settings, "--name", "r", "--quiet", *where).code == 0
    return Path("my runs/r")


def follow(datm: Datm, answer: Answer) -> Answer:
    """Type the hint."""
    return datm(*shlex.split(answer.hint, comments=True)[1:])


def test_hints_find_a_run_that_is_not_in_the_usual_place(datm: Datm, run: Path) -> None:
    place = ["--runs-dir", "my runs"]
    wrong = datm("inspect", "r", "--class", "sven", *place)
    assert_two_lines(wrong, 2, "--class sven", "--runs-dir 'my runs' --class 0")
    assert follow(datm, wrong).code == 0
    fewer = datm("distill", "--resume", "r", "--iterations", 3, *place)
    assert_two_lines(fewer, 2, "has done 8 iterations", "'my runs/r' --iterations 8")
    assert follow(datm, fewer).code == 0
    other = datm("distill", "--resume", "r", "--seed", 3, *place)
    assert_two_lines(other, 2, "distill.seed was", "--resume 'my runs/r'")
    assert follow(datm, other).code == 0
    both = datm("distill", "--resume", "r", "--name", "s", *place)
    assert_two_lines(both, 2, "--resume", "--runs-dir 'my runs'")
    assert follow(datm, both).code == 0
    taken = datm("distill", "--name", "r", *place)
    assert_two_lines(taken, 1, "run r exists already", "--resume 'my runs/r'")
    assert follow(datm, taken).code == 0
    missing = datm("evaluate", "s", *place)
    assert_two_lines(missing, 1, "there is no run s", "--runs-dir 'my runs'")
    assert follow(datm, missing).code == 0
    beside = datm("inspect", run / "distilled.safetensors", "--last")
    assert_two_lines(beside, 2, "--last", "datm inspect 'my runs/r/distilled.safetensors'")
    assert follow(datm, beside).code == 0


def test_a_run_that_goes_on_finds_its_experts_from_anywhere(
    datm: Datm, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run.resolve()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    monkeypatch.delenv("DATM_DATA_DIR")
    assert datm("distill", "--resume", whole, "--quiet", "--iterations", 9).code == 0
    assert not list(Path().iterdir()), "no experts of its own"
    given = datm("distill", "--resume", whole, "--iterations", 10, "--experts-dir", "mine")
    assert given.code == 0
    assert "training 2 of 2 experts" in given.err, "a flag stands above what the run has used"
    assert datm("distill", "--resume", whole, "--quiet", "--iterations", 11).code == 0


@pytest.mark.parametrize("command", ["experts", "evaluate"])
def test_each_command_hints_at_itself(command: str, datm: Datm, run: Path) -> None:
    subject = [run] if command == "evaluate" else []
    device = datm(command, *subject, "--device", "tpu")
    assert_two_lines(device, 2, "device tpu", f"datm {command} ")
    assert "--device auto" in device.hint
    wrong = datm(command, *subject, "--set", "experts.count=x")
    assert_two_lines(wrong, 2, "experts.count = 'x'", f"datm {command} --help")
    unformed = datm(command, *subject, "--set", "count")
    assert_two_lines(unformed, 2, "count: not of the form", f"datm {command} --help")
    dataset = datm(command, *subject, "--dataset", "digit")
    assert_two_lines(dataset, 2, "dataset digit is neither", "--dataset digits")
    assert dataset.hint.startswith(f"datm {command} ")


def test_evaluate_without_the_dataset_that_does_not_fit(
    datm: Datm, run: Path, tmp_path: Path
) -> None:
    other = image_folder(tmp_path / "other")
    words = ["--networks", "mlp", "--repeats", 1, "--against", "none", "--quiet"]
    answer = datm("evaluate", run, "--dataset", other, *words)
    assert_two_lines(answer, 1, "images of 3×16×16", "datm evaluate 'my runs/r' --networks mlp")
    assert follow(datm, answer).code == 0


def test_a_key_is_given_once(datm: Datm, settings: Path) -> None:
    for key, option in (("distill.iterations", "--iterations"), ("distill.ipc", "--ipc")):
        twice = ["--config", settings, option, 2, "--set", f"{key}=3", "--quiet"]
        answer = datm("distill", *twice)
        assert_two_lines(answer, 2, f"{key} is given twice", f"{option} 2")
        assert follow(datm, answer).code == 0


def test_names_that_are_no_folders(datm: Datm, settings: Path) -> None:
    answer = datm("distill", "--config", settings, "--quiet", "--name", "a/b")
    assert_two_lines(answer, 2, "name 'a/b' cannot be a folder's name", "--name my-run")
    assert follow(datm, answer).code == 0
    dash = datm("distill", "--config", settings, "--quiet", "--name=-x")
    assert_two_lines(dash, 2, "begins with neither - nor .", "--name my-run")
    study = datm("study", "window", "--config", settings, "--name", "x" * 61)
    assert_two_lines(study, 2, "a name has 1 to 60 letters", "--name my-study")
    tune = datm("tune", "--config", settings, "--name", "con")
    assert_two_lines(tune, 2, "name 'con' cannot be a folder's name", "--name my-tune")


def test_a_name_with_spaces_is_quoted_in_every_hint(datm: Datm, settings: Path) -> None:
    name = "my run ü 猫"
    words = ["distill", "--config", settings, "--name", name]
    made = datm(*words, "--no-tui")
    assert made.code == 0
    looking = made.err.strip().splitlines()[-1].partition("look at it: ")[2]
    assert datm(*shlex.split(looking)[1:], "--json").json["name"] == name
    again = datm(*words)
    assert_two_lines(again, 1, f"run {name} exists already", f"--resume 'runs/{name}'")
    assert follow(datm, again).code == 0
    upper = datm("distill", "--config", settings, "--quiet", "--name", "My run ü 猫")
    assert_two_lines(upper, 1, "in letter case only", "--name 'My run ü 猫-2'")
    assert follow(datm, upper).code == 0
    Path("runs/two words").mkdir()
    taken = datm("distill", "--config", settings, "--quiet", "--name", "two words")
    assert_two_lines(taken, 1, "exists and is not a run", "--name 'two words-2'")
    assert follow(datm, taken).code == 0


def test_failures_before_anything_was_made_do_not_pile_up(
    datm: Datm, settings: Path, tmp_path: Path
) -> None:
    folder = image_folder(tmp_path / "photos")
    kept = folder / "train/class2/005.png"
    whole = kept.read_bytes()
    kept.write_bytes(b"\x89PNG but no more")
    words = ["distill", "--dataset", folder, *FOLDER, "--config", settings, "--quiet"]
    for _ in range(3):
        assert_two_lines(datm(*words), 1, "005.png is not a readable image", "rm ")
    assert list(Path("runs").iterdir()) == []
    kept.write_bytes(whole)
    assert datm(*words).code == 0
    assert [path.name for path in Path("runs").iterdir()] == ["photos-ipc1"]


def test_what_comes_out_within_a_run_hints_at_one_that_works(
    datm: Datm, settings: Path, tmp_path: Path
) -> None:
    few = image_folder(tmp_path / "few")
    words = ["--dataset", few, *FOLDER, "--config", settings, "--experts-dir", "e", "--ipc", 50]
    answer = datm("distill", *words)
    assert_two_lines(answer, 1, "ipc 50 is more than", "--ipc 10")
    assert follow(datm, answer).code == 0
    assert Path("e").is_dir()
    assert not Path("experts").exists()
    tight = datm("distill", "--config", settings, "--set", "distill.threshold=1e-9", "--name", "t")
    assert_two_lines(tight, 1, "no step was taken", "--set distill.threshold=")
    assert follow(datm, tight).code == 0


def test_a_full_disk_while_events_are_written(
    datm: Datm, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("datm_engine.runs.event_log._write_all", full)
    answer = datm("distill", "--resume", run, "--iterations", 9, "--quiet")
    assert_two_lines(
        answer, 1, "events.jsonl cannot be written: No space left", "df -h 'my runs/r'"
    )


def test_a_sheet_that_cannot_be_written(datm: Datm, run: Path) -> None:
    Path("file").write_text("no folder")
    answer = datm("inspect", run, "--save", "file/grid.png")
    assert_two_lines(answer, 1, "file/grid.png cannot be written", "ls -ld file")
    assert_two_lines(datm("inspect", run, "--save", "a b.gif"), 2, "a b.gif", "--save 'a b.png'")


@pytest.mark.parametrize("name", ["checkpoint", "distilled"])
def test_a_bit_that_flipped_is_reported(name: str, datm: Datm, run: Path) -> None:
    path = run / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    command = "distill --resume" if name == "checkpoint" else "inspect"
    before = run / "checkpoint-previous.safetensors"
    hint = f"mv '{before}' '{path}'" if name == "checkpoint" else f"mv '{path}'"
    answer = datm(*command.split(), run)
    assert_two_lines(answer, 1, f"{path}", hint)
    assert "not what was written" in answer.err


def test_an_interrupted_evaluation_prints_no_empty_table(
    datm: Datm, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datm_cli.session.run_stage.StopRequest.__call__", lambda _: True)
    answer = datm("evaluate", run)
    assert answer.out == ""


def test_the_list_of_runs_fits_a_narrow_terminal(
    datm: Datm, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a-name-that-is-long-for-a-run"
    datm("distill", "--config", settings, "--quiet", "--name", name)
    monkeypatch.setenv("COLUMNS", "80")
    accuracy = datm("runs", "--json").json["runs"][0]["accuracy"]
    listed = datm("runs").out
    assert f"{accuracy:.2f} (test)" in listed
    assert max(map(len, listed.splitlines())) <= 80
    assert "…" not in listed
