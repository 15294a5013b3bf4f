"""Where the arithmetic happens and where chance comes from."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from datm_engine.errors import ConfigError

DEVICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True)
class Runtime:
    """The device, and the type of floating point numbers, that a run uses."""

    device: torch.device
    dtype: torch.dtype = torch.float32

    def place(self, tensor: Tensor) -> Tensor:
        """On the device; floating point numbers in the run's type, others as they are."""
        dtype = self.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(self.device, dtype)

    @property
    def description(self) -> str:
        if self.device.type == "cuda":
            return f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        if self.device.type == "mps":
            return "mps (Apple GPU)"
        threads = torch.get_num_threads()
        return f"cpu ({threads} thread{'' if threads == 1 else 's'})"

    @property
    def peak_memory(self) -> int:
        """The most bytes that this process has taken so far, of the GPU where it uses one."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def start(device: str = "auto") -> Runtime:
    """The runtime for "auto" (the best there is), "cuda", "cuda:1", "mps" or "cpu".

    Raises ConfigError for a device that is not one or is not here.
    """
    kind, _, number = device.partition(":")
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return Runtime(torch.device(next(kind for kind in available if available[kind])))
    if kind not in available or (number and not number.isdigit()):
        raise ConfigError(f"--device {device}: not one of {', '.join(DEVICES)}", "--device auto")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if not available[kind] or int(number or 0) >= count:
        raise ConfigError(f"--device {device}: this machine has no such device", "--device auto")
    return Runtime(torch.device(device))


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, so that every draw can be repeated on its own."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A generator on the CPU for one purpose; the same arguments give the same draws."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def environment() -> dict[str, str | int]:
    """What a run should remember of where it ran."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "host": platform.node(),
        "process": os.getpid(),
    }
