"""Memory that runs out, on whichever device: noticed by one name, and told in two lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from datm_engine.errors import DatmError, Fix

# What CPU, cuBLAS, cuDNN, CUDA itself and Metal say where they do not raise a type of their own.
_SAID = ("can't allocate memory", "ALLOC_FAILED", "out of memory")


class OutOfMemory(Exception):
    """There was no room for what was to be computed."""


def is_out_of_memory(problem: BaseException) -> bool:
    if isinstance(problem, OutOfMemory | MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(problem, RuntimeError) and any(said in str(problem) for said in _SAID)


@contextmanager
def noticed() -> Iterator[None]:
    """Memory that runs out within raises OutOfMemory, whatever it was that noticed."""
    try:
        yield
    except Exception as problem:
        if isinstance(problem, OutOfMemory) or not is_out_of_memory(problem):
            raise
        raise OutOfMemory(str(problem).strip().partition("\n")[0]) from None


@contextmanager
def wanted_for(what: str, fix: Fix) -> Iterator[None]:
    """Raise a DatmError that says `what` memory ran out for, and that `fix` helps."""
    try:
        yield
    except Exception as problem:
        if not is_out_of_memory(problem):
            raise
        raise DatmError(f"out of memory for {what}", fix) from None
