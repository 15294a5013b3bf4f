"""Every fault there is a way to make, and what became of each run: `python -m tests.faults`.

Kills, full disks, damage, company, clocks and terminals, drawn from a seed; a table, or with --json
an object; exit code 1 where anything was lost.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import company, damage, kills
from tests.faults.judging import LOSS, REFUSED, REPORTED, SAME, Outcome
from tests.faults.lab import Lab

Part = Callable[[Lab, random.Random, int], Iterator[Outcome]]

# `count` is of kills: half of them within writes. The other faults come in proportion.
PARTS: dict[str, Part] = {
    "random moments": lambda lab, draws, n: kills.at_random_moments(lab, draws, n - n // 2),
    "writes": lambda lab, draws, n: kills.in_writes(lab, draws, n // 2),
    "no room": lambda lab, draws, n: kills.without_room(lab, draws, 3 * _tenth(n)),
    "small disks": lambda lab, draws, n: kills.on_small_disks(lab, draws, _tenth(n)),
    "damage": lambda lab, draws, n: damage.of_every_file(lab, draws, max(1, n // 100)),
    "one run": lambda lab, draws, n: company.two_on_one_run(lab, draws, _tenth(n)),
    "one name": lambda lab, draws, n: company.two_of_one_name(lab, _tenth(n)),
    "experts": lambda lab, draws, n: company.two_on_one_set_of_experts(lab, _tenth(n)),
    "clocks": lambda lab, draws, n: company.moved_clocks(lab, draws, _tenth(n)),
    "terminals": lambda lab, draws, n: company.lost_terminals(lab, draws, 2 * _tenth(n)),
}


def _tenth(count: int) -> int:
    return max(1, count // 10)


def outcomes(lab: Lab, seed: int, count: int) -> Iterator[Outcome]:
    """Every part's, each drawn from the seed."""
    for part in PARTS.values():
        yield from part(lab, random.Random(seed), count)


def table(found: list[Outcome]) -> str:
    """A row for each kind of fault."""
    verdicts = (SAME, REPORTED, REFUSED, LOSS)
    heads = ("faults", "bit for bit", "reported", "two lines", "LOST")
    counts = Counter((outcome.fault, outcome.verdict) for outcome in found)
    rows = []
    for fault in dict.fromkeys(outcome.fault for outcome in found):
        each = [counts[fault, verdict] for verdict in verdicts]
        rows.append((fault, sum(each), *each))
    sums = [sum(int(row[column]) for row in rows) for column in range(1, 6)]
    rows.append(("all", *sums))
    wide = max(len(row[0]) for row in rows)
    lines = [f"{'':{wide}}  " + "  ".join(f"{head:>11}" for head in heads)]
    for name, *numbers in rows:
        lines.append(f"{name:{wide}}  " + "  ".join(f"{number:>11}" for number in numbers))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--json", type=Path, metavar="FILE", help="every outcome, as JSON")
    given = parser.parse_args()
    began, found = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="datm-faults-") as folder:
        lab = Lab(Path(folder))
        print(f"a run takes {lab.seconds:.1f} s uninterrupted", file=sys.stderr)
        for outcome in outcomes(lab, given.seed, given.kills):
            found.append(outcome)
            why = f"\n    {outcome.why}" if outcome.why else ""
            print(f"{outcome.fault}: {outcome.detail}: {outcome.verdict}{why}", file=sys.stderr)
    print(table(found))
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    if given.json:
        rows = [vars(outcome) for outcome in found]
        given.json.write_text(json.dumps({"seed": given.seed, "outcomes": rows}, indent=1))
    return int(any(outcome.verdict == LOSS for outcome in found))


if __name__ == "__main__":
    sys.exit(main())
