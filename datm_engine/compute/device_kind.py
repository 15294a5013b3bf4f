"""Whether a run computes on a CPU, as derived settings depend on it. Loads torch only in doubt."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

# Files of the drivers of GPUs that torch can use: NVIDIA's, AMD's and Windows' own under WSL.
GPU_FILES = ("nvidia[0-9]*", "kfd", "dxg")


def has_gpu_driver() -> bool:
    """Whether this machine may have a GPU of CUDA: False only where that is certain."""
    if sys.platform == "linux":
        return any(any(Path("/dev").glob(name)) for name in GPU_FILES)
    return sys.platform != "darwin"


def is_cpu(device: str | None) -> bool:
    """Whether the device that a command names, or the best there is for None and "auto", is a
    CPU. A wrong name is none; it is refused later."""
    if device not in (None, "auto"):
        return device == "cpu"
    if sys.platform == "linux" and not has_gpu_driver():
        return True
    if sys.platform == "darwin" and platform.machine() != "arm64":
        return True
    import torch

    return not (torch.cuda.is_available() or torch.backends.mps.is_available())
