"""The presets against the published table, and the rules that choose where there is no preset."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from datm_engine import config, presets
from datm_engine.data.datasets import Shape
from datm_engine.errors import ConfigError

# T⁻, T, T⁺ and the iterations of the expansion; N, M; batch; rates of labels, images and η.
PUBLISHED = {
    "cifar10-ipc1": ((0, 4, 4, 0), (80, 2), 10, (5, 100, 1e-7)),
    "cifar10-ipc10": ((0, 10, 20, 1000), (80, 2), 100, (2, 100, 1e-5)),
    "cifar10-ipc50": ((0, 20, 40, 2000), (80, 2), 500, (2, 1000, 1e-5)),
    "cifar10-ipc500": ((40, 60, 60, 0), (40, 2), 1000, (10, 50, 1e-5)),
    "cifar10-ipc1000": ((40, 60, 60, 0), (100, 2), 1000, (10, 50, 1e-5)),
    "cifar100-ipc1": ((0, 10, 20, 1000), (40, 3), 100, (10, 1000, 1e-5)),
    "cifar100-ipc10": ((0, 30, 50, 2000), (80, 2), 1000, (10, 1000, 1e-5)),
    "cifar100-ipc50": ((20, 70, 70, 0), (80, 2), 1000, (10, 1000, 1e-5)),
    "cifar100-ipc100": ((30, 70, 70, 0), (80, 2), 1000, (10, 50, 1e-5)),
    "tinyimagenet-ipc1": ((0, 15, 20, 2000), (40, 2), 200, (10, 10000, 1e-4)),
    "tinyimagenet-ipc10": ((10, 50, 50, 0), (40, 2), 500, (10, 100, 1e-4)),
    "tinyimagenet-ipc50": ((40, 70, 70, 0), (20, 2), 1000, (10, 100, 1e-4)),
}
# Preprocessing; N, M, T⁺; batch; η at first and the rates of images and of η. The headers say where
# these were published.
RELATIVES = {
    "cifar10-mtt-ipc1": ("zca", (50, 2, 2), 10, (0.01, 100, 1e-7)),
    "cifar10-mtt-ipc10": ("zca", (30, 2, 20), 100, (0.001, 100, 1e-5)),
    "cifar10-mtt-ipc50": ("normalize", (30, 2, 40), 500, (0.001, 1000, 1e-5)),
    "cifar100-mtt-ipc1": ("zca", (20, 3, 20), 100, (0.01, 1000, 1e-5)),
    "cifar100-mtt-ipc10": ("normalize", (20, 2, 20), 1000, (0.01, 1000, 1e-5)),
    "cifar100-mtt-ipc50": ("zca", (80, 2, 40), 125, (0.01, 1000, 1e-5)),
    "cifar10-ftd-ipc10": ("zca", (30, 2, 20), 100, (0.001, 100, 1e-5)),
    "cifar100-ftd-ipc10": ("zca", (20, 2, 40), 1000, (0.01, 1000, 1e-5)),
    "cifar10-tesla-ipc1": ("normalize", (50, 2, 5), 10, (0.01, 1000, 1e-7)),
    "cifar100-tesla-ipc50": ("zca", (80, 2, 40), 125, (0.01, 1000, 1e-5)),
}
# Experts, iterations, gradient and averaging.
BY_METHOD = {
    "mtt": ("sgd", 5_000, "exact", 0.0),
    "ftd": ("gsam", 5_000, "exact", 0.9995),
    "tesla": ("sgd", 10_000, "tesla", 0.0),
}
OURS = ("cifar10-small-ipc1", "cifar10-small-ipc10", "digits-ipc1", "digits-ipc10")
ALL_OPERATIONS = ["color", "crop", "cutout", "flip", "scale", "rotate"]


def built(name: str) -> config.Config:
    return config.build(presets.load(name), name)


def test_there_is_a_preset_for_every_published_cell_and_for_trying_out() -> None:
    assert sorted(presets.names()) == sorted((*PUBLISHED, *RELATIVES, *OURS))


def test_names_go_by_family_and_then_by_number() -> None:
    cifar10 = [name for name in presets.names() if name.startswith("cifar10-ipc")]
    assert cifar10 == [f"cifar10-ipc{ipc}" for ipc in (1, 10, 50, 500, 1000)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_rows_are_the_published_ones(name: str) -> None:
    distill = built(name).distill
    window, lengths, batch, rates = PUBLISHED[name]
    assert window == (
        distill.min_start_epoch,
        distill.initial_max_start_epoch,
        distill.max_start_epoch,
        distill.expansion_iterations,
    )
    assert lengths == (distill.syn_steps, distill.expert_epochs)
    assert batch == distill.batch_syn
    assert rates == (distill.lr_labels, distill.lr_images, distill.lr_lr)
    assert distill.threshold == (1.1 if name == "cifar10-ipc1" else 1.0)
    assert distill.iterations == 10_000
    assert distill.syn_lr == 0.01
    momenta = (distill.momentum_images, distill.momentum_labels, distill.momentum_lr)
    assert momenta == (0.5, 0.9, 0.5)
    odd_one_out = name == "cifar100-ipc50"
    assert distill.images == ("random" if odd_one_out else "correct")
    assert distill.label_experts == ("one" if odd_one_out else "all")
    assert distill.labels == "soft"
    assert (distill.gradient, distill.averaging) == ("exact", 0.0)


@pytest.mark.parametrize("name", PUBLISHED)
def test_experts_networks_and_evaluation_are_the_published_ones(name: str) -> None:
    settings = built(name)
    assert settings.dataset.preprocessing == "zca"
    assert settings.dataset.zca_regularization == 0.1
    assert settings.dataset.augmentation == ALL_OPERATIONS
    depth = 4 if name.startswith("tinyimagenet") else 3
    assert settings.network == config.NetworkConfig(
        architecture="convnet", width=128, depth=depth, norm="instance"
    )
    assert settings.experts == config.ExpertsConfig(
        count=100,
        epochs=100,
        optimizer="gsam",
        lr=0.01,
        momentum=0.0,
        weight_decay=0.0,
        batch=256,
        rho=0.01,
        alpha=0.3,
        seed=0,
    )
    evaluate = settings.evaluate
    assert (evaluate.epochs, evaluate.repeats, evaluate.batch) == (1000, 5, 128)
    assert (evaluate.momentum, evaluate.weight_decay) == (0.9, 0.0005)


@pytest.mark.parametrize("name", RELATIVES)
def test_the_relatives_rows_are_the_published_ones(name: str) -> None:
    settings = built(name)
    preprocessing, lengths, batch, rates = RELATIVES[name]
    distill, experts = settings.distill, settings.experts
    assert settings.dataset.preprocessing == preprocessing
    assert (distill.syn_steps, distill.expert_epochs, distill.max_start_epoch) == lengths
    assert (distill.min_start_epoch, distill.expansion_iterations) == (0, 0)
    assert distill.batch_syn == batch
    assert (distill.syn_lr, distill.lr_images, distill.lr_lr) == rates
    assert (distill.momentum_images, distill.momentum_lr) == (0.5, 0.5)
    assert (distill.images, distill.labels) == ("random", "hard")
    kind = (experts.optimizer, distill.iterations, distill.gradient, distill.averaging)
    assert kind == BY_METHOD[name.split("-")[1]]
    assert (experts.count, experts.epochs, experts.batch, experts.lr) == (100, 50, 256, 0.01)
    assert (experts.momentum, experts.weight_decay) == (0.0, 0.0)


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_complete_and_is_what_its_name_says(name: str) -> None:
    settings = built(name)  # there are no defaults: a key left out is an error
    family, _, ipc = name.rpartition("-ipc")
    assert settings.distill.ipc == int(ipc)
    assert settings.dataset.name == family.partition("-")[0]
    stated = presets.load(name)
    for table, keys in settings.model_dump(exclude={"experts": {"imported"}}).items():
        assert stated[table].keys() == keys.keys(), "nor is one left to the code"


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_opens_with_its_command_and_its_accuracy(name: str) -> None:
    text = (presets.folder() / f"{name}.toml").read_text(encoding="utf-8")
    head = text.partition("\n[")[0]
    family, _, ipc = name.rpartition("-ipc")
    dataset = family.partition("-")[0]
    asked = family if family == dataset else f"{dataset} --preset {family}"
    assert f"#   datm distill --dataset {asked} --ipc {ipc}\n" in head
    expected = "# measured: " if name in OURS else "# published: "
    stated = next(line for line in head.splitlines() if line.startswith(expected))
    assert any(character.isdigit() for character in stated), "a number, and no placeholder"


def test_a_dataset_with_presets_gets_its_own() -> None:
    chosen = presets.choose("cifar100", 10, None, None)
    assert chosen == presets.Chosen(presets.load("cifar100-ipc10"), "preset cifar100-ipc10", ())


def test_without_a_number_of_images_it_is_the_familys_fewest() -> None:
    chosen = presets.choose("tinyimagenet", None, None, None)
    assert chosen.tables == presets.load("tinyimagenet-ipc1")
    assert chosen.notes == (
        "ipc = 1, the fewest images per class that tinyimagenet has a preset for",
    )


def test_a_preset_can_be_a_family() -> None:
    chosen = presets.choose("cifar10", 10, "cifar10-small", None)
    assert chosen.tables == presets.load("cifar10-small-ipc10")


def test_a_preset_can_be_one_and_an_ipc_overrides_it() -> None:
    exact = presets.choose("cifar10", None, "cifar10-ipc50", None)
    assert exact.tables == presets.load("cifar10-ipc50")
    assert exact.notes == ()
    other = presets.choose("cifar10", 10, "cifar10-ipc50", None)
    expected = config.overlay(presets.load("cifar10-ipc50"), {"distill": {"ipc": 10}})
    assert other.tables == expected
    assert "its window may be too late" in other.notes[0]


def test_a_preset_alone_brings_its_dataset() -> None:
    chosen = presets.choose(None, None, "cifar10-small-ipc1", None)
    assert chosen.tables["dataset"]["name"] == "cifar10"


@pytest.mark.parametrize(
    ("family", "ipc", "window", "nearest"),
    [
        ("cifar10", 5, (0, 8, 15, 1000), "cifar10-ipc10"),
        ("cifar10", 2, (0, 9, 9, 0), "cifar10-ipc1"),  # the nearest window is fixed: so is this
        ("cifar10", 25, (0, 16, 31, 2000), "cifar10-ipc50"),
        ("cifar10", 200, (24, 52, 52, 0), "cifar10-ipc500"),
        ("cifar10", 5000, (40, 60, 60, 0), "cifar10-ipc1000"),
        ("cifar100", 70, (25, 70, 70, 0), "cifar100-ipc50"),
        ("tinyimagenet", 5, (7, 41, 41, 0), "tinyimagenet-ipc10"),
    ],
)
def test_between_presets_the_window_is_interpolated_and_said(
    family: str, ipc: int, window: tuple[int, int, int, int], nearest: str
) -> None:
    chosen = presets.choose(family, ipc, None, None)
    distill = config.build(chosen.tables, chosen.source).distill
    lower, initial, final, expansion = window
    expected = {
        "ipc": ipc,
        "min_start_epoch": lower,
        "initial_max_start_epoch": initial,
        "max_start_epoch": final,
        "expansion_iterations": expansion,
    }
    assert distill.model_dump() == built(nearest).distill.model_dump() | expected
    said = " ".join(chosen.notes)
    assert nearest in said
    assert "earlier window" in said or "later window" in said


@pytest.mark.parametrize("family", list(presets.families()))
def test_whatever_the_number_of_images_the_settings_hold_together(family: str) -> None:
    for ipc in (*range(1, 120), 333, 750, 4000):
        chosen = presets.choose(family, ipc, None, None)
        assert config.build(chosen.tables, chosen.source).distill.ipc == ipc


@pytest.mark.parametrize(
    ("dataset", "shape", "family", "depth"),
    [
        ("svhn", Shape(10, 3, 32, 32), "cifar10", 3),
        ("mnist", Shape(10, 1, 28, 28), "cifar10", 3),
        ("fashionmnist", Shape(10, 1, 28, 28), "cifar10", 3),
        ("a/folder", Shape(20, 3, 64, 96), "cifar10", 4),
        ("a/folder", Shape(21, 3, 8, 8), "cifar100", 1),
        ("a/folder", Shape(150, 3, 4, 4), "cifar100", 1),
        ("arrays.safetensors", Shape(151, 3, 224, 224), "tinyimagenet", 5),
        ("a/folder", Shape(1000, 3, None, None), "tinyimagenet", 4),
    ],
)
def test_a_dataset_without_presets_gets_a_family_by_its_shape(
    dataset: str, shape: Shape, family: str, depth: int
) -> None:
    chosen = presets.choose(dataset, 10, None, shape)
    tables = chosen.tables
    settings = config.build(tables, chosen.source)
    assert chosen.source == f"preset {family}-ipc10"
    assert settings.dataset.name == dataset
    assert settings.network.depth == depth
    flipped = dataset not in ("mnist", "svhn")
    assert ("flip" in settings.dataset.augmentation) == flipped
    assert settings.distill == built(f"{family}-ipc10").distill
    assert f"{shape.classes} classes" in chosen.notes[0]
    assert any("depth" in note for note in chosen.notes) == (
        depth != built(f"{family}-ipc10").network.depth
    )
    assert any("without flip" in note for note in chosen.notes) == (not flipped)


def test_the_presets_themselves_are_left_as_they_are() -> None:
    before = presets.load("cifar10-ipc10")
    presets.choose("mnist", 12, None, Shape(10, 1, 28, 28))
    assert presets.load("cifar10-ipc10") == before


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("cifar10-smal", "cifar10-small"), ("cifar100-ipc11", "cifar100-ipc1"), ("digit", "digits")],
)
def test_an_unknown_preset_is_an_error_with_the_nearest_name(wrong: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {near}") as error:
        presets.choose("cifar10", 1, wrong, None)
    assert error.value.hint == f"--preset {near}"


def test_what_resembles_no_preset_is_an_error_that_lists_the_families() -> None:
    with pytest.raises(ConfigError, match=r"cifar10, .*cifar10-small, .*cifar100, .*digits"):
        presets.load("../../etc/passwd")


@pytest.mark.parametrize(("dataset", "ipc"), [("cifar10", 0), ("a/folder", 1), (None, 1)], ids=str)
def test_nothing_to_choose_from_is_an_error(dataset: str | None, ipc: int) -> None:
    with pytest.raises(ConfigError) as error:
        presets.choose(dataset, ipc, None, None)
    assert error.value.hint


def overlaid(method: str) -> presets.Tables:
    return config.read_toml(presets.folder() / "methods" / f"{method}.toml")


@pytest.mark.parametrize("method", [name for name in presets.methods() if name != "datm"])
@pytest.mark.parametrize("name", ["digits-ipc1", "cifar10-ipc1000", "tinyimagenet-ipc10"])
def test_a_method_is_the_preset_but_for_its_own_keys(method: str, name: str) -> None:
    chosen = presets.choose(None, None, name, None)
    as_method = presets.with_method(chosen, method, iterations=10_000)
    settings = config.build(as_method.tables, as_method.source)
    expected = config.build(config.overlay(chosen.tables, overlaid(method)), name)
    assert settings == expected
    changed = config.differences(built(name), settings)
    stated = {f"{table}.{key}" for table, keys in overlaid(method).items() for key in keys}
    assert set(changed) <= stated
    assert as_method.source == f"preset {name}, method {method}"
    (told,) = [note for note in as_method.notes if note.startswith(f"method {method}: ")]
    assert all(key in told for key in changed)
    assert not [key for key in stated - set(changed) if f"{key} = " in told]


def test_what_each_method_is() -> None:
    def has(method: str) -> tuple[str, str, str, str, float]:
        chosen = presets.choose(None, None, "cifar10-ipc10", None)
        settings = config.build(presets.with_method(chosen, method).tables, method)
        distill = settings.distill
        assert distill.threshold > 1e6 or method == "datm"
        assert (distill.expansion_iterations == 0) == (method != "datm")
        assert distill.images == ("correct" if method == "datm" else "random")
        return (
            settings.experts.optimizer,
            distill.labels,
            distill.label_experts if distill.lr_labels == 0 else "learned",
            distill.gradient,
            distill.averaging,
        )

    later = {"att", "fyi", "mct", "nearest", "pad"}
    assert set(presets.methods()) == {"datm", "ftd", "mtt", "tesla"} | later
    assert has("datm") == ("gsam", "soft", "learned", "exact", 0.0)
    assert has("mtt")[:2] == ("sgd", "hard")
    assert has("mtt")[3:] == ("exact", 0.0)
    assert has("ftd")[:2] == ("gsam", "hard")
    assert has("ftd")[3:] == ("exact", 0.9995)
    assert has("tesla") == ("sgd", "soft", "one", "tesla", 0.0)
    assert has("att") == has("mct") == has("mtt")
    chosen = presets.choose(None, None, "cifar10-ipc10", None)
    over = config.overlay(chosen.tables, {"distill": {"ending": "nearest"}})
    assert presets.with_method(chosen, "nearest").tables == over, "nothing else"
    mirrored = {"distill": {"mirrored": True}, "evaluate": {"mirrored": True}}
    over = config.overlay(chosen.tables, mirrored)
    assert presets.with_method(chosen, "fyi").tables == over, "nothing else"


def test_what_each_method_that_came_after_is() -> None:
    def has(method: str) -> tuple[str, float, str, str]:
        chosen = presets.choose(None, None, "cifar10-ipc10", None)
        settings = config.build(presets.with_method(chosen, method).tables, method)
        distill = settings.distill
        return settings.experts.order, distill.matched_share, distill.ending, distill.trajectories

    for earlier in ("datm", "mtt", "ftd", "tesla", "fyi"):
        assert has(earlier) == ("random", 1.0, "last", "real")
    assert has("pad") == ("easy-first", 0.5, "last", "real")
    assert has("att") == has("nearest") == ("random", 1.0, "nearest", "real")
    assert has("mct") == ("random", 1.0, "last", "convex")


@pytest.mark.parametrize(
    ("method", "paper"),
    [
        ("mtt", "CVPR 2022"),
        ("ftd", "CVPR 2023"),
        ("tesla", "ICML 2023"),
        ("pad", "2408.03360"),
        ("att", "ECCV 2024"),
        ("mct", "CVPR 2025"),
        ("nearest", "ECCV 2024"),
        ("fyi", "ECCV 2024"),
    ],
)
def test_every_method_opens_with_its_paper_and_its_command(method: str, paper: str) -> None:
    text = (presets.folder() / "methods" / f"{method}.toml").read_text(encoding="utf-8")
    head = " ".join(text.partition("\n[")[0].split())
    assert paper in head
    assert f"datm distill --method {method}" in head
    assert ("APPROXIMATION" in head) == (method == "tesla")


def test_datm_is_the_preset_as_it_is() -> None:
    chosen = presets.choose("cifar10", 12, None, None)
    assert presets.with_method(chosen, "datm") is chosen


@pytest.mark.parametrize(("iterations", "decay"), [(None, 0.9876), (1000, 0.9975), (2, 0.2864)])
def test_a_short_run_averages_over_the_same_share_of_it(
    iterations: int | None, decay: float
) -> None:
    chosen = presets.choose("digits", 1, None, None)  # 200 iterations
    fitted = presets.with_method(chosen, "ftd", iterations)
    assert fitted.tables["distill"]["averaging"] == decay
    assert decay ** (iterations or 200) == pytest.approx(0.9995**5000, rel=0.02)
    assert f"distill.averaging = {decay}" in fitted.notes[-1]
    long = presets.with_method(chosen, "ftd", 5000)
    assert long.tables["distill"]["averaging"] == 0.9995


def test_a_method_names_its_own_published_settings() -> None:
    def told(dataset: str, preset: str | None, method: str) -> str:
        chosen = presets.choose(dataset, 10, preset, None)
        return " ".join(presets.with_method(chosen, method).notes)

    assert "--preset cifar10-mtt" in told("cifar10", None, "mtt")
    assert "--preset cifar100-ftd" in told("cifar100", None, "ftd")
    assert "--preset" not in told("digits", None, "mtt")
    assert "--preset" not in told("cifar10", "cifar10-mtt", "mtt"), "they are in use"


@pytest.mark.parametrize(("wrong", "hint"), [("mt", "mtt"), ("TESLA", "tesla"), ("x", "datm")])
def test_an_unknown_method_is_an_error_with_the_nearest(wrong: str, hint: str) -> None:
    chosen = presets.choose("digits", 1, None, None)
    with pytest.raises(ConfigError, match=f"there is no method {wrong}.*{hint}") as error:
        presets.with_method(chosen, wrong)
    assert error.value.hint == f"--method {hint}"


@pytest.mark.slow
def test_the_presets_travel_inside_the_wheel(tmp_path: Path) -> None:
    root = presets.folder().parent
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, root]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("datm-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
        archive.extractall(tmp_path / "installed")
    methods = [f"methods/{name}" for name in presets.methods() if name != "datm"]
    for name in (*presets.names(), *methods):
        assert f"datm_engine/presets/{name}.toml" in inside
    assert not [path for path in inside if path.startswith(("presets/", "tests/"))]

    script = "from datm_engine import presets; print(presets.folder(), *presets.names())"
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "installed",
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert Path(found[0]) == tmp_path / "installed" / "datm_engine" / "presets"
    assert tuple(found[1:]) == presets.names()
