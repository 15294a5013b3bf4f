"""The loop: what is refused and why, what stays fixed, how candidates are chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData
from datm_engine.distillation.batches import student_steps
from datm_engine.distillation.distilled_sets import read_distilled
from datm_engine.distillation.loop import APPROXIMATE, distill
from datm_engine.errors import MatchingError
from datm_engine.experts.train import expert_network, train_experts
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.hints import fix_text
from datm_engine.runs.checkpoint import Checkpoint
from datm_engine.runs.directory import Run
from datm_engine.runs.events import (
    CandidateScored,
    ClassesFilledUp,
    Initialized,
    Matched,
    Noted,
    SkipReason,
)
from datm_engine.settings.config import Config
from datm_engine.synthetic import SyntheticSet
from datm_engine.tensors import read_tensors

Make = Callable[..., Config]
Finished = Callable[..., tuple[list[Any], Any]]


@pytest.fixture
def walk(
    digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> Callable[..., tuple[list[Any], Run]]:
    """Distil with a score that is a given number at each iteration (default: rising)."""

    def walk(config: Config, scores: dict[int, float] | None = None) -> tuple[list[Any], Run]:
        def score(candidate: SyntheticSet) -> float:
            return (scores or {}).get(candidate.iteration, float(candidate.iteration))

        experts: ExpertSet
        _, experts = finished(train_experts, config, digits, tmp_path / "experts", cpu)
        run = Run.create(tmp_path, "run", config, {})
        network = expert_network(config, digits, 0, cpu)
        seen: list[Any] = []
        try:
            distill(config, digits, experts, network, run, cpu, score, emit=seen.append)
        except MatchingError as error:
            seen.append(error)
        return seen, run

    return walk


def reasons(seen: list[Any]) -> set[SkipReason | None]:
    return {event.skip_reason for event in seen if isinstance(event, Matched)}


def test_above_the_threshold_nothing_moves(make_config: Make, walk: Any) -> None:
    seen, run = walk(make_config(distill={"threshold": 1e-6}))
    assert reasons(seen) == {SkipReason.LOSS_ABOVE_THRESHOLD}
    assert [e.skipped for e in seen if isinstance(e, Matched)] == list(range(1, 9))
    checkpoint = Checkpoint.load(run.checkpoint)
    assert checkpoint.velocities == {}
    assert float(checkpoint.learned["syn_lr"]) == pytest.approx(make_config().distill.syn_lr)
    assert checkpoint.progress.skipped == checkpoint.progress.skipped_in_a_row == 8


def seen_matched(seen: list[Any]) -> list[Matched]:
    return [event for event in seen if isinstance(event, Matched)]


def test_a_step_to_a_negative_rate_is_refused_whole(make_config: Make, walk: Any) -> None:
    """A student that overshoots wants a smaller rate, here one below zero."""
    wild = {"syn_lr": 5.0, "threshold": 1e6, "lr_lr": 1e6, "iterations": 3}
    seen, run = walk(make_config(distill=wild))
    assert reasons(seen) == {SkipReason.RATE_NEGATIVE}
    assert {event.syn_lr for event in seen_matched(seen)} == {5.0}
    checkpoint = Checkpoint.load(run.checkpoint)
    assert checkpoint.velocities == {}, "nor does any momentum build up"


def test_a_diverging_student_is_reported_as_such(make_config: Make, walk: Any) -> None:
    seen, _ = walk(make_config(distill={"syn_lr": 1e30, "threshold": 1e300}))
    assert reasons(seen) == {SkipReason.LOSS_NOT_FINITE}
    assert {event.loss for event in seen_matched(seen)} == {None}


def test_a_run_that_never_steps_ends_with_an_explanation(make_config: Make, walk: Any) -> None:
    config = make_config(distill={"threshold": 1e-6, "max_skips_in_a_row": 3, "iterations": 50})
    seen, run = walk(config)
    error = seen[-1]
    assert isinstance(error, MatchingError)
    assert "no step was taken in the last 3 iterations" in error.message
    assert "above the threshold" in error.message
    assert "--set distill.threshold=" in fix_text(error.fix)
    assert Checkpoint.load(run.checkpoint).progress.iteration == 3


@pytest.mark.parametrize("rate", [1e38, 1e300])
def test_a_rate_that_throws_the_images_away_is_named(
    rate: float, make_config: Make, walk: Any
) -> None:
    over = {"lr_images": rate, "max_skips_in_a_row": 3, "iterations": 20}
    seen, run = walk(make_config(distill=over))
    assert "--set distill.lr_images=" in fix_text(seen[-1].fix)
    learned = Checkpoint.load(run.checkpoint).learned.values()
    assert all(bool(tensor.isfinite().all()) for tensor in learned)
    if rate == 1e300:
        assert reasons(seen) == {SkipReason.IMAGES_INFINITE}


def test_soft_labels_are_learned_and_hard_ones_stay(make_config: Make, walk: Any) -> None:
    _, run = walk(make_config(distill={"labels": "hard"}))
    last = read_distilled(run, last=True)
    assert torch.equal(last.soft_labels, torch.eye(10))


def test_labels_and_images_and_rate_move(make_config: Make, walk: Any) -> None:
    seen, run = walk(make_config(distill={"lr_lr": 1e-4}))
    assert reasons(seen) == {None}
    checkpoint = Checkpoint.load(run.checkpoint)
    assert set(checkpoint.velocities) == {"images", "labels", "syn_lr"}
    assert all(float(v.abs().max()) > 0 for v in checkpoint.velocities.values())


def test_averaged_images_are_what_is_distilled(make_config: Make, walk: Any) -> None:
    _, run = walk(make_config(distill={"averaging": 0.9}))
    checkpoint = Checkpoint.load(run.checkpoint)
    assert checkpoint.average is not None
    assert not torch.equal(checkpoint.average, checkpoint.learned["images"])
    last, selected = read_distilled(run, last=True), SyntheticSet.load(run.distilled)
    assert last.iteration == selected.iteration == 8
    assert torch.equal(last.images, checkpoint.average)
    assert torch.equal(selected.images, checkpoint.average)
    assert torch.equal(selected.labels, checkpoint.learned["labels"]), "only images are averaged"
    tensors, _ = read_tensors(run.samples / "000008.safetensors")
    assert torch.equal(tensors["pictures"], last.pictures()), "and they are what is shown"


def test_without_a_step_there_is_no_average(make_config: Make, walk: Any) -> None:
    _, run = walk(make_config(distill={"averaging": 0.9, "threshold": 1e-6}))
    assert Checkpoint.load(run.checkpoint).average is None
    started = SyntheticSet.load(run.distilled)
    assert torch.equal(read_distilled(run, last=True).images, started.images)


@pytest.mark.parametrize("gradient", ["exact", "tesla"])
def test_an_approximate_gradient_is_named_as_such(
    gradient: str, make_config: Make, walk: Any
) -> None:
    seen, _ = walk(make_config(distill={"gradient": gradient}))
    before = seen[: next(i for i, event in enumerate(seen) if isinstance(event, Matched))]
    history = [event.text for event in before if isinstance(event, Noted)]
    assert [text for text in history if "approximation" in text] == (
        [] if gradient == "exact" else [APPROXIMATE]
    )
    assert reasons(seen) == {None}


def test_noise_starts_from_noise(make_config: Make, walk: Any) -> None:
    frozen = {"threshold": 1e-6, "images": "noise"}
    seen, run = walk(make_config(distill=frozen))
    (history,) = [event for event in seen if isinstance(event, Initialized)]
    assert "noise" in history.image_source
    images = read_distilled(run, last=True).images
    assert abs(float(images.mean())) < 0.2
    assert abs(float(images.std()) - 1) < 0.1


def test_a_class_that_is_filled_up_is_reported(make_config: Make, walk: Any) -> None:
    """Experts of one epoch know little: few images of some classes qualify."""
    config = make_config(
        experts={"count": 1, "epochs": 1, "lr": 1e-6},
        distill={"ipc": 10, "max_start_epoch": 1, "initial_max_start_epoch": 1, "iterations": 1},
    )
    seen, _ = walk(config)
    filled = [event for event in seen if isinstance(event, ClassesFilledUp)]
    (result,) = filled
    assert result.wanted == result.of == 10
    *names, more = result.names.split(", ")
    assert len(names) == 5
    assert all(int(name.rsplit(" ", 1)[1]) < 10 for name in names)
    assert more == "…"


def test_the_best_candidate_is_kept(make_config: Make, walk: Any) -> None:
    seen, run = walk(make_config(), {3: 50.0, 6: 70.0, 8: 60.0})
    scored = [event for event in seen if isinstance(event, CandidateScored)]
    assert [event.best for event in scored] == [True, True, False]
    assert SyntheticSet.load(run.distilled).iteration == 6
    assert read_distilled(run).iteration == 6
    assert read_distilled(run, last=True).iteration == 8


def test_selection_last_scores_nothing(make_config: Make, walk: Any) -> None:
    seen, run = walk(make_config(evaluate={"selection": "last"}))
    assert not [event for event in seen if isinstance(event, CandidateScored)]
    assert SyntheticSet.load(run.distilled).iteration == 8


def test_permutations_are_used_up_and_never_shared(make_config: Make, cpu: Runtime) -> None:
    config = make_config(distill={"syn_steps": 7, "batch_syn": 4})
    steps = student_steps(config, 10, 0, cpu)
    assert [len(step.indices) for step in steps] == [4, 4, 2, 4, 4, 2, 4]
    for turn in (steps[:3], steps[3:6]):
        assert sorted(i for step in turn for i in step.indices.tolist()) == list(range(10))
    later = student_steps(config, 10, 1, cpu)
    assert steps[0].indices.tolist() != later[0].indices.tolist()
    again = student_steps(config, 10, 0, cpu)
    assert all(torch.equal(a.indices, b.indices) for a, b in zip(steps, again, strict=True))
