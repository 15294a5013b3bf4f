"""What iterations are prepared with: graphs within a budget, segments read ahead, precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.compute.compilation import graph_size
from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData
from datm_engine.distillation.batches import student_steps
from datm_engine.distillation.iteration import Distillation
from datm_engine.distillation.segment_reader import Segments
from datm_engine.distillation.sharding import build_graph
from datm_engine.distillation.window import expert_for
from datm_engine.errors import FileError
from datm_engine.experts.train import expert_network, train_experts
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.runs.checkpoint import Checkpoint, Progress
from datm_engine.runs.events import Noted, SkipReason, ignore
from datm_engine.settings.config import Config

Make = Callable[..., Config]
Finished = Callable[..., tuple[list[Any], Any]]


def begun(
    config: Config, digits: PreparedData, experts: ExpertSet, runtime: Runtime
) -> Distillation:
    learned = {
        "images": digits.train.images[:10],
        "labels": torch.eye(10),
        "syn_lr": torch.tensor(0.05),
    }
    network = expert_network(config, digits, 0, runtime)
    return Distillation(config, experts, network, runtime, Checkpoint(Progress(), learned, {}, ""))


@pytest.fixture
def iterated(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> Callable[..., tuple[Distillation, list[Any]]]:
    """Two iterations, with what was said before them."""

    def iterate(runtime: Runtime, config: Config | None = None) -> tuple[Distillation, list[Any]]:
        config = config or make_config()
        _, experts = finished(train_experts, config, digits, tmp_path, cpu)
        distillation = begun(config, digits, experts, runtime)
        result, _ = finished(distillation.prepare)
        result += [distillation.iterate(emit=ignore) for _ in range(2)]
        return distillation, result

    return iterate


def test_as_many_graphs_are_kept_as_the_budget_allows(iterated: Any, cpu: Runtime) -> None:
    none, _ = iterated(cpu)
    assert none.memory_plan.kept == 0
    every, result = iterated(replace(cpu, memory=10**9))
    assert every.memory_plan.kept == 3, "no more than there are steps"
    (note,) = [event.text for event in result if isinstance(event, Noted)]
    assert "graphs of 3 of 3 student steps are kept" in note
    step = student_steps(every.config, 10, 0, cpu)[0]
    start = every.segments(0).start.clone()  # both weights of a segment share a storage
    size = graph_size(build_graph(every.memory_plan.loss_gradient, start, every.learned, step).g)
    two, _ = iterated(replace(cpu, memory=int(2.5 * size)))
    assert two.memory_plan.kept == 2
    for name, learned in vars(none.learned).items():
        for kept in (every, two):
            assert torch.allclose(learned, vars(kept.learned)[name], rtol=1e-3, atol=1e-4)


def test_bfloat16_goes_where_float32_goes(iterated: Any, cpu: Runtime) -> None:
    exact, _ = iterated(cpu)
    rounded, _ = iterated(cpu.using("bfloat16"))
    assert all(tensor.dtype == torch.float32 for tensor in vars(rounded.learned).values())
    for name in ("images", "labels"):
        ours, theirs = (d.optimizer.velocities[name].flatten() for d in (rounded, exact))
        assert float(torch.cosine_similarity(ours, theirs, dim=0)) > 0.99
        assert float(ours.norm() / theirs.norm()) == pytest.approx(1, abs=0.05)


def test_the_average_begins_at_the_start_and_takes_its_share(
    iterated: Any, make_config: Make, cpu: Runtime
) -> None:
    plain, _ = iterated(cpu)
    assert plain.average is None
    distillation, _ = iterated(cpu, make_config(distill={"averaging": 0.75}))
    assert torch.equal(distillation.learned.images, plain.learned.images), "it changes nothing"
    distillation.average = None
    expected = distillation.learned.images
    for _ in range(3):
        distillation.iterate(emit=ignore)
        expected = 0.75 * expected + 0.25 * distillation.learned.images
        assert torch.equal(distillation.average, expected)


def test_segments_are_those_of_their_iteration_in_any_order(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    config = make_config()
    _, experts = finished(train_experts, config, digits, tmp_path, cpu)
    segments = Segments(config, begun(config, digits, experts, cpu).window, experts, cpu)
    for iteration in (0, 1, 2, 7, 3):
        found = segments(iteration)
        assert found.expert == expert_for(iteration, 2, config.distill.seed)
        assert found.target_epoch == found.start_epoch + 1
        start, target = experts.segment(found.expert, found.start_epoch, found.target_epoch)
        assert torch.equal(found.start, start)
        assert torch.equal(found.target, target)
    damaged = experts.path(expert_for(4, 2, config.distill.seed))
    damaged.unlink()  # and not cut short, as it may be being read
    damaged.write_bytes(b"")
    segments(8)
    with pytest.raises(FileError, match="damaged"):
        segments(4)


@pytest.mark.parametrize(
    "setting",
    [{"gradient": "tesla"}, {"mirrored": True}, {"matched_share": 0.5}, {"trajectories": "convex"}],
    ids=lambda setting: next(iter(setting)),
)
def test_a_variant_learns_other_images(
    setting: dict[str, Any], iterated: Any, make_config: Make, cpu: Runtime
) -> None:
    plain, _ = iterated(cpu)
    varied, _ = iterated(cpu, make_config(distill=setting))
    assert not torch.allclose(varied.learned.images, plain.learned.images)


def test_skipped_iterations_are_counted_in_a_row_and_in_all(
    iterated: Any, make_config: Make, cpu: Runtime
) -> None:
    distillation, _ = iterated(cpu)
    rows = []
    for threshold in (1e-6, 1e-6, 1e6, 1e-6):
        distillation.config = make_config(distill={"threshold": threshold})
        reason = distillation.iterate(emit=ignore).skip_reason
        progress = distillation.progress
        rows.append((reason, progress.skipped, progress.skipped_in_a_row))
        assert progress.skip_reason is SkipReason.LOSS_ABOVE_THRESHOLD, "kept after a step"
    above = SkipReason.LOSS_ABOVE_THRESHOLD
    assert rows == [(above, 1, 1), (above, 2, 2), (None, 2, 0), (above, 3, 1)]


def test_memory_is_reduced_by_graphs_and_then_by_pieces(iterated: Any, cpu: Runtime) -> None:
    """And what proved too much is not tried again."""
    distillation, _ = iterated(replace(cpu, memory=10**9))
    plan, states = distillation.memory_plan, []
    for _ in range(4):
        plan.reduce_memory(distillation.learned, emit=ignore)
        states.append((plan.kept, plan.piece_size))
    batch = min(distillation.config.distill.batch_syn, 10)
    half = -(-batch // 2)
    assert states == [(1, None), (0, None), (0, half), (0, -(-half // 2))]
