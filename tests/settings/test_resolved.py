"""Where each setting comes from: the strongest source that states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from datm_engine.errors import ConfigError
from datm_engine.settings import presets
from datm_engine.settings.config import DatasetConfig
from datm_engine.settings.derived.values import DERIVABLE, WINDOW
from datm_engine.settings.image_size import Shape
from datm_engine.settings.origins import Layer, SettingOrigin, Source
from datm_engine.settings.resolved import Request, Resolved, resolve


@dataclass(frozen=True)
class Described:
    """A dataset of 10 classes of 400 images each."""

    name: str

    @property
    def shape(self) -> Shape:
        return Shape(10, 3, 64, 64)

    @property
    def is_built_in(self) -> bool:
        return self.name in ("digits", "cifar10")

    def training_images(self, settings: DatasetConfig) -> int | None:
        return 4000

    def has_validation(self) -> bool | None:
        return False


def layer(source: Source, detail: str, **tables: Mapping[str, Any]) -> Layer:
    return Layer(tables, SettingOrigin(source, detail))


def resolved(dataset: str, ipc: int, *layers: Layer, **request: Any) -> Resolved:
    names = layer(Source.OPTION, "--ipc", dataset={"name": dataset}, distill={"ipc": ipc})
    return resolve(Request([*layers, names], **request), Described)


def test_a_presets_settings_come_from_it() -> None:
    found = resolved("cifar10", 10)
    assert found.source == "preset cifar10-ipc10"
    assert found.derive == ()
    sources = {key: origin for key, origin in found.origins.items() if key != "dataset.name"}
    assert sources.pop("distill.ipc") == SettingOrigin(Source.OPTION, "--ipc")
    assert set(sources.values()) == {SettingOrigin(Source.PRESET, "cifar10-ipc10")}
    assert {f"{t}.{k}" for t, keys in found.config.model_dump().items() for k in keys} - {
        "experts.imported"
    } == set(found.origins)


def test_the_strongest_source_wins() -> None:
    file = layer(Source.FILE, "my.toml", distill={"syn_steps": 5, "threshold": 2.0, "lr_lr": 1e-3})
    option = layer(Source.OPTION, "--set", distill={"lr_lr": 1e-4})
    found = resolved("cifar10", 10, file, option, method="mtt", window="late")
    origins = {key: str(origin) for key, origin in found.origins.items()}
    assert origins["distill.iterations"] == "preset cifar10-ipc10"
    assert origins["distill.images"] == "method mtt"
    assert origins["distill.threshold"] == "my.toml", "the method sets it too"
    assert origins["distill.lr_lr"] == "--set", "the file sets it too"
    assert {origins[f"distill.{key}"] for key in WINDOW} == {"window late"}
    assert found.config.distill.lr_lr == 1e-4
    assert found.source == "preset cifar10-ipc10, method mtt, my.toml, window late"
    assert found.variant == "-mtt-late"


def test_the_learning_rate_of_images_of_an_unknown_dataset_is_left_to_calibration() -> None:
    found = resolved("/photos", 3)
    assert found.derive == DERIVABLE
    origin = found.origins["distill.lr_images"]
    assert origin.source is Source.CALIBRATION
    assert str(origin) == "calibration after the experts; preset cifar10-ipc1 until then"
    assert found.origins["network.depth"].source is Source.RULE
    assert "4,000 training images" in str(found.origins["experts.batch"])
    stated = layer(Source.OPTION, "--set", distill={"lr_images": 3.0}, network={"depth": 2})
    held = resolved("/photos", 3, stated)
    assert "lr_images" not in held.derive
    assert str(held.origins["distill.lr_images"]) == "--set"
    assert "network.depth" in {note.key for note in found.notes}
    assert "network.depth" not in {note.key for note in held.notes}, "the user sets it"


def test_the_steps_that_the_number_of_images_decides_are_known_before_the_experts() -> None:
    found = resolved("/photos", 3)  # 4,000 images in batches of 128
    assert (found.config.distill.expert_epochs, found.config.distill.syn_steps) == (2, 20)
    until = "calibration after the experts; for 32 steps an epoch until then"
    assert str(found.origins["distill.syn_steps"]) == until
    longer = layer(Source.OPTION, "--set", distill={"expert_epochs": 5})
    assert resolved("/photos", 3, longer).config.distill.syn_steps == 30
    kept = resolved("/photos", 3, no_calibration="for a reason").config.distill
    assert kept.syn_steps == 80, "nothing is derived, so the preset holds"


def test_between_two_presets_the_window_comes_from_both() -> None:
    found = resolved("cifar10", 20, preset="cifar10")
    assert found.presets == ("cifar10-ipc10", "cifar10-ipc50")
    assert found.origins["distill.max_start_epoch"].source is Source.PRESETS
    assert found.origins["distill.lr_images"] == SettingOrigin(Source.PRESET, "cifar10-ipc10")


def test_without_calibration_nothing_is_derived() -> None:
    found = resolved("/photos", 3, no_calibration="for a reason")
    assert found.derive == ()
    assert found.messages()[-1] == "for a reason"
    assert not [o for o in found.origins.values() if o.source is Source.CALIBRATION]


def test_a_key_of_the_window_is_not_set_beside_it() -> None:
    stated = layer(Source.OPTION, "--set", distill={"max_start_epoch": 3})
    with pytest.raises(ConfigError, match=r"distill\.max_start_epoch is given twice"):
        resolved("cifar10", 10, stated, window="late")


def test_a_preset_brings_its_dataset() -> None:
    found = resolve(Request(preset="cifar10-small"), Described)
    assert found.config.dataset.name == "cifar10"
    assert found.config.model_dump(exclude={"experts": {"imported"}}) == presets.load(
        "cifar10-small-ipc1"
    )


def test_derived_settings_let_held_out_images_decide_when_experts_stop() -> None:
    found = resolved("/photos", 3)
    assert found.config.experts.early_stop
    assert found.config.distill.label_epoch == "best"
    assert found.origins["experts.early_stop"].source is Source.RULE
    assert "experts.early_stop" in {note.key for note in found.notes}
    published = resolved("cifar10", 10).config
    assert (published.experts.early_stop, published.distill.label_epoch) == (False, "last")


@pytest.mark.parametrize(
    ("tables", "request_", "early_stop", "label_epoch"),
    [
        ({"experts": {"epochs": 40}}, {}, False, "best"),
        ({"experts": {"early_stop": False}}, {}, False, "best"),
        ({"distill": {"label_epoch": 7}}, {}, True, 7),
        ({"distill": {"max_start_epoch": 90}}, {}, False, "best"),
        ({"dataset": {"validation": 0.0}, "evaluate": {"selection": "last"}}, {}, False, "last"),
        ({}, {"method": "pad"}, False, "best"),
        ({}, {"method": "mct"}, False, "best"),
        ({}, {"window": "late"}, False, "best"),
        ({}, {"no_calibration": "for a reason"}, False, "last"),
    ],
    ids=str,
)
def test_what_is_stated_or_needs_all_epochs_is_kept(
    tables: dict[str, Any], request_: dict[str, Any], early_stop: bool, label_epoch: str | int
) -> None:
    found = resolved("/photos", 3, layer(Source.OPTION, "--set", **tables), **request_).config
    assert found.experts.early_stop is early_stop
    assert found.distill.label_epoch == label_epoch


def test_on_a_cpu_what_no_preset_is_made_for_takes_half_an_hour() -> None:
    found, plain = resolved("/photos", 3, on_cpu=True), resolved("/photos", 3).config
    config = found.config
    assert (config.network.width, plain.network.width) == (32, 128)
    assert (config.experts.count, plain.experts.count) == (4, 100)
    assert config.distill.iterations < plain.distill.iterations
    assert config.evaluate.full_repeats == 1
    assert str(found.origins["network.width"]).startswith("for a CPU: 128 learns more")
    assert "half an hour on four cores" in " ".join(found.messages())
    assert len([note for note in found.notes if note.key == "experts.count"]) == 1
    assert resolved("/photos", 3, on_cpu=True).config == config, "whatever the machine"


def test_on_a_cpu_what_is_stated_is_kept_and_counted_in() -> None:
    plain = resolved("/photos", 3, on_cpu=True).config
    wide = layer(Source.OPTION, "--set", network={"width": 64}, experts={"count": 9})
    found = resolved("/photos", 3, wide, on_cpu=True)
    assert (found.config.network.width, found.config.experts.count) == (64, 9)
    assert found.config.distill.iterations < plain.distill.iterations
    assert "network.width" not in " ".join(found.messages())
    long = layer(Source.OPTION, "--iterations", distill={"iterations": 20_000})
    assert resolved("/photos", 3, long, on_cpu=True).config.distill.iterations == 20_000
    imported = layer(Source.OPTION, "--set", experts={"imported": "theirs"})
    assert resolved("/photos", 3, imported, on_cpu=True).config.network.width == 128


def test_on_a_cpu_presets_stay_as_they_are() -> None:
    for dataset, ipc, preset in (
        ("cifar10", 10, None),
        ("digits", 3, None),
        ("/photos", 3, "cifar10"),
    ):
        asked = {"preset": preset}
        on_cpu, plain = (
            resolved(dataset, ipc, on_cpu=cpu, **asked).config for cpu in (True, False)
        )
        assert on_cpu == plain


def test_a_wrong_value_is_reported_on_a_cpu_as_elsewhere() -> None:
    for tables in ({"network": {"width": "x"}}, {"distill": {"iterations": -1}}):
        wrong = layer(Source.OPTION, "--set", **tables)
        texts = []
        for on_cpu in (True, False):
            with pytest.raises(ConfigError) as raised:
                resolved("/photos", 3, wrong, on_cpu=on_cpu)
            texts.append(raised.value.message)
        assert texts[0] == texts[1]
