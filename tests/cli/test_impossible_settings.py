"""What cannot be made is refused before a run is begun, or leaves none behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from datm_engine.data import built_in, datasets
from datm_engine.data.description import smallest_class
from datm_engine.data.image_sets import FullSet, ImageSet
from datm_engine.data.readers.reader import LoadOptions
from datm_engine.data.readers.safetensors_file import save
from datm_engine.runs.events import ignore
from datm_engine.settings.config import build, overlay
from datm_engine.settings.presets import load
from tests.cli.conftest import FOLDER, Answer, assert_two_lines, image_folder

Datm = Callable[..., Answer]


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (["--ipc", 999999], 1, "ipc 999999 is more than a class of digits has", "--ipc 1"),
        (
            ["--dataset", "cifar100", "--ipc", 481, "--set", "dataset.train_images=50000"],
            1,
            "cifar100 has: 480 training",
            "--ipc 480",
        ),
        (["--dataset", "no/folder"], 2, "no/folder is neither a path", "--dataset "),
        (["--set", "distill.ipc=many"], 2, "distill.ipc = 'many'", "distill --help"),
        (["--config", "broken.toml"], 2, "broken.toml: not TOML", "ls -l broken.toml"),
        (["--resolution", 3], 2, "'--resolution'", "distill --help"),
        (["--set", "experts.imported=none-such"], 2, "none-such", "ls "),
        (["--preset", "none-such"], 2, "there is no preset none-such", "--preset "),
    ],
)
def test_it_is_refused_before_a_run_is_begun(
    words: list[object], code: int, message: str, hint: str, datm: Datm
) -> None:
    Path("broken.toml").write_text("[distill")
    answer = datm("distill", "--quiet", *words)
    assert_two_lines(answer, code, message, hint)
    assert not Path("runs").exists()


def test_an_impossible_ipc_of_a_folder_is_known_without_decoding(
    datm: Datm, settings: Path, tmp_path: Path
) -> None:
    folder = image_folder(tmp_path / "few")
    (folder / "train/class1/000.png").unlink()
    (folder / "train/class2/005.png").write_bytes(b"not decoded")
    words = ["--dataset", folder, *FOLDER, "--config", settings, "--quiet"]
    answer = datm("distill", *words, "--ipc", 50)
    assert_two_lines(answer, 1, "ipc 50 is more than class class1 has: 9 training", "--ipc 9")
    assert not Path("runs").exists()
    for kind in ("window", "methods"):
        study = datm("study", kind, *words, "--ipc", "1,50")
        assert_two_lines(study, 1, "ipc 50 is more than class class1", "--ipc 9")
    tune = datm("tune", *words, "--ipc", 50)
    assert_two_lines(tune, 1, "ipc 50 is more than class class1", "--ipc 9")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    answer = datm("distill", "--dataset", packed, *words[2:], "--ipc", 50)
    assert_two_lines(answer, 1, "ipc 50 is more than class class1 has: 9 training", "--ipc 9")
    assert not any(Path(made).exists() for made in ("runs", "studies", "tunes"))


def test_what_comes_out_later_leaves_no_run_that_holds_nothing(
    datm: Datm, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datm_engine.api.smallest_class", lambda *_: None)
    answer = datm("distill", "--config", settings, "--ipc", 5000, "--quiet")
    assert_two_lines(answer, 1, "ipc 5000 is more than class", "--ipc ")
    assert list(Path("runs").iterdir()) == []


def test_the_hint_of_a_run_that_is_gone_changes_the_command_that_was_typed(
    datm: Datm, settings: Path, tmp_path: Path
) -> None:
    folder = image_folder(tmp_path / "sizes")
    Image.new("RGB", (20, 16)).save(folder / "train/class1/000.png")
    words = ["distill", "--dataset", folder, *FOLDER, "--config", settings, "--name", "sizes"]
    answer = datm(*words, "--set", "dataset.resolution=native", "--quiet")
    assert_two_lines(answer, 2, "images differ in size", f"datm distill --dataset {folder}")
    assert answer.err.strip().endswith("--resolution 16")
    assert list(Path("runs").iterdir()) == []


def test_a_run_that_exists_is_left_as_it_is(datm: Datm, settings: Path) -> None:
    words = ["distill", "--config", settings, "--name", "r", "--quiet"]
    assert datm(*words).code == 0
    before = Path("runs/r/checkpoint.safetensors").read_bytes()
    assert_two_lines(datm(*words), 1, "run r exists already", "--resume runs/r")
    assert Path("runs/r/checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize("train_images", ["all", 100])
@pytest.mark.parametrize("validation", [0.0, 0.04, 0.3])
def test_the_number_that_is_known_is_the_number_that_is_loaded(
    train_images: int | str, validation: float, tmp_path: Path
) -> None:
    labels = torch.arange(4).repeat_interleave(torch.tensor([40, 31, 60, 33]))
    images = torch.randint(0, 256, (len(labels), 1, 4, 4), dtype=torch.uint8)
    part, other = ImageSet(images, labels), ImageSet(images.clone(), labels.clone())
    save(tmp_path / "set.safetensors", FullSet(tuple("abcd"), {"train": part, "test": other}))
    for name in ("digits", str(tmp_path / "set.safetensors")):
        over = {"dataset": {"name": name, "train_images": train_images, "validation": validation}}
        last = {"evaluate": {"selection": "last"}}
        settings = build(overlay(overlay(load("digits-ipc1"), over), last), "here").dataset
        loaded = datasets.load(
            settings.model_copy(update={"resolution": "native"}), tmp_path, emit=ignore
        )
        counts = loaded.train.labels.bincount()
        known = smallest_class(settings, tmp_path)
        assert known is not None
        assert known[1] == int(counts.min()), (name, counts)


@pytest.mark.parametrize("name", datasets.NAMES)
def test_the_labels_of_every_built_in_set_are_known(name: str, tmp_path: Path) -> None:
    known = datasets.training_counts(name, data_dir=tmp_path)
    assert known is not None
    assert set(known.parts) == {"train", "test"}
    counts = known.counts
    assert len(counts) == len(known.class_names) == datasets.peek(name, data_dir=tmp_path).classes
    images = {"digits": 1_438, "svhn": 73_257, "mnist": 60_000, "fashionmnist": 60_000}
    rest = 100_000 if name == "tinyimagenet" else 50_000
    assert int(counts.sum()) == images.get(name, rest)


def test_the_classes_of_digits_have_as_many_images_as_are_known(tmp_path: Path) -> None:
    known = datasets.training_counts("digits", data_dir=tmp_path)
    options = LoadOptions("digits", tmp_path, None, skip_damaged=False)
    full = built_in.BuiltInDataset("digits", tmp_path).load(options, emit=ignore)
    assert known is not None
    assert known.counts.tolist() == full.parts["train"].labels.bincount().tolist()


def test_what_only_loading_shows_is_not_guessed(tmp_path: Path) -> None:
    over = {"dataset": {"name": "hf:someone/else"}}
    assert (
        smallest_class(build(overlay(load("digits-ipc1"), over), "here").dataset, tmp_path) is None
    )
    (tmp_path / "empty").mkdir()
    over = {"dataset": {"name": str(tmp_path / "empty")}}
    assert (
        smallest_class(build(overlay(load("digits-ipc1"), over), "here").dataset, tmp_path) is None
    )
