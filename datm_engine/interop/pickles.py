"""Files that torch.save wrote, from anywhere: they are data, and never run code."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray
from torch import Tensor

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

    Raises FileError for a file that is missing or damaged, that holds code or objects, or that
    states more than it holds.
    """
    look = command("ls", "-l", path)
    if not path.is_file():
        raise FileError(f"{path}: no such file", command("ls", path.parent))
    if _is_compressed(path):
        raise FileError(f"{path} is compressed, which torch.save's files never are", look)
    try:
        with torch.serialization.safe_globals(_NUMBERS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of what is refused in a moment
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
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
        reason = (str(problem) or type(problem).__name__).splitlines()[0]
        raise FileError(f"{path} is damaged: {reason}", look) from None
    except Exception as problem:  # a damaged file can make anything of the unpickler's calls
        reason = str(problem) or type(problem).__name__
        raise FileError(f"{path} cannot be read: {reason}", look) from None
    if wrong := _pretence(content):
        raise FileError(f"{path} {wrong}", look)
    return content


def _is_compressed(path: Path) -> bool:
    """A few bytes could be made into any number of them."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist())
    except Exception:  # no archive, or a damaged one, which torch tells
        return False


def _pretence(content: Any) -> str:
    """What is wrong with a tensor that is no plain one: values are to stand in the file, each on
    its own, so that a small file cannot fill the memory. Empty if nothing is."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
                return f"holds a tensor that is no plain one ({value.layout}, {value.device})"
            if value.numel() * value.element_size() > value.untyped_storage().nbytes():
                return f"states a tensor {list(value.shape)} and does not hold as many values"
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += value
    return ""
