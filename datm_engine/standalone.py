"""Stages outside of a run: train experts, measure what they know, evaluate existing sets.

As in a run, all ranks call the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from datm_engine.calibration.derivation import derive_window
from datm_engine.calibration.measurement import measure_learning_curves
from datm_engine.compute.memory_errors import half, oom_as_error
from datm_engine.compute.runtime import Runtime
from datm_engine.errors import Stopped
from datm_engine.evaluation.baselines import BY_EXPERTS
from datm_engine.evaluation.evaluate import Evaluation
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.experts.train import expert_network, expert_set, open_experts, train_experts
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.pipeline import MIRRORED, expert_baselines, load_dataset
from datm_engine.runs.directory import Folders
from datm_engine.runs.events import Emit, Evaluated, Noted
from datm_engine.settings.config import Config
from datm_engine.settings.derived.values import WINDOW_AND_STEPS
from datm_engine.synthetic import SyntheticSet


def make_experts(
    config: Config, derive: Sequence[str], folders: Folders, runtime: Runtime, *, emit: Emit
) -> ExpertSet:
    """dataset → experts. After a stop, fewer than requested are on disk."""
    emit(Noted(text=runtime.choices))
    data = load_dataset(config, folders, runtime, emit=emit)
    try:
        with oom_as_error("training experts", half("experts.batch", config.experts.batch)):
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
    data = load_dataset(config, folders, runtime, emit=emit)
    network = expert_network(config, data, seed=0, runtime=runtime)
    precision = runtime.precision
    experts = open_experts(config, data, network.layout, folders.experts, precision, command)
    curves = measure_learning_curves(config, data, experts, network, runtime, emit=emit)
    if window := [key for key in derive if key in WINDOW_AND_STEPS]:
        evaluation = Evaluation(config, data, runtime, emit=emit)
        config = derive_window(window, evaluation, curves).config
        if config.distill.expert_epochs != curves.expert_epochs:  # segments of another length
            curves = measure_learning_curves(config, data, experts, network, runtime, emit=emit)
    return experts, curves, config


def evaluate_again(
    config: Config,
    distilled: dict[str, SyntheticSet],
    folders: Folders,
    runtime: Runtime,
    precision: str,
    command: str,
    *,
    emit: Emit,
) -> list[Evaluated]:
    """dataset → evaluate, for existing sets. Return the rows that are finished, after a stop too.

    Images get the preprocessing of the first set, which its networks are trained on. Experts are
    opened only if `config.evaluate.against` names subsets that they choose; none is trained.
    precision: of the run that trained them. command: the one that trains them. Raises DataError if
    the sets are of another dataset, FileError if there are no experts.
    """
    first = next(iter(distilled.values()))
    emit(Noted(text=runtime.choices))
    if config.evaluate.mirrored:
        emit(Noted(text=MIRRORED))
    data = load_dataset(config, folders, runtime, first.preprocessing, emit=emit)
    data.check_fits("the distilled set is", len(first.class_names), first.images)
    baselines = None
    if set(config.evaluate.against) & set(BY_EXPERTS):
        network = expert_network(config, data, seed=0, runtime=runtime)
        experts = open_experts(config, data, network.layout, folders.experts, precision, command)
        baselines = expert_baselines(config, data, network, experts)
    rows: list[Evaluated] = []
    with suppress(Stopped):
        Evaluation(config, data, runtime, baselines, emit=emit).compare(distilled, rows)
    return rows
