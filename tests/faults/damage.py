"""Ends cut off in every kind of file that a run leaves, bits flipped in tensor files."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.judging import Outcome, Work, judge
from tests.faults.lab import Lab, empty

HALFWAY = '"iteration": 7,'
EVERY = (
    "runs/r/events.jsonl",
    "runs/r/process.json",
    "runs/r/lock",
    "runs/r/STOP",
    "runs/r/preview.safetensors",
    "runs/r/checkpoint.safetensors",
    "runs/r/checkpoint-previous.safetensors",
    "runs/r/distilled.safetensors",
    "runs/r/samples/initial.safetensors",
    "runs/r/samples/000003.safetensors",
    "experts/*/experts.json",
    "experts/*/expert-0000.safetensors",
    "experts/*/expert-0001.safetensors",
)


@dataclass(frozen=True)
class Damage:
    """`first` and `last`: the bytes of the file that may be hit."""

    how: str
    first: int
    last: int

    def apply(self, path: Path, draws: random.Random) -> str:
        content = bytearray(path.read_bytes())
        at = draws.randrange(self.first, max(self.first + 1, self.last))
        if self.how == "cut":
            path.write_bytes(content[:at])
            return f"cut to {at:,} of {len(content):,} bytes"
        if self.how == "gone":
            path.write_bytes(b"")
            return "emptied"
        content[at] ^= 1 << draws.randrange(8)
        path.write_bytes(content)
        return f"a bit of byte {at:,} of {len(content):,}"


def kinds(path: Path) -> list[Damage]:
    """Every region that a file has, each to be hit."""
    size = path.stat().st_size
    whole = [Damage("cut", 0, size), Damage("gone", 0, 1)]
    if path.suffix != ".safetensors":
        return whole
    header = int.from_bytes(path.read_bytes()[:8], "little") + 8
    return [
        *whole,
        Damage("flip", 0, 8),
        Damage("flip", 8, header),
        Damage("flip", header, size),
        Damage("cut", header, size),
    ]


def of_every_file(lab: Lab, draws: random.Random, rounds: int) -> Generator[Outcome, None, None]:
    """Each kind of damage to each file of a run that was killed halfway, `rounds` times."""
    half = halfway(lab)
    try:
        for round_ in range(rounds):
            for pattern in EVERY:
                path = next(iter(half.glob(pattern)))
                for number, damage in enumerate(kinds(path) if path.stat().st_size else [None]):
                    case = lab.folder / f"damage-{round_}-{path.name}-{number}"
                    shutil.copytree(half, case)
                    hit, left = case / path.relative_to(half), Work.without(lab, case, path.name)
                    if damage is None:  # empty as it is: filled
                        hit.write_bytes(draws.randbytes(64))
                        detail = "filled with noise"
                    else:
                        detail = damage.apply(hit, draws)
                    yield judge(
                        lab,
                        case,
                        f"damage: {_kind(path)}",
                        f"{path.name}: {detail}",
                        damaged=_part(path),
                        left=left,
                        look=True,
                    )
                    empty(case)
    finally:
        empty(half)


def halfway(lab: Lab) -> Path:
    """A run killed in the middle of its iterations, with a request to stop that came too late."""
    case = lab.case("half")
    child = lab.start(lab.beginning(case))
    log = lab.run(case).event_log
    deadline = time.monotonic() + 60
    while not child.poll() and time.monotonic() < deadline:
        if log.exists() and HALFWAY in log.read_text():
            break
        time.sleep(0.001)
    child.signal(signal.SIGKILL)
    assert child.wait().code == -signal.SIGKILL
    lab.run(case).stop_file.touch()
    return case


def _part(path: Path) -> str:
    """As `Lab.content` and messages call it."""
    return f"samples/{path.name}" if path.parent.name == "samples" else path.name


def _kind(path: Path) -> str:
    if path.name.startswith("expert-"):
        return "expert-*.safetensors"
    return "samples/*.safetensors" if path.parent.name == "samples" else path.name
