"""SIGKILL, at random moments and within writes; and writes for which there is no room."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.faults import strikes
from tests.faults.judging import LOSS, Outcome, judge
from tests.faults.lab import Lab, empty


def at_random_moments(lab: Lab, draws: random.Random, count: int) -> Iterator[Outcome]:
    """Each run is killed once or twice; every kill counts."""
    kills = 0
    while kills < count:
        case = lab.case(f"moment-{kills}")
        moments = []
        for _ in range(draws.choice((1, 1, 2))):
            child = lab.start(lab.next(case))
            moment = draws.random() * lab.seconds
            deadline = time.monotonic() + moment
            while time.monotonic() < deadline and not child.poll():
                time.sleep(0.001)
            child.signal(signal.SIGKILL)
            if child.wait().code == -signal.SIGKILL:
                moments.append(f"{_stage(lab, case)} after {moment:.2f} s")
        if moments:
            kills += len(moments)
            outcome = judge(lab, case, "killed at a random moment", ", then ".join(moments))
            yield from [outcome] * len(moments)
        empty(case)


@cache
def points(lab: Lab) -> list[str]:
    """The kinds of all points at which an uninterrupted run can be struck, in order."""
    case, write = lab.case("points"), lab.folder / "points.json"
    ended = lab.walk(case, strikes.list_points(write))
    assert ended.code == 0, ended.said
    empty(case)
    kinds: list[str] = json.loads(write.read_text())
    return kinds


def in_writes(lab: Lab, draws: random.Random, count: int) -> Iterator[Outcome]:
    """Before, within and after a write: of each kind about as many."""
    known = points(lab)
    for number in range(count):
        kind, at = _drawn(known, draws, sorted(set(known)))
        case = lab.case(f"write-{number}")
        striker = strikes.Striker(at, strikes.kill, seed=at)
        ended = lab.walk(case, striker.set_up)
        fault, detail = "killed within a write", f"{_stage(lab, case)}: {kind}, point {at}"
        if ended.code == -signal.SIGKILL:
            yield judge(lab, case, fault, detail)
        else:
            yield Outcome(fault, detail, LOSS, f"it was not struck: {ended.said[-300:]}")
        empty(case)


def without_room(lab: Lab, draws: random.Random, count: int) -> Iterator[Outcome]:
    """ENOSPC at a write; what cannot be written is said in two lines, or can be done without."""
    known = points(lab)
    kinds = sorted(
        {kind for kind in known if not kind.startswith("after") and "unlink" not in kind}
    )
    for number in range(count):
        kind, at = _drawn(known, draws, kinds)
        case = lab.case(f"room-{number}")
        striker = strikes.Striker(at, strikes.no_space, seed=at)
        ended = lab.walk(case, striker.set_up)
        fault, detail = "no room for a write", f"{_stage(lab, case)}: {kind}, point {at}"
        if ended.code == 0 or (ended.is_two_lines and "No space left" in ended.said):
            yield judge(lab, case, fault, detail)
        else:
            yield Outcome(fault, detail, LOSS, f"exit code {ended.code}: {ended.said[-800:]}")
        empty(case)


def on_small_disks(lab: Lab, draws: random.Random, count: int) -> Iterator[Outcome]:
    """A disk of its own that is too small, then made larger; nothing where this user may mount
    none."""
    whole = sum(path.stat().st_size for path in lab.whole.rglob("*") if path.is_file())
    for number in range(count):
        case = lab.case(f"disk-{number}")
        size = int(whole * draws.uniform(0.1, 0.9)) // 4096 * 4096
        if not _mount(case, f"size={size}"):
            empty(case)
            return
        try:
            ended = lab.walk(case)
            fault, detail = "a full disk", f"{_stage(lab, case)}: {size:,} of {whole:,} bytes"
            if ended.code == 0 or (ended.is_two_lines and "No space left" in ended.said):
                _mount(case, "remount,size=64m")
                yield judge(lab, case, fault, detail)
            else:
                yield Outcome(fault, detail, LOSS, f"exit code {ended.code}: {ended.said[-800:]}")
        finally:
            subprocess.run(["umount", str(case)], check=True)
        empty(case)


def _drawn(known: list[str], draws: random.Random, kinds: list[str]) -> tuple[str, int]:
    kind = draws.choice(kinds)
    return kind, draws.choice([at for at, one in enumerate(known) if one == kind])


def _mount(place: Path, options: str) -> bool:
    if shutil.which("mount") is None:
        return False
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    return subprocess.run(words, capture_output=True).returncode == 0


def _stage(lab: Lab, case: Path) -> str:
    """Where the run was, by its last event."""
    result = lab.run(case).events() if (case / "runs/r/run.json").exists() else []
    last = type(result[-1]).__name__ if result else ""
    stages = {
        "": "beginning",
        "ExpertsPlanned": "experts",
        "ExpertEpoch": "experts",
        "ExpertTrained": "experts",
        "EvaluationProgress": "evaluate",
        "Evaluated": "evaluate",
        "RunEnded": "end",
    }
    early = {"RunStarted", "Noted", "DatasetReady"}
    stage = "dataset" if last in early else stages.get(last, "distill")
    is_candidate = stage == "evaluate" and getattr(result[-1], "set", "") == "candidate"
    return "distill" if is_candidate else stage
