"""A run from end to end: dataset → experts → calibration → distill → evaluate.

`make_distilled_set` runs all stages. `make_experts`, `inspect_experts` and `evaluate_again` run
some of them, outside of a run. On several ranks, all call the same function, and the first writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from datm_engine.calibration.derivation import Calibrated, calibrate, derive_window
from datm_engine.calibration.measurement import measure_learning_curves
from datm_engine.compute.out_of_memory import oom_as_error
from datm_engine.compute.ranks import ALONE
from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData, prepare
from datm_engine.data.preprocessing import Preprocessing
from datm_engine.distillation.distilled_sets import distilled_sets, progress
from datm_engine.distillation.initialization import check_ipc
from datm_engine.distillation.loop import distill
from datm_engine.errors import ConfigError, DataError, RunError, Setting, Stopped
from datm_engine.evaluation.evaluate import Evaluation
from datm_engine.evaluation.expert_baselines import BY_EXPERTS, ExpertBaselines
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.experts.train import (
    expert_facts,
    expert_network,
    expert_set,
    open_experts,
    train_experts,
)
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.files import or_elsewhere
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.checkpoint import Checkpoint
from datm_engine.runs.directory import Run
from datm_engine.runs.events import Emit, Evaluated, Noted, RunEnded, RunStarted
from datm_engine.runs.integrity import problems
from datm_engine.settings.config import Config
from datm_engine.settings.derived.values import ALIGNED
from datm_engine.synthetic import SyntheticSet
from datm_engine.version import __version__

MIRRORED = (
    "networks are trained on every image beside its mirror image, on real images too "
    "(evaluate.mirrored)"
)


@dataclass(frozen=True)
class Folders:
    """data: downloads and decoded images."""

    data: Path = field(default_factory=lambda: Path("~/.cache/datm").expanduser())
    experts: Path = Path("experts")
    runs: Path = Path("runs")


@dataclass
class Outcome:
    """How a run ended. status: "done" or "stopped". loss: of the last iteration."""

    status: str
    iterations: int
    loss: float | None
    results: list[Evaluated] = field(default_factory=list)


def make_experts(
    config: Config, derive: Sequence[str], folders: Folders, runtime: Runtime, *, emit: Emit
) -> ExpertSet:
    """dataset → experts. After a stop, fewer than requested are on disk."""
    emit(Noted(text=runtime.choices))
    data = _prepared(config, folders, runtime, emit=emit)
    try:
        with oom_as_error("training experts", _smaller("experts.batch", config.experts.batch)):
            return train_experts(config, data, folders.experts, runtime, derive, emit=emit)
    except Stopped:
        layout = expert_network(config, data, seed=0, runtime=runtime).layout
        return expert_set(config, data, layout, folders.experts, runtime.precision)


def inspect_experts(
    config: Config,
    derive: Sequence[str],
    folders: Folders,
    runtime: Runtime,
    command: str,
    *,
    emit: Emit,
) -> tuple[ExpertSet, LearningCurves, Config]:
    """dataset → what the experts on disk know after each epoch; none is trained. Also return the
    configuration, with the window derived if `derive` names its keys.

    command: the one that trains them, for the FileError if there are none. Raises Stopped.
    """
    emit(Noted(text=runtime.choices))
    data = _prepared(config, folders, runtime, emit=emit)
    network = expert_network(config, data, seed=0, runtime=runtime)
    experts = open_experts(
        config, data, network.layout, folders.experts, runtime.precision, command, "look at"
    )
    with oom_as_error("measuring experts", _another_device(runtime)):
        curves = measure_learning_curves(config, data, experts, network, runtime, emit=emit)
    if window := [key for key in derive if key in ALIGNED]:
        evaluation = Evaluation(config, data, runtime, emit=emit)
        with _evaluating(config):
            config = derive_window(window, evaluation, curves).config
        if config.distill.expert_epochs != curves.expert_epochs:  # segments of another length
            curves = measure_learning_curves(config, data, experts, network, runtime, emit=emit)
    return experts, curves, config


def _prepared(
    config: Config,
    folders: Folders,
    runtime: Runtime,
    fitted: Preprocessing | None = None,
    *,
    emit: Emit,
) -> PreparedData:
    """Load the dataset: on the first rank and then on the others, so that nothing is downloaded or
    decoded twice."""
    ranks = runtime.ranks
    if not ranks.leads:
        ranks.gather(None)  # waits for the first rank
    memory = oom_as_error(f"the images of {config.dataset.name}", _another_device(runtime))
    with memory, or_elsewhere(folders.data, "data_dir"):
        data = prepare(config.dataset, folders.data, runtime, fitted, emit=emit)
    if ranks.leads:
        ranks.gather(None)
    return data


def _another_device(runtime: Runtime) -> Setting:
    return (
        Setting("dataset.train_images", 5000)
        if runtime.device.type == "cpu"
        else Setting("device", "cpu")
    )


def _smaller(key: str, batch: int) -> Setting:
    return Setting(key, max(1, batch // 2))


def _check(config: Config, data: PreparedData, run: Run, runtime: Runtime) -> None:
    """Raise DataError, ConfigError or RunError for what would fail only after hours of training."""
    check_ipc(data.train.labels, data.class_names, config.distill.ipc)
    if config.evaluate.selection == "validation" and not len(data.validation):
        raise ConfigError(
            f"{data.name} has too few images to hold any out for selection"
            if config.dataset.validation
            else f"{data.name} has no validation part, and dataset.validation = 0 holds no images "
            "out for selection",
            Setting("evaluate.selection", "last"),
        )
    if run.checkpoint.exists():
        matched = Checkpoint.load(run.checkpoint).experts
        own = fingerprint(expert_facts(config, data, runtime.precision))
        if matched != (config.experts.imported or own):
            raise RunError(
                f"run {run.name} was made of other images: {config.dataset.name} has changed since",
                f"{run.new_run_command()}   # a new run",
            )


def make_distilled_set(
    config: Config, run: Run, folders: Folders, runtime: Runtime, *, emit: Emit
) -> Outcome:
    """Run all stages, from where the run was stopped if it resumes.

    Real images are evaluated before the distillation, so that candidates can be watched beside
    them, and not again when the run resumes.
    """
    ranks = runtime.ranks
    known = ranks.first(lambda: run.state().results)
    before = ranks.first(lambda: progress(run))
    lost = ranks.first(lambda: problems(run, before.iteration))
    emit(
        RunStarted(
            run=run.name,
            command="distill",
            device=runtime.description,
            version=__version__,
            seed=config.distill.seed,
            resumed_at=before.iteration,
        )
    )
    for text in lost:
        emit(Noted(text=text))
    if ranks.leads:
        runtime.compiler.record = lambda _: run.update(arithmetic=runtime.facts())
    emit(Noted(text=runtime.choices))
    if config.evaluate.mirrored:
        emit(Noted(text=MIRRORED))
    outcome = Outcome("stopped", before.iteration, before.loss)
    try:
        _run_stages(config, run, folders, runtime, known, outcome, emit=emit)
        outcome.status = "done"
    except Stopped:
        reached = ranks.first(lambda: progress(run))
        outcome.iterations, outcome.loss = reached.iteration, reached.loss
    emit(RunEnded(status=outcome.status, iteration=outcome.iterations))
    return outcome


def _run_stages(
    config: Config,
    run: Run,
    folders: Folders,
    runtime: Runtime,
    known: list[Evaluated],
    outcome: Outcome,
    *,
    emit: Emit,
) -> None:
    """Run the stages one after the other, and fill in `outcome`. known: rows of accuracy that are
    measured already. Raises Stopped at the end of an epoch or an iteration."""
    ranks = runtime.ranks
    derive = ranks.first(lambda: run.manifest().derive)
    data = _prepared(config, folders, runtime, emit=emit)
    _check(config, data, run, runtime)
    with oom_as_error("training experts", _smaller("experts.batch", config.experts.batch)):
        experts = train_experts(config, data, folders.experts, runtime, derive, emit=emit)
    # Students start at experts' weights: the network's own are never used.
    network = expert_network(config, data, seed=0, runtime=runtime)
    selection = _selection(config, data, network, experts)
    evaluation = Evaluation(config, data, runtime, selection, emit=emit)
    runtime.check_stop()
    with _evaluating(config):
        known = [*known, *evaluation.references(known)]
    runtime.check_stop()
    if derive:
        config = _calibrate(derive, run, evaluation, experts, network, known)
        evaluation = replace(evaluation, config=config)
        runtime.check_stop()

    def score(candidate: SyntheticSet) -> float:
        with _evaluating(config):
            return evaluation.score(candidate)

    with oom_as_error("what is learned", _smaller("distill.ipc", config.distill.ipc)):
        reached = distill(config, data, experts, network, run, runtime, score, emit=emit)
    outcome.iterations, outcome.loss = reached.iteration, reached.loss
    runtime.check_stop()
    sets = ranks.first(lambda: distilled_sets(run))
    with _evaluating(config):
        evaluation.compare(sets, outcome.results, known)
    runtime.check_stop()


def _calibrate(
    derive: Sequence[str],
    run: Run,
    evaluation: Evaluation,
    experts: ExpertSet,
    network: FlatNetwork,
    known: Sequence[Evaluated],
) -> Config:
    """Derive settings from the experts, and write them to the run. The first rank measures alone
    and the others receive its values: sums over ranks differ in their last bits, and a value that
    is rounded could come out different."""
    runtime = evaluation.runtime
    ranks, compiler = runtime.ranks, runtime.compiler
    calibrated: Calibrated | None = None
    with ranks.stopping_together():
        if ranks.leads:
            alone = replace(evaluation, runtime=replace(runtime, ranks=ALONE))
            with _evaluating(evaluation.config):
                calibrated = calibrate(derive, alone, experts, network, known)
    calibrated, decided = ranks.first(lambda: (calibrated, compiler.decided))
    assert calibrated is not None
    compiler.decided.update(decided)
    if ranks.leads:
        run.update(calibrated.config, **calibrated.facts())
    ranks.gather(None)  # no rank continues before the settings are written
    return calibrated.config


def _selection(
    config: Config, data: PreparedData, network: FlatNetwork, experts: ExpertSet
) -> ExpertBaselines:
    count, ipc, names = config.experts.count, config.distill.ipc, config.evaluate.against
    return ExpertBaselines(network, experts, count, data.train, data.classes, ipc, names)


@dataclass(frozen=True)
class Trained:
    """Existing experts: the precision of the run that trained them, and the command that does."""

    precision: str
    command: str


def evaluate_again(
    config: Config,
    distilled: dict[str, SyntheticSet],
    folders: Folders,
    runtime: Runtime,
    trained: Trained,
    *,
    emit: Emit,
) -> list[Evaluated]:
    """dataset → evaluate, for existing sets. Return the rows that are finished, after a stop too.

    Images get the preprocessing of the first set, which its networks are trained on. Experts are
    opened only if `config.evaluate.against` names subsets that they choose; none is trained. Raises
    DataError if the sets are of another dataset, FileError if there are no experts.
    """
    first = next(iter(distilled.values()))
    emit(Noted(text=runtime.choices))
    if config.evaluate.mirrored:
        emit(Noted(text=MIRRORED))
    data = _prepared(config, folders, runtime, first.preprocessing, emit=emit)
    expected = (len(first.class_names), tuple(first.images.shape[1:]))
    if expected != (data.classes, data.shape):
        raise DataError(
            f"the distilled set is for {expected[0]} classes of images {expected[1]}, and "
            f"{data.name} has {data.classes} of {data.shape}",
            Setting("dataset"),
        )
    selection = None
    if set(config.evaluate.against) & set(BY_EXPERTS):
        network = expert_network(config, data, seed=0, runtime=runtime)
        experts = open_experts(
            config, data, network.layout, folders.experts, trained.precision, trained.command
        )
        selection = _selection(config, data, network, experts)
    rows: list[Evaluated] = []
    with suppress(Stopped), _evaluating(config):
        Evaluation(config, data, runtime, selection, emit=emit).compare(distilled, rows)
    return rows


@contextmanager
def _evaluating(config: Config) -> Iterator[None]:
    with oom_as_error(
        "training networks to evaluate", _smaller("evaluate.batch", config.evaluate.batch)
    ):
        yield
