"""Files that torch.save wrote, from anywhere: they are data, and never run code."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray

from datm_engine.errors import FileError
from datm_engine.hints import command

# Accuracies that DC, DSA and DM store beside their images are numpy's numbers.
_NUMBERS: list[Any] = [
    (multiarray.scalar, "numpy.core.multiarray.scalar"),
    (multiarray.scalar, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float32)),
    type(np.dtype(np.float64)),
    type(np.dtype(np.int64)),
]


def read(path: Path, *, mapped: bool = False) -> Any:
    """Tensors, numbers, lists and dicts of a file, on the CPU; with `mapped` the tensors stay on
    the disk until they are used.

    Raises FileError for a file that is missing or damaged, or that holds code or objects.
    """
    look = command("ls", "-l", path)
    if not path.is_file():
        raise FileError(f"{path}: no such file", command("ls", path.parent))
    try:
        with torch.serialization.safe_globals(_NUMBERS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of what is refused in a moment
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as problem:
        reason = " ".join(str(problem).split())
        if "global" not in reason.lower():
            raise FileError(f"{path} is no file of torch.save, or damaged", look) from None
        wrong = f"{path} holds more than tensors, and is refused: unpickling it could run code"
        raise FileError(wrong, look) from None
    except RuntimeError as problem:
        if mapped and "mmap" in str(problem):
            wrong = f"{path} was written by torch before 1.6, and cannot be read piece by piece"
            raise FileError(wrong, look) from None
        raise FileError(f"{path} is damaged: {str(problem).splitlines()[0]}", look) from None
    except (OSError, EOFError, ValueError, KeyError, IndexError, AttributeError) as problem:
        raise FileError(f"{path} cannot be read: {problem}", look) from None
