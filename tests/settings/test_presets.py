"""The presets against the published table."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from datm_engine.settings import config, presets

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
        precision="run",
        snapshots="float32",
        order="random",
        early_stop=False,
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


@pytest.mark.slow
def test_presets_and_templates_travel_inside_the_wheel(tmp_path: Path) -> None:
    root = presets.folder().parent
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, root]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("datm-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
        archive.extractall(tmp_path / "installed")
    methods = [f"methods/{name}" for name in presets.methods() if name != "datm"]
    common = [f"common/{path.stem}" for path in (presets.folder() / "common").glob("*.toml")]
    for name in (*presets.names(), *methods, *common):
        assert f"datm_engine/presets/{name}.toml" in inside
    for template in (root / "datm_cli/report/templates").iterdir():
        assert f"datm_cli/report/templates/{template.name}" in inside
    assert not [path for path in inside if path.startswith(("presets/", "tests/"))]

    script = "from datm_engine.settings import presets; print(presets.folder(), *presets.names())"
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "installed",
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert Path(found[0]) == tmp_path / "installed" / "datm_engine" / "presets"
    assert tuple(found[1:]) == presets.names()
