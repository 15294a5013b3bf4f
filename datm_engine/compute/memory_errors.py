"""Translate the exceptions of memory that runs out, on any device.

A student step that runs out of memory is repeated with less in use: `distillation.out_of_memory`.
The other stages end with a DatmError that names a setting to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from datm_engine.errors import DatmError, Fix, Setting

# Parts of the messages of CPU, cuBLAS, cuDNN, CUDA and Metal, which raise plain RuntimeErrors.
_MESSAGES = ("can't allocate memory", "ALLOC_FAILED", "out of memory")


class OutOfMemory(Exception):
    """Memory ran out."""


def is_out_of_memory(problem: BaseException) -> bool:
    if isinstance(problem, OutOfMemory | MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(problem, RuntimeError) and any(part in str(problem) for part in _MESSAGES)


@contextmanager
def translate_oom() -> Iterator[None]:
    """Raise OutOfMemory for memory that runs out in this context, whichever library reports it."""
    try:
        yield
    except Exception as problem:
        if isinstance(problem, OutOfMemory) or not is_out_of_memory(problem):
            raise
        raise OutOfMemory(str(problem).strip().partition("\n")[0]) from None


def half(key: str, value: int) -> Setting:
    """The fix that halves the setting `key`."""
    return Setting(key, max(1, value // 2))


def on_cpu(device: torch.device, otherwise: Setting) -> Setting:
    """The fix that uses the CPU, which has more memory than a GPU; on a CPU, `otherwise`."""
    return otherwise if device.type == "cpu" else Setting("device", "cpu")


@contextmanager
def oom_as_error(what: str, fix: Fix) -> Iterator[None]:
    """Raise a DatmError that says `what` memory ran out for, and that `fix` helps."""
    try:
        with translate_oom():
            yield
    except OutOfMemory:
        raise DatmError(f"out of memory for {what}", fix) from None
