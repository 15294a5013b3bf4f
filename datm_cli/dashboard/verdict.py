"""How good a run's images are: between random real images and all images, on one part of the data.

Before the evaluation the figures are of held-out training images, and all images are represented
by the experts, which were trained on them. After it all figures are of test images.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datm_engine.formatting import mean_and_deviation
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.events import Evaluated
from datm_engine.runs.state import RunState

SHOWN = ("random", "distilled", "full")


@dataclass(frozen=True)
class Accuracy:
    """Percent. deviation: None for a single network. note: where the figure comes from."""

    percent: float
    deviation: float | None = None
    note: str = ""

    @property
    def text(self) -> str:
        return mean_and_deviation(self.percent, self.deviation, 1)


@dataclass(frozen=True)
class Verdict:
    """Accuracies on one `part` of the data, "validation" or "test"; None if not measured yet.

    others: of further selections of real images, by their names.
    """

    part: str
    random: Accuracy | None
    distilled: Accuracy | None
    full: Accuracy | None
    others: dict[str, Accuracy]

    @property
    def images(self) -> str:
        return "test images" if self.part == "test" else "held-out images"

    @property
    def gap(self) -> float | None:
        """The difference of the two numbers as they are shown."""
        if self.distilled is None or self.full is None:
            return None
        return round(self.full.percent, 1) - round(self.distilled.percent, 1)

    def sentence(self, gap: str = "gap to lossless") -> str:
        """ "" if the distilled images are not measured. gap: its name."""
        if self.distilled is None:
            return ""
        parts = [f"distilled {self.distilled.text}% of {self.images}"]
        if self.random:
            parts.append(f"random real {self.random.text}")
        if self.full:
            parts.append(f"all images {self.full.text}")
        if self.gap is not None:
            parts.append(f"{gap} {self.gap:.1f}")
        return " · ".join(parts)


def verdict(state: RunState) -> Verdict:
    """What is known so far, of the test images once the distilled set is tested on them."""
    tested: dict[str, Evaluated] = {}
    for row in state.results:  # rows of the first network come first
        tested.setdefault(row.set, row)
    if "distilled" in tested:
        known = {
            name: Accuracy(row.accuracy_mean, row.accuracy_std if row.repeats > 1 else None)
            for name, row in tested.items()
            if not name.startswith("distilled-")
        }
        return _verdict("test", known)
    part = state.candidates[-1].part if state.candidates else "validation"
    known = {name: Accuracy(percent) for name, percent in state.references(part).items()}
    if best := state.best_candidate:
        known["distilled"] = Accuracy(best.accuracy, note=f"best at {best.iteration:,}")
    accuracies = state.expert_accuracies
    if part == "validation" and "full" not in known and accuracies:
        deviation = statistics.pstdev(accuracies) if len(accuracies) > 1 else None
        known["full"] = Accuracy(statistics.fmean(accuracies), deviation, "the experts")
    return _verdict(part, known)


def _verdict(part: str, known: dict[str, Accuracy]) -> Verdict:
    others = {name: accuracy for name, accuracy in known.items() if name not in SHOWN}
    return Verdict(part, known.get("random"), known.get("distilled"), known.get("full"), others)


def next_commands(run: Run, networks: Sequence[str] = ()) -> list[str]:
    """What to type when a run is done. networks: those that it was evaluated with."""
    name = short_name(run)
    others = [each for each in ("resnet18", "vgg11") if each not in networks]
    return [
        command("datm", "inspect", name),
        command("datm", "report", name),
        command("datm", "evaluate", name, "--networks", ",".join(others)),
    ]


def short_name(run: Run) -> str:
    """How the run can be named from the current folder: by its name alone in `runs`, else by its
    path."""
    is_usual = (
        "DATM_RUNS_DIR" not in os.environ and Path("runs").resolve() == run.path.resolve().parent
    )
    return run.name if is_usual else str(run.path)
