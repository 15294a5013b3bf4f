"""How long `datm` takes to show something, beside `python -c 'import torch'`.

    python -m benchmarks.startup [--repeats N]

Each command runs on a terminal of 120×40 (a pty). First output: the first byte that is written to
it. Full screen: the first frame that is drawn on the alternate screen, or the end of a command that
has none. CPU seconds are those of the process on the terminal, up to its end; the engine of a run
is a process of its own, and is stopped afterwards. The table has the median of each.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from datm_engine.runs.directory import Run
from datm_engine.runs.process import Process

ALTERNATE_SCREEN = b"\x1b[?1049h"
END_OF_FRAME = b"\x1b[?2026l"  # Textual draws each frame as one synchronized update
PATIENCE = 60.0  # seconds
DATM = (sys.executable, "-m", "datm_cli")
TORCH = "import torch"
COMMANDS: dict[str, Sequence[str]] = {
    TORCH: (sys.executable, "-c", TORCH),
    "datm distill": (*DATM, "distill", "--yes", "--name", "new"),
    "datm distill --name new (it exists)": (*DATM, "distill", "--yes", "--name", "new"),
    "datm distill --dataset unknown": (*DATM, "distill", "--dataset", "unknown"),
    "datm runs": (*DATM, "runs"),
    "datm inspect none (no such run)": (*DATM, "inspect", "none"),
}


@dataclass(frozen=True)
class Times:
    """Seconds from the start of the command. cpu: user and system."""

    first: float
    full: float
    cpu: float


def measure(command: Sequence[str], folder: Path) -> Times:
    """Run a command on a terminal until its first frame, or to its end."""
    began = time.monotonic()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("CI", None)  # no screen is drawn in a CI job
        os.execve(command[0], [*command], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    first = full = None
    written = b""
    while full is None and time.monotonic() - began < PATIENCE:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            added = os.read(terminal, 65536)
        except OSError:  # the command has ended
            break
        written += added
        first = first or time.monotonic() - began
        screen = written.partition(ALTERNATE_SCREEN)[2]
        if END_OF_FRAME in screen or len(screen) > 5_000:
            full = time.monotonic() - began
    if full is not None:
        os.kill(child, signal.SIGKILL)  # a screen, which would stay
    _, _, usage = os.wait4(child, 0)
    ended = time.monotonic() - began
    os.close(terminal)
    return Times(first or ended, full or ended, usage.ru_utime + usage.ru_stime)


def end_engines(runs: Path) -> None:
    for run in Run.all(runs):
        process = Process.read(run.process_file)
        if process is not None and process.is_alive:
            os.kill(process.pid, signal.SIGKILL)
            while process.is_alive:
                time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description="How long datm takes to show something.")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    measured: dict[str, list[Times]] = {name: [] for name in COMMANDS}
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            for name, command in COMMANDS.items():
                measured[name].append(measure(command, Path(folder)))
                end_engines(Path(folder, "runs"))
    table = Table("command", "first output", "full screen or end", "CPU", "CPU / import torch")
    torch_cpu = statistics.median(each.cpu for each in measured[TORCH])
    for name, times in measured.items():
        median = [
            statistics.median(getattr(each, field) for each in times)
            for field in ("first", "full", "cpu")
        ]
        table.add_row(name, *(f"{each:.2f} s" for each in median), f"{median[2] / torch_cpu:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
