"""Where runs are broken: a tiny road, walked by forked processes that can be killed, and what an
uninterrupted one leaves, to compare with.

The parent has imported everything and computes nothing, so that a child costs no start.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from datm_engine.runs.directory import Run
from datm_engine.settings.config import overlay
from tests.conftest import TINY
from tests.forked import Child, Ended

SETTINGS = overlay(
    TINY,
    {
        "distill": {"iterations": 12, "sample_interval": 3, "checkpoint_seconds": 0.0},
        "evaluate": {"selection_interval": 4},
    },
)

# No graphs are kept and nothing is compiled or measured for it: a run takes the least time.
PLAIN = ["--memory", "0", "--compile", "off", "--no-tui"]
Content = dict[str, bytes | list[Any]]


class Lab:
    """Below `folder`: data, settings, `whole` (never interrupted) and a folder for every case."""

    def __init__(self, folder: Path, **settings: dict[str, Any]) -> None:
        torch.set_num_threads(1)  # a process that has started more must not be forked
        self.folder = folder
        self.data = folder / "data"
        self.settings = folder / "tiny.toml"
        self.settings.write_text(_toml(overlay(SETTINGS, settings)))
        self.whole = self.case("whole")
        began = time.monotonic()
        ended = self.walk(self.whole)
        self.seconds = time.monotonic() - began
        assert ended.code == 0, ended.said
        self.expected = self.content(self.whole)

    def case(self, name: str) -> Path:
        """A new folder with room for runs and experts."""
        place = self.folder / name
        place.mkdir()
        return place

    def places(self, case: Path) -> list[str]:
        words = {"--runs-dir": "runs", "--experts-dir": "experts"}
        return [
            *(word for option, name in words.items() for word in (option, str(case / name))),
            *("--data-dir", str(self.data)),
        ]

    def beginning(self, case: Path, name: str = "r") -> list[str]:
        words = ["distill", "--dataset", "digits", "--ipc", "1", "--config", str(self.settings)]
        return [*words, *self.places(case), "--name", name, "--quiet", *PLAIN]

    def resuming(self, case: Path, name: str = "r") -> list[str]:
        return ["distill", "--resume", name, *self.places(case), "--no-tui", "--quiet"]

    def next(self, case: Path) -> list[str]:
        """What a person types after a fault: to resume, or to begin where there is nothing."""
        there = (case / "runs" / "r" / "run.json").exists()
        return self.resuming(case) if there else self.beginning(case)

    def start(self, words: Sequence[str], before: Callable[[], object] = lambda: None) -> Child:
        return Child(words, before)

    def walk(self, case: Path, before: Callable[[], object] = lambda: None) -> Ended:
        return self.start(self.next(case), before).wait()

    def run(self, case: Path, name: str = "r") -> Run:
        return Run(case / "runs" / name)

    def content(self, case: Path, name: str = "r") -> Content:
        """All that must come out the same: files byte for byte, facts but for times."""
        run = self.run(case, name)
        files = [run.distilled, run.checkpoint, *run.samples.iterdir()]
        files += (case / "experts").rglob("expert*")
        found: Content = {
            str(path.relative_to(run.path if run.path in path.parents else case)): path.read_bytes()
            for path in files
            if path.is_file()
        }
        found["events.jsonl"] = _facts(run)
        return found

    def differences(self, case: Path, name: str = "r") -> list[str]:
        """Which of them differ from those of the uninterrupted run."""
        found = self.content(case, name)
        names = sorted(found.keys() | self.expected.keys())
        return [part for part in names if found.get(part) != self.expected.get(part)]


def follow(hint: str) -> None:
    """Type what a hint says, but for a last `datm`, which is for the caller to type."""
    for part in hint.removeprefix("hint: ").split(" && "):
        words = shlex.split(part, comments=True)
        if words and words[0] in ("rm", "mv", "cp", "chmod"):
            subprocess.run(words, check=True)


def _facts(run: Run) -> list[Any]:
    """What a run says of its iterations, candidates and results, without when and how long."""
    passing = {"time", "seconds", "memory"}
    state = run.state()
    result = [*state.matched, *state.candidates, *state.results]
    return [
        json.dumps({k: v for k, v in vars(event).items() if k not in passing}) for event in result
    ]


def _toml(tables: dict[str, Any]) -> str:
    lines = []
    for table, keys in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    return "\n".join(lines)


def empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
