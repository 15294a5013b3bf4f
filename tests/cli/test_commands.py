"""The commands as a person or a program types them: results, JSON, errors, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datm_engine.version import __version__
from tests.cli.conftest import FOLDER, Answer, assert_two_lines, image_folder

ROOT = str(Path(__file__).parents[2])


def test_version_is_told_without_torch() -> None:
    """An import of torch would cost over a second; the time itself is not asserted."""
    loaded = "import sys; from datm_cli.main import main; sys.argv = ['datm', '--version']\n"
    heavy = "{'torch', 'numpy', 'textual', 'rich'}"
    loaded += f"try: main()\nexcept SystemExit: print({heavy} & {{*sys.modules}})"
    found = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert found.stdout == f"datm {__version__}\nset()\n"


def test_help_tells_what_is_taken_where_nothing_is_given(
    datm: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    told = datm("distill", "--help").out
    assert "[default: (digits)]" in told
    assert "[default: (from dataset and ipc)]" in told


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
    assert answer.err == ""
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


@pytest.mark.parametrize("how", ["flag", "ipc", "set"])
def test_resume_refuses_other_settings(
    how: str, datm: Callable[..., Answer], settings: Path
) -> None:
    datm("distill", "--config", settings, "--name", "first", "--quiet")
    kept = Path("runs/first/checkpoint.safetensors").read_bytes()
    other = {
        "flag": ["--seed", 9],
        "ipc": ["--ipc", 2],
        "set": ["--set", "distill.syn_steps=9"],
    }[how]
    key = {"flag": "distill.seed", "ipc": "distill.ipc", "set": "distill.syn_steps"}[how]
    answer = datm("distill", "--resume", "first", *other)
    assert_two_lines(answer, 2, f"run first has other settings: {key} was", "--resume runs/first")
    assert Path("runs/first/checkpoint.safetensors").read_bytes() == kept
    assert datm("distill", "--resume", "first", "--quiet", "--iterations", 9).code == 0


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


def test_bad_datasets(datm: Callable[..., Answer], settings: Path, tmp_path: Path) -> None:
    def distilled(dataset: object, *words: object) -> Answer:
        return datm("distill", "--dataset", dataset, *FOLDER, "--config", settings, *words)

    assert_two_lines(datm("distill", "--dataset", "cifra10"), 2, "cifra10", "cifar10")

    empty = image_folder(tmp_path / "empty")
    for file in (empty / "train" / "class1").iterdir():
        file.unlink()
    assert_two_lines(distilled(empty), 1, "class1", "ls -la")

    single = image_folder(tmp_path / "single", classes=1)
    assert_two_lines(distilled(single), 1, "class", "ls ")

    corrupted = image_folder(tmp_path / "corrupted")
    (corrupted / "train" / "class2" / "005.png").write_bytes(b"\x89PNG but no more")
    assert_two_lines(distilled(corrupted), 1, "005.png", "rm ")

    few = image_folder(tmp_path / "few")
    answer = distilled(few, "--ipc", 50)
    assert_two_lines(answer, 1, "ipc 50 is more than class class0 has", "--ipc 1")
    told = distilled(few, "--ipc", 50, "--json")
    assert told.code == 1
    assert set(told.json["error"]) == {"message", "hint"}


def test_bad_settings(datm: Callable[..., Answer], settings: Path) -> None:
    typed = datm("distill", "--config", settings, "--set", "distill.sin_steps=4")
    assert_two_lines(typed, 2, "unknown key distill.sin_steps (did you mean syn_steps?)", "datm")
    several = datm("distill", "--set", "distill.syn_steps=0", "--set", "experts.optimiser=sgd")
    assert_two_lines(several, 2, "distill.syn_steps = 0: input should be", "datm")
    assert "experts.optimiser (did you mean optimizer?)" in several.err, "every problem at once"
    short = datm("distill", "--config", settings, "--set", "experts.epochs=2")
    assert_two_lines(short, 2, "experts.epochs = 2 is too short for the window", "datm")
    assert_two_lines(datm("distill", "--preset", "cifar9"), 2, "no preset cifar9", "cifar10")
    assert_two_lines(datm("distill", "--device", "tpu"), 2, "--device tpu", "--device auto")
    assert_two_lines(datm("distill", "--ipcs", 1), 2, "No such option: --ipcs", "distill --help")
    assert_two_lines(datm("distill", "--config", "no.toml"), 2, "no.toml", "ls -l .")
    assert_two_lines(datm("inspect", "nowhere"), 1, "nowhere", "datm runs")
    assert_two_lines(datm("evaluate", "nowhere"), 1, "nowhere", "datm runs")
    assert_two_lines(datm("distill", "--resume", "nowhere"), 1, "no run nowhere", "datm runs")
    assert not Path("runs").exists(), "nothing was begun"


def test_a_damaged_expert_is_named(datm: Callable[..., Answer], settings: Path) -> None:
    folder = Path(datm("experts", "--config", settings, "--quiet").out.strip())
    expert = folder / "expert-0001.safetensors"
    expert.write_bytes(expert.read_bytes()[:5000])
    answer = datm("distill", "--config", settings, "--name", "first")
    assert_two_lines(answer, 1, str(expert), f"rm {expert}")
    assert datm("runs", "--json").json["runs"][0]["status"] == "failed"
    expert.unlink()
    assert datm("distill", "--resume", "first", "--quiet").code == 0


def test_a_run_directory_that_cannot_be_made(datm: Callable[..., Answer], settings: Path) -> None:
    Path("taken").write_text("a file where a folder should be")
    answer = datm("distill", "--config", settings, "--runs-dir", "taken")
    assert_two_lines(answer, 1, "taken", "ls -ld taken")
    datm("distill", "--config", settings, "--name", "first", "--quiet")
    again = datm("distill", "--config", settings, "--name", "first")
    assert_two_lines(again, 1, "run first exists already", "datm distill --resume runs/first")


def test_a_full_disk_keeps_the_earlier_checkpoint(
    datm: Callable[..., Answer], settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fifth checkpoint meets a full disk: two lines, and the run goes on from the fourth."""
    from datm_engine import tensors
    from datm_engine.checkpoint import Checkpoint

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
    command = [sys.executable, "-m", "datm_cli", "distill", "--config", str(settings)]
    command += ["--name", "long", "--iterations", "100000"]
    env = {**os.environ, "DATM_DATA_DIR": str(data_dir), "OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    events = tmp_path / "runs/long/events.jsonl"
    deadline = time.monotonic() + 120
    while '"iteration": 5,' not in (events.read_text() if events.exists() else ""):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert out == ""
    assert "go on with: datm distill --resume runs/long" in err
    assert "Traceback" not in err
    ended = json.loads(events.read_text().splitlines()[-1])
    assert (ended["event"], ended["status"]) == ("RunEnded", "stopped")
    assert ended["iteration"] >= 5


def test_a_damaged_run_does_not_hide_the_others(
    datm: Callable[..., Answer], settings: Path
) -> None:
    datm("distill", "--config", settings, "--name", "good", "--quiet")
    datm("distill", "--config", settings, "--name", "bad", "--quiet")
    Path("runs/bad/run.json").write_text('{"config": ')
    listed = {row["run"]: row["status"] for row in datm("runs", "--json").json["runs"]}
    assert listed == {"good": "done", "bad": "damaged"}
    table = datm("runs")
    assert table.code == 0
    assert "damaged" in table.out


def test_a_run_goes_on_with_what_it_was_last_told(
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


def test_a_dataset_that_changed_is_not_mixed_in(
    datm: Callable[..., Answer], settings: Path, tmp_path: Path
) -> None:
    folder = image_folder(tmp_path / "photos")
    datm("distill", "--dataset", folder, *FOLDER, "--config", settings, "--quiet")
    kept = Path("runs/photos-ipc1/checkpoint.safetensors").read_bytes()
    (folder / "train/class0/000.png").rename(folder / "train/class0/moved-away.txt")
    answer = datm("distill", "--resume", "photos-ipc1", "--iterations", 9)
    assert_two_lines(answer, 1, "was made of other images", "--config runs/photos-ipc1/run.json")
    assert Path("runs/photos-ipc1/checkpoint.safetensors").read_bytes() == kept
    assert len(list(Path("experts").iterdir())) == 1, "nothing was trained for it"


def test_what_would_come_out_late_comes_out_before_experts(
    datm: Callable[..., Answer], settings: Path, tmp_path: Path
) -> None:
    single = image_folder(tmp_path / "single", train=1)
    answer = datm("distill", "--dataset", single, *FOLDER, "--config", settings)
    assert_two_lines(answer, 2, "too few images to hold any out", "evaluate.selection=last")
    few = image_folder(tmp_path / "few")
    answer = datm("distill", "--dataset", few, *FOLDER, "--config", settings, "--ipc", 50)
    assert_two_lines(answer, 1, "ipc 50 is more than", "--ipc 1")
    assert not Path("experts").exists()


def test_a_run_that_learned_nothing_does_not_end_as_done(
    datm: Callable[..., Answer], settings: Path
) -> None:
    nothing = ["--set", "distill.threshold=1e-9"]
    answer = datm("distill", "--config", settings, *nothing)
    assert_two_lines(answer, 1, "no step was taken in the last 8 iterations", "--set distill.")
    assert "iteration 1 took no step: the matching loss is above the threshold" in answer.err
    assert answer.err.count("took no step") == 1, "each reason is told once"


def test_more_bad_input(datm: Callable[..., Answer], settings: Path, tmp_path: Path) -> None:
    loose = tmp_path / "loose.toml"
    loose.write_text("distill = 5")
    assert_two_lines(datm("distill", "--config", loose), 2, "distill stands outside", "ls -l")
    run = tmp_path / "run.json"
    run.write_text('{"config": [1]}')
    assert_two_lines(datm("distill", "--config", run), 2, "is no run.json", "ls -l")
    for wrong in ("dataset.name=5", "distill.ipc=abc", "distill.ipc=true"):
        answer = datm("distill", "--set", wrong)
        assert_two_lines(answer, 2, wrong.split("=")[0], "datm")
    assert_two_lines(datm("distill", "--dataset", ""), 2, "name is empty", "digits")
    assert_two_lines(datm("distill", "--name", "a" * 300), 2, "folder's name", "--name my-run")
    datm("distill", "--config", settings, "--name", "r", "--quiet")
    other = image_folder(tmp_path / "other")
    answer = datm("evaluate", "r", "--dataset", other)
    assert_two_lines(answer, 1, "images of 3×16×16", "datm evaluate r")
    assert_two_lines(datm("evaluate", "r", "--networks", "foo"), 2, "evaluate.networks", "datm")
    assert_two_lines(datm("evaluate", "r", "--networks", ""), 2, "evaluate.networks", "datm")
    assert datm("evaluate", "runs/r", "--repeats", 1, "--networks", "mlp, lenet", "-q").code == 0
    bare = datm()
    assert "Usage" in bare.out + bare.err
    assert "error:" not in bare.err


@pytest.mark.parametrize(
    "damage", ['{"config": [1]}', '{"config": {"dataset": 3}}', '{"config": {}, "created": "x"}']
)
def test_any_damaged_run_is_listed_as_such(
    damage: str, datm: Callable[..., Answer], settings: Path
) -> None:
    datm("distill", "--config", settings, "--name", "r", "--quiet")
    Path("runs/r/run.json").write_text(damage)
    assert [row["status"] for row in datm("runs", "--json").json["runs"]] == ["damaged"]
    for command in ("evaluate", "inspect"):
        answer = datm(command, "r")
        assert "a fault in datm" not in answer.err


def test_an_unreadable_log_is_told(datm: Callable[..., Answer], settings: Path) -> None:
    datm("distill", "--config", settings, "--name", "r", "--quiet")
    Path("runs/r/events.jsonl").unlink()
    Path("runs/r/events.jsonl").mkdir()
    assert [row["status"] for row in datm("runs", "--json").json["runs"]] == ["damaged"]
    assert_two_lines(datm("inspect", "r"), 1, "events.jsonl cannot be read", "ls -l runs/r")


def test_a_folder_is_found_from_elsewhere(
    datm: Callable[..., Answer], settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_folder(tmp_path / "photos")
    datm("distill", "--dataset", "photos", *FOLDER, "--config", settings, "--quiet", "--name", "r")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file = tmp_path / "runs/r/distilled.safetensors"
    assert datm("evaluate", file, "--repeats", 1, "--json").code == 0
