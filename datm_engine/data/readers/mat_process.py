"""Read .mat files with SciPy in a child process.

A damaged file can make SciPy's reader end its process with a segmentation fault. In a child process
that becomes a ValueError.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datm_engine.files import cannot_write

# Prints names and shapes; with names, saves these arrays to TO in place of it.
_CHILD = """
import json, sys
import numpy, scipy.io
path, to, *names = sys.argv[1:]
try:
    if names:
        arrays = scipy.io.loadmat(path, variable_names=names)
    else:
        print(json.dumps({name: shape for name, shape, _ in scipy.io.whosmat(path)}))
except MemoryError:
    sys.exit(3)
except Exception as problem:
    sys.exit(str(problem) or type(problem).__name__)
if names:
    try:
        numpy.savez(to, **{name: arrays[name] for name in names})
    except OSError as problem:
        print(problem.errno or 0)
        sys.exit(4)
"""
_OUT_OF_MEMORY, _CANNOT_SAVE = 3, 4  # its exit codes
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array by its name, from the headers. Raises ValueError."""
    stated = json.loads(_run(path, "", []))
    return {name: tuple(shape) for name, shape in stated.items()}


def read(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read the arrays of these names. Raises ValueError for a damaged file and for anything but an
    array, FileError if the folder for temporary files cannot be written."""
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as problem:
        raise cannot_write(Path(os.environ.get("TMPDIR", "/tmp")), problem) from None
    with folder:
        made = Path(folder.name) / "array.npz"
        _run(path, str(made), names)
        with np.load(made, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}


def _run(path: Path, to: str, names: Sequence[str]) -> str:
    command = [sys.executable, "-P", "-c", _CHILD, str(path.resolve()), to, *names]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        start_new_session=True,  # ctrl+c reaches this process only, which may finish its work
    )
    if ended.returncode == _OUT_OF_MEMORY or ended.returncode == -signal.SIGKILL:
        raise MemoryError(f"SciPy's process has no memory for {path}")
    if ended.returncode == _CANNOT_SAVE:
        number = int(ended.stdout)
        raise cannot_write(Path(to), OSError(number, os.strerror(number)))
    if -ended.returncode in _INTERRUPTS:
        raise KeyboardInterrupt
    if ended.returncode < 0:
        raise ValueError(f"SciPy ended with {signal.Signals(-ended.returncode).name} on it")
    if ended.returncode:
        raise ValueError((ended.stderr.strip().splitlines() or ["SciPy cannot read it"])[-1])
    return ended.stdout
