"""The whole road, as one generator of events: dataset → experts → distill → evaluate."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

from datm_engine.config import Config
from datm_engine.data.prepared import PreparedData, prepare
from datm_engine.distillation.loop import distill
from datm_engine.evaluation.comparison import Evaluation
from datm_engine.events import Evaluated, Event, RunEnded, RunStarted
from datm_engine.experts.training import expert_network, train_experts
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.runs import Run
from datm_engine.runtime import Runtime
from datm_engine.synthetic import SyntheticSet
from datm_engine.version import __version__

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Folders:
    """Where things are kept: downloads and decoded images, experts, runs."""

    data: Path
    experts: Path
    runs: Path


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `status` is "done" or "stopped"; `loss` is the last iteration's."""

    status: str
    iterations: int
    loss: float | None
    results: list[Evaluated] = field(default_factory=list)


def make_experts(
    config: Config, folders: Folders, runtime: Runtime, stop: Stop
) -> Generator[Event, None, tuple[PreparedData, ExpertSet]]:
    """dataset → experts. If stopped, the set may hold fewer than were asked for."""
    data = yield from prepare(config.dataset, folders.data, runtime)
    experts = yield from train_experts(config, data, folders.experts, runtime, stop)
    return data, experts


def make_distilled_set(
    config: Config, run: Run, folders: Folders, runtime: Runtime, stop: Stop
) -> Generator[Event, None, Outcome]:
    """dataset → experts → distill → evaluate, going on where the run left off."""
    yield RunStarted(
        run=run.name,
        command="distill",
        device=runtime.description,
        version=__version__,
        seed=config.distill.seed,
        resumed_at=run.progress().iteration,
    )
    data, experts = yield from make_experts(config, folders, runtime, stop)
    outcome = Outcome("stopped", run.progress().iteration, run.progress().loss)
    if not stop():
        network = expert_network(config, data, seed=0, runtime=runtime)
        evaluation = Evaluation(config, data, runtime, stop)
        progress = yield from distill(
            config, data, experts, network, run, runtime, evaluation.score, stop
        )
        outcome = replace(outcome, iterations=progress.iteration, loss=progress.loss)
        if not stop():
            rows = yield from evaluation.compare(distilled_sets(run))
            outcome = replace(outcome, results=rows)
            if not stop():
                outcome = replace(outcome, status="done")
    yield RunEnded(status=outcome.status, iteration=outcome.iterations)
    return outcome


def evaluate_again(
    config: Config,
    distilled: dict[str, SyntheticSet],
    folders: Folders,
    runtime: Runtime,
    stop: Stop,
) -> Generator[Event, None, list[Evaluated]]:
    """dataset → evaluate, for sets that exist already. The data go through the preprocessing of
    the first set, so that networks are tested on images of the kind they were trained on."""
    first = next(iter(distilled.values()))
    data = yield from prepare(config.dataset, folders.data, runtime, first.preprocessing)
    return (yield from Evaluation(config, data, runtime, stop).compare(distilled))


def distilled_sets(run: Run) -> dict[str, SyntheticSet]:
    """The selected set as "distilled" and, where it is another, the last as "distilled-last"."""
    selected, last = run.read_synthetic(), run.read_synthetic(last=True)
    if selected.iteration == last.iteration:
        return {"distilled": selected}
    return {"distilled": selected, "distilled-last": last}
