"""What the dashboard costs: a refresh, opening a long run, and the engine it watches.

    python -m benchmarks.dashboard [--json] [--quick]

- refresh: every region of a 120×40 screen drawn anew and painted, for a run of 10,000 iterations;
  median of 20.
- opening: from starting `datm monitor` on that run to its first full screen; median of 5.
- overhead: one engine at work, with a screen of 120×40 attached and detached in turn; the ratio of
  the median lengths of its iterations with and without.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import signal
import statistics
import struct
import sys
import tempfile
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from datm_cli.session import detach
from datm_engine.runs import events
from datm_engine.runs.directory import Run
from datm_engine.settings import presets
from datm_engine.settings.config import build, overlay

ITERATIONS = 10_000
SIZE = (120, 40)
CLASSES = [f"class {k}" for k in range(10)]
ENVIRONMENT = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}


def long_run(folder: Path) -> Run:
    """A finished run of 10,000 iterations on 32×32 images, as an engine would have written it."""
    config = build(presets.load("cifar10-ipc10"), "the benchmark")
    run = Run.create(folder, "long", config, {})
    draws = np.random.default_rng(0)
    losses = 0.4 + 0.5 * np.exp(-np.arange(ITERATIONS) / 1500) + 0.03 * draws.random(ITERATIONS)
    pictures = draws.integers(0, 256, (100, 3, 32, 32), dtype=np.uint8)
    save_file({"pictures": pictures}, run.samples / "initial.safetensors")
    save_file({"pictures": pictures, "indices": np.arange(100)}, run.samples / "010000.safetensors")
    save_file({"x": np.zeros(1)}, run.distilled, {"class_names": json.dumps(CLASSES)})
    with run.recording() as record:
        record.write(
            events.RunStarted(run="long", command="distill", device="cpu", version="", seed=0)
        )
        for k, loss in enumerate(losses):
            record.write(
                events.Matched(
                    iteration=k + 1,
                    iterations=ITERATIONS,
                    loss=float(loss),
                    expert=k % 100,
                    start_epoch=k * 7 % (10 + min(10, k // 100)),
                    target_epoch=k * 7 % (10 + min(10, k // 100)) + 2,
                    lower=0,
                    upper=10 + min(10, k // 100),
                    final_upper=20,
                    syn_lr=0.01 + k * 1e-6,
                    skip_reason=None,
                    skipped=0,
                    seconds=1.0,
                )
            )
            if (k + 1) % 500 == 0:
                record.write(
                    events.CandidateScored(
                        iteration=k + 1, part="validation", accuracy=60.0, images=100, best=False
                    )
                )
        record.write(events.SampleSaved(iteration=ITERATIONS, path="samples/010000.safetensors"))
        record.write(events.RunEnded(status="done", iteration=ITERATIONS))
    return run


def refreshes(run: Run, count: int) -> list[float]:
    """Seconds of each refresh, painting included."""
    from datm_cli.dashboard.dashboard_app import DashboardApp

    taken = []

    async def play() -> None:
        app = DashboardApp(run, follow=False)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()
            for _ in range(count + 3):
                began = time.perf_counter()
                app.redraw()
                app.screen._compositor.render_update(full=True)
                taken.append(time.perf_counter() - began)
                await pilot.pause()

    asyncio.run(play())
    return taken[3:]  # the first ones fill caches of styles


class Viewer:
    """`datm monitor RUN` on a terminal of its own, whose output is read and thrown away."""

    def __init__(self, run: Run) -> None:
        self.began = time.perf_counter()
        self.full: float | None = None
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            for name in ("CI", "NO_COLOR", "TMUX"):
                os.environ.pop(name, None)
            os.environ.update(ENVIRONMENT)
            words = [sys.executable, "-m", "datm_cli", "monitor", str(run.path)]
            time.sleep(0.05)  # until the terminal has its size
            os.execv(sys.executable, words)
        size = struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, size)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        seen = b""
        with suppress(OSError):  # the terminal is gone when the viewer is
            while part := os.read(self.terminal, 1 << 16):
                if self.full is None:
                    seen += part
                    if b"images at iteration" in seen and b"matching" in seen:
                        self.full = time.perf_counter() - self.began

    def close(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        self._reader.join()
        os.close(self.terminal)


def openings(run: Run, count: int) -> list[float]:
    """Seconds from the command to the first full screen."""
    taken = []
    for _ in range(count):
        viewer = Viewer(run)
        while viewer.full is None and time.perf_counter() - viewer.began < 60:
            time.sleep(0.01)
        viewer.close()
        if viewer.full is None:
            raise RuntimeError("the dashboard drew nothing in a minute")
        taken.append(viewer.full)
    return taken


def overhead(folder: Path, turns: int, seconds: float) -> dict[str, Any]:
    """Lengths of iterations with a viewer and without, in turn, of one engine."""
    endless = {
        "network": {"width": 64},
        "experts": {"count": 1, "optimizer": "sgd"},
        "distill": {"iterations": 10_000_000, "syn_steps": 20, "threshold": 100.0},
        "evaluate": {"against": ["random"], "repeats": 1, "epochs": 5, "selection": "last"},
    }
    config = build(overlay(presets.load("digits-ipc10"), endless), "the benchmark")
    run = Run.create(folder, "watched", config, {})
    places = ("--runs-dir", str(folder), "--experts-dir", str(folder / "experts"))
    detach.start_engine(run, ["distill", "--resume", "watched", *places, "--no-tui"])
    while not run.preview.exists():
        if run.status() != "running":
            raise RuntimeError(run.engine_log.read_text())
        time.sleep(0.2)
    spans: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for turn in range(2 * turns):
        viewer = Viewer(run) if turn % 2 else None
        time.sleep(3.0)  # until the viewer has opened, which is another figure
        began = time.time()
        time.sleep(seconds)
        spans[viewer is not None].append((began, time.time()))
        if viewer:
            viewer.close()
    detach.stop_engine(run, 60.0, lambda words: None)
    matched = run.state().matched
    lengths = {
        watched: [
            event.seconds
            for event in matched
            if any(began + event.seconds < event.time < end for began, end in within)
        ]
        for watched, within in spans.items()
    }
    means = {watched: statistics.fmean(some) for watched, some in lengths.items()}
    medians = {watched: statistics.median(some) for watched, some in lengths.items()}
    return {
        "iterations": {"watched": len(lengths[True]), "alone": len(lengths[False])},
        "median_seconds": {"watched": medians[True], "alone": medians[False]},
        "median_ratio": medians[True] / medians[False],
        "mean_ratio": means[True] / means[False],
    }


def report(quick: bool = False) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = long_run(Path(folder))
        return {
            "refresh_ms": 1000 * statistics.median(refreshes(run, 5 if quick else 20)),
            "opening_s": statistics.median(openings(run, 2 if quick else 5)),
            "overhead": overhead(Path(folder), 1 if quick else 6, 5.0 if quick else 20.0),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="one turn of each, for a first look")
    options = parser.parse_args()
    found = report(options.quick)
    if options.json:
        print(json.dumps(found))
        return
    watched = found["overhead"]
    print(f"refresh at 120×40, 10,000 iterations: {found['refresh_ms']:.0f} ms")
    print(f"opening that run, to its first full screen: {found['opening_s']:.2f} s")
    print(
        f"an iteration with a viewer over one without: {watched['median_ratio']:.3f} (medians), "
        f"{watched['mean_ratio']:.3f} (means), of {watched['iterations']['watched']} and "
        f"{watched['iterations']['alone']} iterations"
    )


if __name__ == "__main__":
    main()
