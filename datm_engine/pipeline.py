"""The whole road, as one generator of events: dataset → experts → distill → evaluate."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

from datm_engine.checkpoint import Checkpoint
from datm_engine.config import Config
from datm_engine.data.prepared import PreparedData, prepare
from datm_engine.distillation.initialization import check_ipc
from datm_engine.distillation.loop import distill
from datm_engine.distilled import distilled_sets, progress
from datm_engine.errors import ConfigError, DataError, RunError
from datm_engine.evaluation.comparison import Evaluation
from datm_engine.events import Evaluated, Event, Noted, RunEnded, RunStarted
from datm_engine.experts.training import expert_facts, expert_network, train_experts
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.runs import Run
from datm_engine.runtime import Runtime
from datm_engine.soundness import losses
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
    yield Noted(text=runtime.choices)
    data = yield from prepare(config.dataset, folders.data, runtime)
    experts = yield from train_experts(config, data, folders.experts, runtime, stop)
    return data, experts


def _check(config: Config, data: PreparedData, run: Run, runtime: Runtime) -> None:
    """What would only come out after hours of training. Raises DataError, ConfigError, RunError."""
    check_ipc(data.train.labels, data.class_names, config.distill.ipc)
    if config.evaluate.selection == "validation" and not len(data.validation):
        raise ConfigError(
            f"{data.name} has too few images to hold any out for selection",
            "--set evaluate.selection=last",
        )
    if run.checkpoint.exists():
        matched = Checkpoint.load(run.checkpoint).experts
        own = fingerprint(expert_facts(config, data, runtime.precision))
        if matched != (config.experts.imported or own):
            raise RunError(
                f"run {run.name} was made of other images: {config.dataset.name} has changed since",
                f"{run.again()}   # a new run",
            )


def make_distilled_set(
    config: Config,
    run: Run,
    folders: Folders,
    runtime: Runtime,
    stop: Stop,
) -> Generator[Event, None, Outcome]:
    """dataset → experts → distill → evaluate, going on where the run left off.

    The real images that the result is compared with are evaluated before the distillation, as
    what there is to beat, and not again when the run goes on.
    """
    known = [e for e in run.events() if isinstance(e, Evaluated)]
    done = progress(run).iteration
    lost = losses(run, done)
    yield RunStarted(
        run=run.name,
        command="distill",
        device=runtime.description,
        version=__version__,
        seed=config.distill.seed,
        resumed_at=done,
    )
    for text in lost:
        yield Noted(text=text)
    runtime.compiler.record = lambda _: run.note(arithmetic=runtime.facts())
    yield Noted(text=runtime.choices)
    data = yield from prepare(config.dataset, folders.data, runtime)
    _check(config, data, run, runtime)
    experts = yield from train_experts(config, data, folders.experts, runtime, stop)
    network = expert_network(config, data, seed=0, runtime=runtime)
    evaluation = Evaluation(config, data, runtime, stop)
    before = progress(run)
    outcome = Outcome("stopped", before.iteration, before.loss)
    if not stop():
        known += yield from evaluation.references(known)
    if not stop():
        reached = yield from distill(
            config, data, experts, network, run, runtime, evaluation.score, stop
        )
        outcome = replace(outcome, iterations=reached.iteration, loss=reached.loss)
        if reached.skipped:
            yield Noted(
                text=f"{reached.skipped:,} of {reached.iteration:,} iterations took no step"
            )
        if not stop():
            rows = yield from evaluation.compare(distilled_sets(run), known)
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
    yield Noted(text=runtime.choices)
    data = yield from prepare(config.dataset, folders.data, runtime, first.preprocessing)
    made_for = (len(first.class_names), tuple(first.images.shape[1:]))
    if made_for != (data.classes, data.shape):
        raise DataError(
            f"the distilled set is for {made_for[0]} classes of images {made_for[1]}, and "
            f"{data.name} has {data.classes} of {data.shape}",
            "--dataset ''",
        )
    return (yield from Evaluation(config, data, runtime, stop).compare(distilled))
