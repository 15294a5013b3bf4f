"""The methods: presets laid over by what each paper does otherwise."""

from __future__ import annotations

import pytest

from datm_engine.errors import ConfigError, Setting
from datm_engine.settings import config, presets
from datm_engine.settings.choose_preset import choose_preset, with_method
from tests.settings.test_presets import built


def overlaid(method: str) -> presets.Tables:
    return config.read_toml(presets.folder() / "methods" / f"{method}.toml")


@pytest.mark.parametrize("method", [name for name in presets.methods() if name != "datm"])
@pytest.mark.parametrize("name", ["digits-ipc1", "cifar10-ipc1000", "tinyimagenet-ipc10"])
def test_a_method_is_the_preset_but_for_its_own_keys(method: str, name: str) -> None:
    chosen = choose_preset(None, None, name, None)
    as_method = with_method(chosen, method, iterations=10_000)
    settings = config.build(as_method.tables, as_method.source)
    expected = config.build(config.overlay(chosen.tables, overlaid(method)), name)
    assert settings == expected
    changed = config.differences(built(name), settings)
    stated = {f"{table}.{key}" for table, keys in overlaid(method).items() for key in keys}
    assert set(changed) <= stated
    assert as_method.source == f"preset {name}, method {method}"
    (text,) = [note.text for note in as_method.notes if note.text.startswith(f"method {method}: ")]
    assert all(key in text for key in changed)
    assert not [key for key in stated - set(changed) if f"{key} = " in text]


def test_what_each_method_is() -> None:
    def has(method: str) -> tuple[str, str, str, str, float]:
        chosen = choose_preset(None, None, "cifar10-ipc10", None)
        settings = config.build(with_method(chosen, method).tables, method)
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

    later = {"fyi", "mct", "pad"}
    assert set(presets.methods()) == {"datm", "ftd", "mtt", "tesla"} | later
    assert has("datm") == ("gsam", "soft", "learned", "exact", 0.0)
    assert has("mtt")[:2] == ("sgd", "hard")
    assert has("mtt")[3:] == ("exact", 0.0)
    assert has("ftd")[:2] == ("gsam", "hard")
    assert has("ftd")[3:] == ("exact", 0.9995)
    assert has("tesla") == ("sgd", "soft", "one", "tesla", 0.0)
    assert has("mct") == has("mtt")
    chosen = choose_preset(None, None, "cifar10-ipc10", None)
    mirrored = {"distill": {"mirrored": True}, "evaluate": {"mirrored": True}}
    over = config.overlay(chosen.tables, mirrored)
    assert with_method(chosen, "fyi").tables == over, "nothing else"


def test_what_each_method_that_came_after_is() -> None:
    def has(method: str) -> tuple[str, float, str]:
        chosen = choose_preset(None, None, "cifar10-ipc10", None)
        settings = config.build(with_method(chosen, method).tables, method)
        distill = settings.distill
        return settings.experts.order, distill.matched_share, distill.trajectories

    for earlier in ("datm", "mtt", "ftd", "tesla", "fyi"):
        assert has(earlier) == ("random", 1.0, "real")
    assert has("pad") == ("easy-first", 0.5, "real")
    assert has("mct") == ("random", 1.0, "convex")


@pytest.mark.parametrize(
    ("method", "paper"),
    [
        ("mtt", "CVPR 2022"),
        ("ftd", "CVPR 2023"),
        ("tesla", "ICML 2023"),
        ("pad", "2408.03360"),
        ("mct", "CVPR 2025"),
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
    chosen = choose_preset("cifar10", 12, None, None)
    assert with_method(chosen, "datm") is chosen


@pytest.mark.parametrize(("iterations", "decay"), [(None, 0.9876), (1000, 0.9975), (2, 0.2864)])
def test_a_short_run_averages_over_the_same_share_of_it(
    iterations: int | None, decay: float
) -> None:
    chosen = choose_preset("digits", 1, None, None)  # 200 iterations
    fitted = with_method(chosen, "ftd", iterations)
    assert fitted.tables["distill"]["averaging"] == decay
    assert decay ** (iterations or 200) == pytest.approx(0.9995**5000, rel=0.02)
    assert f"distill.averaging = {decay}" in fitted.notes[-1].text
    long = with_method(chosen, "ftd", 5000)
    assert long.tables["distill"]["averaging"] == 0.9995


def test_a_method_names_its_own_published_settings() -> None:
    def note_of(dataset: str, preset: str | None, method: str) -> str:
        chosen = choose_preset(dataset, 10, preset, None)
        return " ".join(note.text for note in with_method(chosen, method).notes)

    assert "another preset: cifar10-mtt" in note_of("cifar10", None, "mtt")
    assert "another preset: cifar100-ftd" in note_of("cifar100", None, "ftd")
    assert "--preset" not in note_of("digits", None, "mtt")
    assert "--preset" not in note_of("cifar10", "cifar10-mtt", "mtt"), "they are in use"


@pytest.mark.parametrize(("wrong", "hint"), [("mt", "mtt"), ("TESLA", "tesla"), ("x", "datm")])
def test_an_unknown_method_is_an_error_with_the_nearest(wrong: str, hint: str) -> None:
    chosen = choose_preset("digits", 1, None, None)
    with pytest.raises(ConfigError, match=f"there is no method {wrong}.*{hint}") as error:
        with_method(chosen, wrong)
    assert error.value.fix == Setting("method", hint)
