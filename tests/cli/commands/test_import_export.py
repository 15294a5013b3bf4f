"""`datm import` and `datm export` as a person types them, from others' files and back."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image

from datm_engine.data import built_in
from datm_engine.interop import tracking
from datm_engine.runs.events import Emit, Event, Matched
from datm_engine.settings.image_size import Shape
from datm_engine.synthetic import SyntheticSet
from tests.cli.conftest import FOLDER, Answer, assert_two_lines, image_folder
from tests.interop.conftest import official_buffer, official_images, write_datm, write_dc, write_mtt

Datm = Callable[..., Answer]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "photos")


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """DATM's three files, for 16×16 images."""
    monkeypatch.setattr("tests.interop.conftest.official_images", lambda: official_images(16))
    return write_datm(tmp_path / "theirs")


def of(photos: Path, settings: Path) -> list[object]:
    return ["--dataset", photos, "--config", settings, *FOLDER]


def test_import_evaluate_export_again(
    datm: Datm, theirs: list[Path], photos: Path, settings: Path
) -> None:
    answer = datm("import", *theirs, "--to", "set", "--json", *of(photos, settings))
    assert answer.code == 0, answer.err
    assert answer.json == {
        "file": "set.safetensors",
        "images": 6,
        "ipc": 2,
        "classes": 3,
        "syn_lr": pytest.approx(0.0123),
        "syn_lr_from": "from lr_*.pt",
        "preprocessing": "normalize",
    }
    row = datm("evaluate", "set.safetensors", "--against", "none", "--json").json["results"][0]
    assert (row["images"], row["repeats"]) == (6, 2)
    assert 0 <= row["accuracy_mean"] <= 100
    assert datm("inspect", "set.safetensors", "--json").json["ipc"] == 2
    answer = datm("export", "set.safetensors", "--format", "official", "--to", "again", "--json")
    assert len(answer.json["files"]) == 3
    for path in theirs:
        before = torch.load(path, weights_only=True)
        after = torch.load(Path("again") / path.name, weights_only=True)
        assert torch.equal(before, after)
        assert before.dtype == after.dtype


def test_what_is_converted_is_noted_and_pixels_are_preprocessed(
    datm: Datm, tmp_path: Path, photos: Path, settings: Path
) -> None:
    pixels = (official_images(16).abs() * 100).clamp(0, 255).to(torch.uint8)
    torch.save(pixels, tmp_path / "images.pt")
    torch.save(torch.tensor([2, 0, 1, 0, 2, 1]).int(), tmp_path / "labels.pt")
    files = [tmp_path / "images.pt", tmp_path / "labels.pt"]
    answer = datm("import", *files, "--to", "set", *of(photos, settings))
    assert answer.code == 0, answer.err
    text = " ".join(answer.err.split())
    assert "labels.pt: labels are torch.int32 [6]: read as class numbers" in text
    assert "labels.pt: images and labels are sorted class after class" in text
    assert "images are uint8 pixels: preprocessed as real images are" in text
    made = SyntheticSet.load("set.safetensors")
    assert torch.equal(made.images, made.preprocess(pixels[[1, 3, 2, 5, 0, 4]]))
    refused = datm("import", *files, "--to", "other", "--lr", 0.1)
    assert_two_lines(refused, 2, "uint8 pixels", "--dataset cifar10")


def test_zca_is_fitted_on_all_training_images(
    datm: Datm, theirs: list[Path], photos: Path, settings: Path
) -> None:
    zca = ["--set", "dataset.preprocessing=zca"]
    answer = datm("import", *theirs, "--to", "set", *of(photos, settings), *zca)
    assert "whitened, ε = 0.1, fitted on 36 training images" in answer.err
    made = SyntheticSet.load("set.safetensors")
    images = torch.stack([_pixels(path) for path in sorted((photos / "train").glob("*/*.png"))])
    whitened = made.preprocess(images)
    assert abs(float(whitened.mean())) < 1e-4
    assert made.config["dataset"]["validation"] == 0


def _pixels(path: Path) -> torch.Tensor:
    image = Image.open(path)
    return (
        torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        .reshape(16, 16, 3)
        .permute(2, 0, 1)
    )


def test_where_the_rate_is_from_is_said(
    datm: Datm, tmp_path: Path, photos: Path, settings: Path, theirs: list[Path]
) -> None:
    mtt = write_mtt(tmp_path / "mtt")
    result = datm("import", *mtt, "--to", "a", *of(photos, settings))
    assert result.code == 0, result.err
    again = datm("import", *mtt, "--to", "a", *of(photos, settings))
    assert_two_lines(again, 2, "a.safetensors is there already", "--to a-2")
    assert "learning rate 0.05, evaluate.real_lr of the preset" in result.err
    result = datm("import", *theirs, "--to", "b", "--lr", 0.2, *of(photos, settings))
    assert "learning rate 0.2, from --lr" in result.err
    assert SyntheticSet.load("b.safetensors").syn_lr == pytest.approx(0.2)
    refused = datm("import", *mtt, "--to", "c", "--lr", 0)
    assert_two_lines(refused, 2, "a rate is above 0", "--lr 0.01")
    refused = datm("import", *mtt, "--to", "c")
    assert_two_lines(refused, 2, "no learning rate", "--lr 0.01")
    assert datm(*shlex.split(refused.hint)[1:]).code == 0


def test_labels_that_look_like_probabilities_are_said(datm: Datm, theirs: list[Path]) -> None:
    assert "sum to 1" not in datm("import", *theirs, "--to", "logits").err
    probabilities = torch.load(theirs[1], weights_only=True).softmax(dim=1)
    torch.save(probabilities, theirs[1])
    assert "sum to 1" in datm("import", *theirs, "--to", "set").err
    assert torch.equal(SyntheticSet.load("set.safetensors").labels, probabilities)


def test_which_experiment_is_said(
    datm: Datm, tmp_path: Path, theirs: list[Path], photos: Path, settings: Path
) -> None:
    path = write_dc(tmp_path / "dc")
    result = datm("import", path, "--to", "dc", "--experiment", 1, *of(photos, settings))
    assert result.code == 0, result.err
    assert "2 sets in res_DC_CIFAR10_ConvNet_2ipc.pt; number 1 is read" in result.err
    assert torch.equal(SyntheticSet.load("dc.safetensors").images, official_images(16) + 1)


def test_without_its_dataset_a_set_can_only_be_exported(datm: Datm, theirs: list[Path]) -> None:
    assert datm("import", *theirs, "--to", "set").code == 0
    assert datm("export", "set.safetensors", "--format", "dcbench", "--to", "out").code == 0
    for words in (
        ["evaluate", "set.safetensors"],
        ["inspect", "set.safetensors", "--no-tui"],
        ["export", "set.safetensors", "--format", "images", "--to", "png"],
    ):
        assert_two_lines(datm(*words), 1, "without a dataset", "datm import --help")


def test_experts_of_a_buffer_are_distilled_from(
    datm: Datm, tmp_path: Path, photos: Path, settings: Path
) -> None:
    official_buffer(tmp_path / "replay_buffer_0.pt", size=16, epochs=5)
    answer = datm("import", "replay_buffer_0.pt", "--to", "mtt", *of(photos, settings))
    assert answer.code == 0, answer.err
    folder = Path(answer.out.strip())
    assert folder.name.startswith("mtt-")
    assert "of 36 training images of photos correctly" in " ".join(answer.err.split())
    assert json.loads((folder / "experts.json").read_text())["count"] == 2
    following = shlex.split(answer.err.split("match them: ")[1])
    rest = ["--ipc", 1, "--name", "r"]
    done = datm(*following[1:], *rest)
    assert done.code == 0, done.err
    assert "may have seen the held-out images" in done.err
    assert list(Path("experts").iterdir()) == [folder]  # none was trained
    assert datm("distill", "--resume", "r", "--iterations", 10, "--json").json["iterations"] == 10


def test_a_dataset_is_not_downloaded_to_check_experts(
    datm: Datm, tmp_path: Path, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = built_in.BuiltIn(Shape(3, 3, 16, 16), (10, 10, 10), files=("missing.tar.gz",))
    monkeypatch.setitem(built_in.BUILT_IN, "cifar10", small)  # type: ignore[arg-type]
    monkeypatch.delattr("datm_cli.imports.check_accuracy")
    official_buffer(tmp_path / "replay_buffer_0.pt", size=16, epochs=5)
    words = ["--dataset", "cifar10", "--config", settings, *FOLDER]
    answer = datm("import", "replay_buffer_0.pt", "--to", "mtt", *words)
    assert answer.code == 0, answer.err
    said = " ".join(answer.err.split())
    assert "accuracy is not checked: cifar10 is not yet below" in said
    assert (
        "datm import replay_buffer_0.pt --to mtt --dataset cifar10 --preset digits --config" in said
    )


def test_wrong_experts_are_reported(datm: Datm, photos: Path, settings: Path) -> None:
    torch.save([], "replay_buffer_0.pt")
    answer = datm("import", "replay_buffer_0.pt", "--to", "x", *of(photos, settings))
    assert_two_lines(answer, 1, "no list of experts", "ls -l")
    assert not Path("experts").exists()
    answer = datm("import", "replay_buffer_0.pt", "--to", "a/b", *of(photos, settings))
    assert_two_lines(answer, 2, "to 'a/b' cannot be a folder's name", "--to theirs")
    answer = datm("import", "replay_buffer_0.pt", "--to", "x")
    assert_two_lines(answer, 2, "with the dataset they were trained on", "--dataset cifar10")
    missing = ["--set", "experts.imported=nothing", "--config", settings, *FOLDER]
    answer = datm("distill", "--dataset", photos, "--ipc", 1, *missing)
    assert_two_lines(answer, 2, "no set was imported under that name", "ls experts")
    assert not Path("runs").exists(), "nothing is begun"


def test_code_in_a_file_is_refused(datm: Datm, theirs: list[Path]) -> None:
    torch.save({"x": Path("y")}, theirs[0])
    answer = datm("import", *theirs, "--to", "set")
    assert_two_lines(answer, 1, "could run code", "ls -l")
    assert not Path("set.safetensors").exists()


def test_a_set_of_other_images_is_reported(
    datm: Datm, tmp_path: Path, photos: Path, settings: Path
) -> None:
    files = write_datm(tmp_path / "small")
    answer = datm("import", *files, "--to", "set", *of(photos, settings))
    assert_two_lines(answer, 1, "images (3, 8, 8), and photos has 3 of (3, 16, 16)", "--config")
    assert not Path("set.safetensors").exists()


@pytest.fixture
def run(datm: Datm, settings: Path) -> str:
    assert datm("distill", "--config", settings, "--name", "r", "--quiet").code == 0
    return "r"


def test_a_run_in_every_form(datm: Datm, run: str) -> None:
    assert datm("export", run, "--format", "images", "--to", "png").code == 0
    assert len(list(Path("png").glob("[0-9]/0000.png"))) == 10
    assert datm("export", run, "--format", "grid", "--to", "grid.png").code == 0
    assert Image.open("grid.png").format == "PNG"
    assert datm("export", run, "--format", "official", "--last", "--to", "last").code == 0
    selected = torch.load("last/images_best.pt", weights_only=True)
    assert selected.shape == (10, 1, 8, 8)
    again = datm("export", run, "--format", "official", "--to", "last")
    assert_two_lines(again, 2, "is there already", "--to last-2")
    answer = datm("export", run, "--format", "ddranking", "--to", "x")
    assert_two_lines(answer, 2, "and not digits", "--format official")
    answer = datm("export", run, "--format", "csv", "--to", "x")
    assert_two_lines(answer, 2, "--format csv", "--format official")
    answer = datm("export", run, "--format", "grid", "--to", "x.pdf")
    assert_two_lines(answer, 2, "x.pdf", "--to x.png")
    answer = datm("export", run, "--format", "parquet", "--to", ".")
    assert_two_lines(answer, 2, "--to .: has no name of its own", "--to parquet")
    answer = datm("import", "last/images_best.pt", "last/labels_best.pt", "--to", ".")
    assert_two_lines(answer, 2, "--to .: has no name of its own", "--to theirs")
    answer = datm("export", "r/..", "--format", "official", "--to", "x")
    assert_two_lines(answer, 1, "no run r/..", "datm runs")
    path = f"runs/{run}/distilled.safetensors"
    answer = datm("export", path, "--format", "tensorboard", "--to", "x")
    assert_two_lines(answer, 2, "only runs have events", "--format official")


def test_a_run_that_is_logged_as_it_goes(datm: Datm, settings: Path) -> None:
    pytest.importorskip("tensorboard")
    words = ["--config", settings, "--name", "logged", "--quiet", "--log", "tensorboard"]
    assert datm("distill", *words).code == 0
    assert list(Path("runs/logged/tensorboard").glob("events*"))
    assert datm("export", "logged", "--format", "tensorboard", "--to", "tb").code == 0
    assert list(Path("tb").glob("events*"))


def test_a_run_that_goes_on_is_logged_as_before(
    datm: Datm, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history: list[list[Event]] = []

    @contextmanager
    def board(*_: object) -> Iterator[Emit]:
        history.append([])
        yield history[-1].append

    monkeypatch.setattr(tracking, "tensorboard", board)
    monkeypatch.setattr(tracking, "require", lambda *_, **__: None)
    words = ["--config", settings, "--name", "logged", "--quiet"]
    assert datm("distill", *words, "--iterations", 2, "--log", "tensorboard").code == 0
    assert datm("distill", "--resume", "logged", "--iterations", 4, "--quiet").code == 0
    steps = [[e.iteration for e in events if isinstance(e, Matched)] for events in history]
    assert steps == [[1, 2], [3, 4]]
    assert datm("distill", "--resume", "logged", "--log", "", "--quiet").code == 0
    assert datm("distill", "--resume", "logged", "--quiet").code == 0
    assert len(history) == 2, "an empty --log turned it off"


def test_a_tracker_that_is_missing_is_reported_before_any_work(
    datm: Datm, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    answer = datm("distill", "--config", settings, "--log", "wandb")
    assert_two_lines(answer, 1, "log wandb takes a package", "pip install 'datm[wandb]'")
    assert not Path("runs").exists()
