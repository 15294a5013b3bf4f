"""What cannot be done is refused in two lines, before work is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FOLDER, Answer, assert_two_lines, image_folder


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
    result = distilled(few, "--ipc", 50, "--json")
    assert result.code == 1
    assert set(result.json["error"]) == {"message", "hint"}


def test_bad_settings(datm: Callable[..., Answer], settings: Path) -> None:
    typed = datm("distill", "--config", settings, "--set", "distill.sin_steps=4")
    assert_two_lines(typed, 2, "unknown key distill.sin_steps (did you mean syn_steps?)", "datm")
    several = datm("distill", "--set", "distill.syn_steps=0", "--set", "experts.optimiser=sgd")
    assert_two_lines(several, 2, "distill.syn_steps = 0: input should be", "datm")
    assert "experts.optimiser (did you mean optimizer?)" in several.err, "every problem at once"
    short = datm("distill", "--config", settings, "--set", "experts.epochs=2")
    assert_two_lines(short, 2, "experts.epochs = 2 is too short for the window", "datm")
    assert_two_lines(datm("distill", "--preset", "cifar9"), 2, "no preset cifar9", "cifar10")
    assert_two_lines(datm("distill", "--device", "tpu"), 2, "device tpu", "--device auto")
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
    assert_two_lines(datm("distill", "--dataset", ""), 2, "name is empty", "datm distill --help")
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


def test_an_unreadable_log_is_reported(datm: Callable[..., Answer], settings: Path) -> None:
    datm("distill", "--config", settings, "--name", "r", "--quiet")
    Path("runs/r/events.jsonl").unlink()
    Path("runs/r/events.jsonl").mkdir()
    assert [row["status"] for row in datm("runs", "--json").json["runs"]] == ["damaged"]
    assert_two_lines(datm("inspect", "r"), 1, "events.jsonl cannot be read", "ls -l runs/r")


def test_damaged_images_are_refused_or_skipped_and_kept_with_the_run(
    datm: Callable[..., Answer], settings: Path, tmp_path: Path
) -> None:
    folder = image_folder(tmp_path / "photos")
    (folder / "train/class0/000.png").write_bytes(b"")
    words = ("--dataset", folder, *FOLDER, "--config", settings)
    answer = datm("experts", *words)
    assert_two_lines(
        answer, 1, "000.png is not a readable image", "add --set dataset.skip_damaged=true"
    )
    assert datm("experts", *words, "--skip-damaged").code == 0
    assert datm("distill", *words, "--skip-damaged", "--quiet").code == 0
    run = Path("runs/photos-ipc1")
    assert '"skip_damaged": true' in (run / "run.json").read_text()
    assert "1 damaged image skipped: " in (run / "events.jsonl").read_text()
