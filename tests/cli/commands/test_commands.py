"""The commands as a person or a program types them: results, JSON, errors, exit codes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import FOLDER, Answer, assert_two_lines, image_folder
from tests.forked import Child


def test_distill_evaluate_inspect_runs(datm: Callable[..., Answer], settings: Path) -> None:
    made = datm("distill", "--config", settings, "--name", "first")
    assert made.code == 0, made.err
    assert "distilled" in made.out
    assert "random" in made.out
    assert "datm inspect first" in made.err
    assert "settings: preset digits-ipc1" in made.err
    assert "training 2 of 2 experts" in made.err

    looked = datm("inspect", "first", "--json").json
    assert {"ipc", "classes", "shape", "syn_lr", "dataset", "iteration"} <= set(looked)
    assert (looked["ipc"], looked["classes"], looked["dataset"]) == (1, 10, "digits")
    assert looked["shape"] == [10, 1, 8, 8]

    rows = datm("evaluate", "first", "--repeats", 1, "--networks", "convnet,mlp", "--json").json
    keys = {"set", "network", "accuracy_mean", "accuracy_std", "repeats", "images"}
    assert list(rows) == ["results"]
    assert all(set(row) == keys for row in rows["results"])
    assert {row["network"] for row in rows["results"]} == {"convnet", "mlp"}
    assert {"distilled", "random"} <= {row["set"] for row in rows["results"]}
    assert all(0 <= row["accuracy_mean"] <= 100 for row in rows["results"])
    assert any(row["accuracy_mean"] > 1 for row in rows["results"]), "percent, not fractions"

    of_file = datm(
        "evaluate",
        "runs/first/distilled.safetensors",
        "--repeats",
        1,
        "--against",
        "none",
        "--json",
    ).json["results"]
    assert [row["set"] for row in of_file] == ["distilled"]
    same = next(row for row in rows["results"] if row["set"] == "distilled")
    assert of_file[0] == same, "the file is all that is needed"

    listed = datm("runs", "--json").json["runs"]
    assert [(row["run"], row["status"], row["iteration"]) for row in listed] == [
        ("first", "done", 8)
    ]
    assert "first" in datm("runs").out


def test_distill_json_is_one_object_with_the_promised_keys(
    datm: Callable[..., Answer], settings: Path
) -> None:
    answer = datm("distill", "--config", settings, "--json", "--seed", 3, "--ipc", 2)
    assert set(answer.json) == {"run", "status", "iterations", "loss", "results"}
    assert answer.json["run"] == "digits-ipc2"
    assert answer.json["status"] == "done"
    assert answer.json["iterations"] == 8
    assert "expert 1 of" in answer.err
    again = datm("distill", "--config", settings, "--json", "--seed", 3, "--ipc", 2)
    assert again.json["run"] == "digits-ipc2-2", "an earlier run is never written over"
    assert again.json["loss"] == answer.json["loss"]
    assert again.json["results"] == answer.json["results"]


def test_flags_stand_above_environment_file_and_preset(
    datm: Callable[..., Answer], settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stated(*words: object) -> dict[str, Any]:
        answer = datm("distill", "--config", settings, "--json", *words)
        facts = json.loads(Path("runs", answer.json["run"], "run.json").read_text())
        return facts["config"]["distill"]

    assert stated()["iterations"] == 8
    monkeypatch.setenv("DATM_ITERATIONS", "7")
    assert stated()["iterations"] == 7
    assert stated("--iterations", 6)["iterations"] == 6
    assert stated("--set", "distill.syn_steps=2")["syn_steps"] == 2


def test_quiet_prints_results_only(datm: Callable[..., Answer], settings: Path) -> None:
    answer = datm("distill", "--config", settings, "--quiet")
    assert answer.err == ""
    assert "distilled" in answer.out


def test_experts_are_made_once(datm: Callable[..., Answer], settings: Path) -> None:
    first = datm("experts", "--config", settings, "--json").json
    assert (first["experts"], first["epochs"], first["status"]) == (2, 4, "done")
    assert len(list(Path(first["folder"]).glob("expert-*"))) == 2
    assert "all 2 experts are in" in datm("experts", "--config", settings).err


def test_a_folder_of_images_walks_the_road(
    datm: Callable[..., Answer], settings: Path, tmp_path: Path
) -> None:
    folder = image_folder(tmp_path / "photos")
    answer = datm("distill", "--dataset", folder, *FOLDER, "--config", settings, "--json")
    assert answer.code == 0
    assert answer.json["run"] == "photos-ipc1"
    looked = datm("inspect", "photos-ipc1", "--json").json
    assert looked["shape"] == [3, 3, 16, 16]
    assert looked["class_names"] == ["class0", "class1", "class2"]


def test_a_full_disk_keeps_the_earlier_checkpoint(
    datm: Callable[..., Answer], settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fifth checkpoint meets a full disk: two lines, and the run resumes from the fourth."""
    from datm_engine import tensors
    from datm_engine.runs.checkpoint import Checkpoint

    whole = datm("distill", "--config", settings, "--name", "whole", "--json").json
    written: list[Path] = []
    save_file = tensors.save_file

    def filling_up(tensors: Any, path: Path, metadata: Any) -> None:
        if "checkpoint" in path.name:
            written.append(path)
            if len(written) >= 5:
                path.write_bytes(b"half of it")
                raise OSError(28, "No space left on device")
        save_file(tensors, path, metadata=metadata)

    with monkeypatch.context() as patched:
        patched.setattr(tensors, "save_file", filling_up)
        answer = datm("distill", "--config", settings, "--name", "full")
    assert_two_lines(answer, 1, "No space left on device", "df -h")
    checkpoint = Path("runs/full/checkpoint.safetensors")
    assert Checkpoint.load(checkpoint).progress.iteration == 3
    assert not list(Path("runs/full").glob(".*.part"))
    resumed = datm("distill", "--resume", "full", "--json").json
    assert resumed["results"] == whole["results"]
    for name in ("distilled.safetensors", "checkpoint.safetensors"):
        assert Path("runs/full", name).read_bytes() == Path("runs/whole", name).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl+c", "SIGTERM"])
def test_interrupted_it_checkpoints_and_says_how_to_go_on(
    number: signal.Signals, settings: Path, tmp_path: Path, data_dir: Path
) -> None:
    printed, events = tmp_path / "printed", tmp_path / "runs/long/events.jsonl"

    def set_up() -> None:
        os.chdir(tmp_path)
        os.environ["DATM_DATA_DIR"] = str(data_dir)
        os.dup2(os.open(printed, os.O_WRONLY | os.O_CREAT), 1)

    words = ["distill", "--config", str(settings), "--name", "long", "--iterations", "100000"]
    child = Child(words, set_up)
    deadline = time.monotonic() + 120
    while '"iteration": 5,' not in (events.read_text() if events.exists() else ""):
        assert time.monotonic() < deadline
        assert not child.poll(), child.wait().said
        time.sleep(0.01)
    child.signal(number)
    end = child.wait()
    assert end.code == 128 + number
    assert printed.read_text() == ""
    assert "resume it: datm distill --resume runs/long" in end.said
    assert "Traceback" not in end.said
    ended = json.loads(events.read_text().splitlines()[-1])
    assert (ended["event"], ended["status"]) == ("RunEnded", "stopped")
    assert ended["iteration"] >= 5


def test_a_run_goes_on_with_what_it_was_last_reported(
    datm: Callable[..., Answer], settings: Path
) -> None:
    datm("distill", "--config", settings, "--name", "r", "--quiet", "--iterations", 4)
    assert datm("distill", "--resume", "r", "--json", "--iterations", 6).json["iterations"] == 6
    assert datm("distill", "--resume", "r", "--json").json["iterations"] == 6
    fewer = datm("distill", "--resume", "r", "--iterations", 3)
    assert_two_lines(
        fewer, 2, "has done 6 iterations, more than 3", "--resume runs/r --iterations 6"
    )
    for words in (["--preset", "digits"], ["--name", "s"]):
        assert_two_lines(datm("distill", "--resume", "r", *words), 2, "--resume", "--resume r")
    selected = datm("distill", "--resume", "r", "--set", "evaluate.selection=last")
    assert_two_lines(selected, 2, "evaluate.selection was 'validation'", "--resume runs/r")


def test_a_run_that_learned_nothing_does_not_end_as_done(
    datm: Callable[..., Answer], settings: Path
) -> None:
    nothing = ["--set", "distill.threshold=1e-9"]
    answer = datm("distill", "--config", settings, *nothing)
    assert_two_lines(answer, 1, "no step was taken in the last 8 iterations", "--set distill.")
    assert "iteration 1 took no step: the matching loss is above the threshold" in answer.err
    assert answer.err.count("took no step") == 1, "each reason is reported once"

    over = [
        "--config",
        settings,
        *nothing,
        "--set",
        "distill.max_skips_in_a_row=999",
        "--name",
        "idle",
    ]
    first = datm("distill", *over)
    assert_two_lines(first, 1, "iterations: the matching loss is above", "--set distill.")
    again = datm("distill", "--resume", "idle")
    assert again.err.splitlines()[-2:] == first.err.splitlines()[-2:], "nor is the reason lost"


def test_a_folder_is_found_from_elsewhere(
    datm: Callable[..., Answer], settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_folder(tmp_path / "photos")
    datm("distill", "--dataset", "photos", *FOLDER, "--config", settings, "--quiet", "--name", "r")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file = tmp_path / "runs/r/distilled.safetensors"
    assert datm("evaluate", file, "--repeats", 1, "--json").code == 0
