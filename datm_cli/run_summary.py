"""A run's course, as `datm compare` and `datm report` tell it: what it stated, and what it took."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datm_cli.dashboard.state import State, fold
from datm_cli.target import find
from datm_engine.errors import ConfigError
from datm_engine.hints import command
from datm_engine.runs import events
from datm_engine.runs.directory import Run
from datm_engine.runs.events import Event
from datm_engine.settings.config import Config

STAGES = ("dataset", "experts", "references", "distill", "selection", "evaluate")
# What a network is trained on, by the name of its row.
SETS = {
    "distilled": "chosen among the candidates",
    "distilled-last": "as it was at the last iteration",
    "random": "as many random real images",
    "herding": "as many, whose mean comes nearest to the class's",
    "kcenter": "as many, spread over the class",
    "forgetting": "as many, which experts forget most often",
    "el2n": "as many, on which experts err most early on",
    "full": "all training images",
}
# Runs from before there was a choice computed plainly.
PLAINLY = {"precision": "float32", "compile": "off"}


@dataclass(frozen=True)
class Course:
    """`facts` are run.json's; `seconds`, what each of STAGES took so far."""

    run: Run
    config: Config
    facts: dict[str, Any]
    status: str
    state: State
    seconds: dict[str, float]

    @classmethod
    def of(cls, run: Run) -> Course:
        """Raises RunError or ConfigError for a run that is damaged."""
        told = run.events()
        return cls(run, run.config(), run.facts(), run.status(), fold(told), spent(told))

    @property
    def iteration(self) -> int:
        return self.state.matched[-1].iteration if self.state.matched else 0

    @property
    def iterations(self) -> int:
        return self.config.distill.iterations

    @property
    def skipped(self) -> int:
        return self.state.matched[-1].skipped if self.state.matched else 0

    @property
    def seconds_an_iteration(self) -> float | None:
        """The median."""
        lengths = [event.seconds for event in self.state.matched]
        return statistics.median(lengths) if lengths else None

    @property
    def memory(self) -> int | None:
        """Bytes: the most that a process of the run has taken, of the GPU where it used one; None
        where the run does not say."""
        return max((event.memory for event in self.state.matched), default=0) or None

    @property
    def disk(self) -> int:
        """Bytes of the run's files; its experts are kept elsewhere."""
        return sum(path.stat().st_size for path in self.run.path.rglob("*") if path.is_file())

    @property
    def device(self) -> str:
        started = self.state.started
        return str(self.facts.get("device") or (started.device if started else "unknown"))

    @property
    def arithmetic(self) -> dict[str, Any]:
        """Precision and compilation as run.json has them."""
        return {**PLAINLY, **self.facts.get("arithmetic", {})}


def find_run(target: str, runs_dir: Path, purpose: str) -> Run:
    """The run of that name or in that folder. `purpose`: what only a run has, for the message.

    Raises ConfigError for a distilled set's file, RunError where there is nothing.
    """
    found = find(target, runs_dir)
    if not isinstance(found, Run):
        wrong = f"{target} is a file: only runs have {purpose}"
        raise ConfigError(wrong, command("datm", "inspect", target))
    return found


def spent(told: Iterable[Event]) -> dict[str, float]:
    """Seconds of each stage, over all the processes that worked on a run.

    What passed before a fact counts for the stage that states it; what passed between two
    processes, and what was lost and done again, for none.
    """
    seconds = dict.fromkeys(STAGES, 0.0)
    before: float | None = None
    for event in told:
        match event:
            case events.RunStarted():
                before = event.time
            case events.EvaluationChanged():
                before = None
            case events.Noted() | events.RunEnded():
                continue
            case _:
                if before is not None:
                    seconds[_stage(event)] += max(0.0, event.time - before)
                    before = event.time
    return seconds


def _stage(event: Event) -> str:
    """The one that states it."""
    match event:
        case events.DatasetProgress() | events.DatasetReady():
            return "dataset"
        case events.ExpertsPlanned() | events.DifficultyProgress():
            return "experts"
        case events.ExpertEpoch() | events.ExpertTrained():
            return "experts"
        case events.CandidateScored() | events.EvaluationProgress(set="candidate"):
            return "selection"
        case events.EvaluationProgress() | events.Evaluated():
            return "evaluate" if event.set.startswith("distilled") else "references"
    return "distill"
