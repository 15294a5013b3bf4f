"""What became of a run that met a fault: it resumes to the same result, bit for bit; or says in two
lines what to do, and that leads there; or says what was lost of its log; or it is a loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datm_engine.runs import events
from datm_engine.runs.checkpoint import previous_checkpoint
from tests.faults.lab import Lab, follow

SAME = "resumed, bit for bit"
REFUSED = "two lines, which led there"
REPORTED = "reported, and the rest bit for bit"
LOSS = "LOSS"


@dataclass(frozen=True)
class Outcome:
    """`fault`: its kind; `detail`: which one it was; `why`, of a loss."""

    fault: str
    detail: str
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Work:
    """What is finished in a case: the experts' files with their inodes, and iterations."""

    experts: Mapping[str, int]
    iteration: int

    @classmethod
    def of(cls, lab: Lab, case: Path) -> Work:
        files = (case / "experts").glob("*/expert-*.safetensors")  # no temporary ones
        experts = {path.name: path.stat().st_ino for path in files}
        return cls(experts, _iteration(lab.run(case).checkpoint))

    @classmethod
    def without(cls, lab: Lab, case: Path, damaged: str) -> Work:
        """What is left of it when the file of that name will be: an expert is trained again, the
        checkpoint before the last stands beside it, and a lost product takes the run with it."""
        whole, checkpoint = cls.of(lab, case), lab.run(case).checkpoint
        experts = {name: inode for name, inode in whole.experts.items() if name != damaged}
        iteration = whole.iteration
        if damaged == checkpoint.name:
            iteration = _iteration(previous_checkpoint(checkpoint))
        elif damaged == lab.run(case).distilled.name:
            iteration = 0
        return cls(experts, iteration)


def judge(
    lab: Lab,
    case: Path,
    fault: str,
    detail: str,
    *,
    damaged: str = "",
    left: Work | None = None,
    look: bool = False,
) -> Outcome:
    """Resume a case to its end, as a person would who reads what is said. `damaged`: the file
    that was, if one was, and the work that was `left` then; `look`: read the run first, too."""
    verdict = SAME
    if look and (wrong := _looks_wrong(lab, case)):
        return Outcome(fault, detail, LOSS, wrong)
    for _ in range(4):
        try:
            work = left or Work.of(lab, case)
        except ValueError as problem:
            return Outcome(fault, detail, LOSS, f"a checkpoint that cannot be read: {problem}")
        ended = lab.walk(case)
        if ended.code == 0:
            break
        if not ended.is_two_lines:
            return Outcome(fault, detail, LOSS, f"exit code {ended.code}: {ended.said[-800:]}")
        if not damaged and "damaged" in ended.lines[0]:  # that is not for a user to put right
            return Outcome(fault, detail, LOSS, f"half a file was left: {ended.lines[0]}")
        verdict = REFUSED
        follow(ended.lines[1])
    else:
        return Outcome(fault, detail, LOSS, f"the hints lead nowhere: {ended.said[-400:]}")
    if again := _done_again(lab, case, work):
        return Outcome(fault, detail, LOSS, again)
    different = lab.differences(case)
    if different and set(different) <= {damaged} and _is_reported(lab, case, damaged):
        return Outcome(fault, detail, REPORTED)
    if different:
        return Outcome(fault, detail, LOSS, f"another result: {', '.join(different)}")
    return Outcome(fault, detail, verdict)


def _done_again(lab: Lab, case: Path, before: Work) -> str:
    """Which finished work was not continued."""
    after = Work.of(lab, case)
    for name, inode in before.experts.items():
        if after.experts.get(name) != inode:
            return f"{name} was trained again"
    starts = [e for e in lab.run(case).events() if isinstance(e, events.RunStarted)]
    if starts[-1].resumed_at < before.iteration:
        return f"it resumed from {starts[-1].resumed_at}, not from {before.iteration}"
    return ""


def _is_reported(lab: Lab, case: Path, damaged: str) -> bool:
    history = [e.text for e in lab.run(case).events() if isinstance(e, events.Noted)]
    return any(damaged in text for text in history)


def _looks_wrong(lab: Lab, case: Path) -> str:
    places = ["--runs-dir", str(case / "runs")]
    for words in (["runs", *places], ["inspect", "r", "--no-tui", *places]):
        ended = lab.start(words).wait()
        if ended.code != 0 and not ended.is_two_lines:
            return f"{words[0]}: {ended.said[-800:]}"
    return ""


def _iteration(checkpoint: Path) -> int:
    """By the header of a checkpoint that is whole; 0 without one."""
    if not checkpoint.exists():
        return 0
    content = checkpoint.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return int(json.loads(header["__metadata__"]["progress"])["iteration"])
