"""A run from end to end: dataset → experts → calibration → distill → evaluate.

On several ranks, all call `make_distilled_set`, and the first writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from datm_engine.calibration.derivation import Calibrated, calibrate
from datm_engine.compute.memory_errors import half, on_cpu, oom_as_error
from datm_engine.compute.ranks import ALONE
from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData, prepare
from datm_engine.data.preprocessing import Preprocessing
from datm_engine.distillation.distilled_sets import distilled_sets, progress
from datm_engine.distillation.initialization import check_ipc
from datm_engine.distillation.loop import distill
from datm_engine.distillation.samples import save_real
from datm_engine.errors import ConfigError, RunError, Setting, Stopped
from datm_engine.evaluation.baselines import ExpertBaselines
from datm_engine.evaluation.evaluate import Evaluation
from datm_engine.experts.train import check_epochs, expert_facts, expert_network, train_experts
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.files import or_elsewhere
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.checkpoint import Checkpoint
from datm_engine.runs.directory import Folders, Run
from datm_engine.runs.events import Emit, Evaluated, Noted, RunEnded, RunStarted
from datm_engine.runs.integrity import problems
from datm_engine.settings.config import Config
from datm_engine.version import __version__

MIRRORED = (
    "networks are trained on every image beside its mirror image, on real images too "
    "(evaluate.mirrored)"
)


@dataclass
class Outcome:
    """How a run ended. status: "done" or "stopped". loss: of the last iteration."""

    status: str
    iterations: int
    loss: float | None
    results: list[Evaluated] = field(default_factory=list)


def make_distilled_set(
    config: Config, run: Run, folders: Folders, runtime: Runtime, *, emit: Emit
) -> Outcome:
    """Run all stages, from where the run was stopped if it resumes.

    Networks are trained on real images after the distillation, on all of them last. Until then
    candidates can be compared with the experts, which are trained on all of them.
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
        runtime.compiler.record = lambda: run.update(arithmetic=runtime.arithmetic)
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
    data = load_dataset(config, folders, runtime, emit=emit)
    _check(config, data, run, runtime)
    if ranks.leads:
        save_real(run.real_images, data.train, data.preprocessing, data.class_names)
    with oom_as_error("training experts", half("experts.batch", config.experts.batch)):
        experts = train_experts(config, data, folders.experts, runtime, derive, emit=emit)
    # Students start at experts' weights: the network's own are never used.
    network = expert_network(config, data, seed=0, runtime=runtime)
    baselines = expert_baselines(config, data, network, experts)
    evaluation = Evaluation(config, data, runtime, baselines, emit=emit)
    runtime.check_stop()
    if derive:
        known = [*known, *evaluation.compare_random(known)]
        runtime.check_stop()
        config = _calibrate(derive, run, evaluation, experts, network, known)
        evaluation = replace(evaluation, config=config)
        runtime.check_stop()
    check_epochs(config, experts)

    with oom_as_error("what is learned", half("distill.ipc", config.distill.ipc)):
        reached = distill(config, data, experts, network, run, runtime, evaluation.score, emit=emit)
    outcome.iterations, outcome.loss = reached.iteration, reached.loss
    runtime.check_stop()
    sets = ranks.first(lambda: distilled_sets(run))
    evaluation.compare(sets, outcome.results, known)
    runtime.check_stop()


def load_dataset(
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
    fix = on_cpu(runtime.device, Setting("dataset.train_images", 5000))
    memory = oom_as_error(f"the images of {config.dataset.name}", fix)
    with memory, or_elsewhere(folders.data, "data_dir"):
        data = prepare(config.dataset, folders.data, runtime, fitted, emit=emit)
    if ranks.leads:
        ranks.gather(None)  # releases the others
    return data


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
            smaller = half("distill.ipc", evaluation.config.distill.ipc)
            with oom_as_error("deriving settings from the experts", smaller):
                calibrated = calibrate(derive, alone, experts, network, known)
    calibrated, decided = ranks.first(lambda: (calibrated, compiler.decided))
    assert calibrated is not None
    compiler.decided.update(decided)
    if ranks.leads:
        run.update(calibrated.config, **calibrated.facts())
    ranks.gather(None)  # no rank continues before the settings are written
    return calibrated.config


def expert_baselines(
    config: Config, data: PreparedData, network: FlatNetwork, experts: ExpertSet
) -> ExpertBaselines:
    count, ipc, names = config.experts.count, config.distill.ipc, config.evaluate.against
    return ExpertBaselines(network, experts, count, data.train, data.classes, ipc, names)
