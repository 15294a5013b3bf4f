"""What is chosen of precision, compilation and memory, what is refused, what a run keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from datm_engine.compute import runtime
from datm_engine.compute.runtime import Runtime, free_memory, start
from datm_engine.errors import ConfigError
from datm_engine.hints import fix_text
from datm_engine.runs.manifest import Arithmetic


def test_what_is_asked_for_is_taken() -> None:
    on = start("cpu", "bfloat16", "off", "1.5GB")
    assert (on.precision, on.compiler.mode, on.memory) == ("bfloat16", "off", 1_500_000_000)
    assert "bfloat16" in on.choices
    assert start("cpu", memory="0").memory == 0
    assert start("cpu", memory="64 mb").memory == 64_000_000


def test_auto_is_exact_on_a_cpu_and_takes_half_of_the_memory() -> None:
    on = start("cpu")
    assert on.precision == "float32"
    assert on.memory == pytest.approx(free_memory(on.device) / 2, rel=0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": "float16"}, "precision float16: not one of auto, float32"),
        ({"precision": "tf32"}, "precision tf32: cpu has none"),
        ({"compiling": "maybe"}, "compile maybe: not one of auto, on, off"),
        ({"memory": "much"}, "memory much: not a size like 8GB"),
        ({"memory": "-1GB"}, "memory -1GB: not a size"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        start("cpu", **given)
    assert message in raised.value.message
    assert fix_text(raised.value.fix).startswith("--")


def test_a_run_that_goes_on_computes_as_it_began() -> None:
    began = start("cpu", "bfloat16", "auto", "2GB")
    began.compiler.decide("student steps", True)
    later = start("cpu", before=began.arithmetic)
    assert later.arithmetic == began.arithmetic
    assert start("cpu", "bfloat16", "auto", "2GB", began.arithmetic).arithmetic == began.arithmetic


@pytest.mark.parametrize(
    "given", [{"precision": "float32"}, {"compiling": "on"}, {"memory": "1GB"}], ids=str
)
def test_a_run_that_goes_on_takes_no_other_arithmetic(given: dict[str, Any]) -> None:
    before = start("cpu", "bfloat16", "off", "2GB").arithmetic
    with pytest.raises(ConfigError, match="the run was begun with"):
        start("cpu", before=before, **given)


def test_a_run_that_goes_on_without_its_gpu_is_reported_so() -> None:
    before = Arithmetic(precision="tf32", memory=2_000_000_000)
    with pytest.raises(ConfigError, match="begun with tf32, and resumes where") as raised:
        start("cpu", before=before)
    assert fix_text(raised.value.fix) == "datm doctor", "no other precision would be taken either"


def test_what_must_be_exact_is_so_whatever_the_precision() -> None:
    on = Runtime(torch.device("cuda")).using("tf32")
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    try:
        with on.exact():
            assert not any(flag.allow_tf32 for flag in flags)
        assert all(flag.allow_tf32 for flag in flags)
    finally:
        on.using("float32")


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_without_kernels_is_said_to_be_hardly_faster(
    supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "CPU_HAS_BFLOAT16", supported)
    result = start("cpu", "bfloat16").choices
    assert ("no kernels for it" in result) is not supported
