"""Running a function on several ranks: processes that meet as torchrun's would, on the CPU.

python -m tests.on_ranks MODULE FUNCTION FOLDER
"""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(rank: int, count: int, port: int) -> dict[str, str]:
    stated = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": 1,
        "PYTHONPATH": ROOT,
    }
    return {**os.environ, **{name: str(value) for name, value in stated.items()}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_ranks(
    count: int, module: str, function: str, folder: Path, patience: float = 600.0
) -> list[int]:
    """The exit codes of so many processes, each of which called `function(ranks, folder)`."""
    port = free_port()
    command = [sys.executable, "-m", "tests.on_ranks", module, function, str(folder)]
    processes = [
        subprocess.Popen(command, env=environment(rank, count, port), cwd=ROOT)
        for rank in range(count)
    ]
    try:
        return [process.wait(patience) for process in processes]
    finally:
        for process in processes:
            process.kill()


if __name__ == "__main__":
    import torch

    from datm_engine.compute import ranks

    torch.set_num_threads(1)
    called, folder = getattr(importlib.import_module(sys.argv[1]), sys.argv[2]), Path(sys.argv[3])
    called(ranks.join(), folder)
    ranks.leave()
