"""Run a function on several ranks: processes that meet as torchrun's do, on the CPU."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import sklearn.datasets  # noqa: F401 (imported here, so that forked ranks need not)
import torch

from datm_engine.compute import ranks
from datm_engine.compute.ranks import Ranks
from tests.conftest import ROOT


def environment(rank: int, count: int, port: int) -> dict[str, str]:
    """What torchrun sets for a rank."""
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


def on_ranks(count: int, function: Callable[[Ranks, Path], None], folder: Path) -> list[int | None]:
    """Call `function(ranks, folder)` in `count` processes; return their exit codes."""
    # Forked processes need no imports, but a process that may have used a GPU must not be forked.
    context = multiprocessing.get_context("spawn" if torch.cuda.is_available() else "fork")
    port = free_port()
    processes: list[BaseProcess] = [
        context.Process(target=_join, args=(function, folder, environment(rank, count, port)))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(timeout=600)
        return [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()


def _join(
    function: Callable[[Ranks, Path], None], folder: Path, environment: dict[str, str]
) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    function(ranks.join(), folder)
    ranks.leave()
