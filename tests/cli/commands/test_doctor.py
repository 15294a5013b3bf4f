"""`datm doctor`, and the notes about how a run computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from datm_engine.calibration import step_timing
from datm_engine.runs.events import Noted
from datm_engine.training import epochs
from tests.cli.conftest import Answer, assert_two_lines


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling even a tiny function takes many seconds."""
    monkeypatch.setattr(step_timing, "compiler_fault", lambda runtime: "none here")


def test_the_machine(datm: Callable[..., Answer]) -> None:
    result = datm("doctor", "--json", "--memory", "2GB", "--precision", "bfloat16").json
    assert result["device"].startswith("cpu")
    assert result["precision"] == "bfloat16"
    assert "--measure" in result["compiler"]
    assert result["flops"] is None or result["flops"] > 0
    measured = datm("doctor", "--json", "--measure").json
    assert measured["compiler"] == "fails, steps run without it: none here"
    assert result["memory_for_graphs"] == 2_000_000_000
    assert result["memory_free"] > 0
    assert all(free > 0 for free in result["disk_free"].values())
    assert "stages" not in result
    shown = datm("doctor")
    assert "precision" in shown.out
    assert "datm doctor --preset" in shown.out


def test_a_preset_on_it(datm: Callable[..., Answer]) -> None:
    result = datm("doctor", "--preset", "digits-ipc1", "--json").json
    stages = {stage["stage"]: stage for stage in result["stages"]}
    assert list(stages) == ["dataset", "experts", "distill", "evaluate", "real images"]
    timed = ["experts", "real images", "distill", "evaluate"]
    assert all(stages[name]["seconds"] > 0 for name in timed)  # whitening is off
    assert all(stage["memory"] > 0 for stage in stages.values())
    assert not result["measured"]
    assert stages["experts"]["disk"] > 0
    shown = datm("doctor", "--preset", "digits-ipc1", "--compile", "off")
    assert "digits-ipc1" in shown.out
    assert "1,295 images to train on, by counted operations" in " ".join(shown.out.split())
    assert "in all" in shown.out
    assert result["training_images"] == 1295
    assert not result["training_images_assumed"]
    half = datm(
        "doctor", "--preset", "digits-ipc1", "--json", "--set", "experts.snapshots=bfloat16"
    ).json
    assert half["stages"][1]["disk"] * 2 == stages["experts"]["disk"]


def test_times_are_of_the_steps_as_a_run_would_compile_them(
    monkeypatch: pytest.MonkeyPatch, datm: Callable[..., Answer]
) -> None:
    exercised: list[str] = []

    def compiled(
        runtime: Any, what: str, function: Any, exercise: Any, repeats: int, *, emit: Any, **_: Any
    ) -> Any:
        exercise(function)
        assert repeats > 0
        exercised.append(what)
        emit(Noted(text=f"{what}: compiled"))
        return function

    for module in (step_timing, epochs):
        monkeypatch.setattr(module, "compiled", compiled)
    shown = datm("doctor", "--preset", "digits-ipc1", "--compile", "on", "--measure")
    real = "steps of convnet on 10 images", "steps of convnet on 1,295 images"
    assert exercised == ["expert steps", "student steps", *real]
    assert "by timed steps" in " ".join(shown.out.split())
    assert "student steps: compiled" in shown.err


@pytest.mark.parametrize(
    ("flag", "value", "hint"),
    [
        ("--precision", "float16", "datm distill --precision auto"),
        ("--precision", "tf32", "datm distill --precision float32"),
        ("--compile", "maybe", "datm distill --compile auto"),
        ("--memory", "much", "datm distill --memory auto"),
    ],
)
def test_what_makes_no_sense_is_reported_in_two_lines(
    flag: str, value: str, hint: str, datm: Callable[..., Answer]
) -> None:
    assert_two_lines(datm("distill", flag, value), 2, f"{flag[2:]} {value}", hint)
