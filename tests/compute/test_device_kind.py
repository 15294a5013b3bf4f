"""Whether a run computes on a CPU, as far as that is certain before torch is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from datm_engine.compute import device_kind
from datm_engine.compute.device_kind import is_cpu
from datm_engine.compute.runtime import start


def test_a_device_that_is_named_needs_no_look() -> None:
    assert is_cpu("cpu")
    assert not is_cpu("cuda:1")
    assert not is_cpu("nonsense"), "it is refused when the run starts"


def test_the_best_device_is_the_one_that_a_run_takes() -> None:
    expected = start(threads="1").device.type == "cpu"
    assert is_cpu("auto") is is_cpu(None) is expected


def test_the_driver_of_a_gpu_makes_it_ask_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_kind, "GPU_FILES", ("null",))
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        assert is_cpu("auto") is not there


def test_without_the_driver_of_a_gpu_torch_is_not_loaded() -> None:
    code = (
        "import sys; from datm_engine.compute import device_kind as kind; kind.GPU_FILES = ();"
        "assert sys.platform != 'linux' or kind.is_cpu(None); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
