"""Read files of torch.save from anywhere as data, without running code."""

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

# Accuracies that DC, DSA and DM store beside their images are NumPy numbers.
_NUMPY_NUMBERS: list[Any] = [
    (multiarray.scalar, "numpy.core.multiarray.scalar"),
    (multiarray.scalar, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float32)),
    type(np.dtype(np.float64)),
    type(np.dtype(np.int64)),
]


def bad_file(path: Path, message: str) -> FileError:
    return FileError(message, command("ls", "-l", path))


def read_pickle(path: Path, *, mapped: bool = False) -> Any:
    """Tensors, numbers, lists and dicts of a file, on the CPU.

    mapped: leave tensors on the disk until they are used. Raises FileError for a file that is
    missing or damaged, that holds code or objects, or that claims more values than it holds.
    """
    if not path.is_file():
        raise FileError(f"{path}: no such file", command("ls", path.parent))
    if _is_compressed(path):
        raise bad_file(path, f"{path} is compressed, which torch.save's files never are")
    try:
        with torch.serialization.safe_globals(_NUMPY_NUMBERS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns before it raises
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as problem:
        wrong = f"{path} is no file of torch.save, or damaged"
        if "global" in str(problem).lower():
            wrong = f"{path} holds more than tensors, and is refused: unpickling it could run code"
        raise bad_file(path, wrong) from None
    except RuntimeError as problem:
        reason = (str(problem) or type(problem).__name__).splitlines()[0]
        wrong = f"{path} is damaged: {reason}"
        if mapped and "mmap" in str(problem):
            wrong = f"{path} was written by torch before 1.6, and cannot be read piece by piece"
        raise bad_file(path, wrong) from None
    except Exception as problem:  # the unpickler of a damaged file can raise anything
        reason = str(problem) or type(problem).__name__
        raise bad_file(path, f"{path} cannot be read: {reason}") from None
    _check_tensors(path, content)
    return content


def _is_compressed(path: Path) -> bool:
    """A compressed file of a few bytes could fill the memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist())
    except Exception:  # no archive, or a damaged one: torch.load raises
        return False


def _check_tensors(path: Path, content: Any) -> None:
    """Raises FileError for a tensor that is not dense, or whose values are not all in the file: a
    small file could fill the memory."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
                kind = f"{value.layout}, {value.device}"
                raise bad_file(path, f"{path} holds a tensor that is no plain one ({kind})")
            # Strides of 0 repeat values that the file holds once.
            if value.numel() * value.element_size() > value.untyped_storage().nbytes():
                shape = list(value.shape)
                wrong = f"{path} states a tensor {shape} and does not hold as many values"
                raise bad_file(path, wrong)
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += value
