"""The whole road on two ranks leads where it does on one; and a rank that fails takes nothing
with it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.calibration import derivation
from datm_engine.compute.ranks import ALONE, RankLost, Ranks
from datm_engine.compute.runtime import Runtime
from datm_engine.errors import DatmError
from datm_engine.hints import fix_text
from datm_engine.pipeline import make_distilled_set
from datm_engine.runs.checkpoint import Checkpoint
from datm_engine.runs.directory import Folders, Run
from datm_engine.runs.events import (
    CheckpointSaved,
    Evaluated,
    EvaluationProgress,
    ExpertEpoch,
    Matched,
    RunEnded,
)
from datm_engine.settings.config import Config
from datm_engine.settings.derived.values import DERIVABLE
from tests.conftest import finish, tiny_config
from tests.on_ranks import on_ranks

EXACT: dict[str, Any] = {"distill": {"iterations": 6}, "evaluate": {"selection_interval": 4}}


def places(folder: Path) -> Folders:
    return Folders(data=folder / "data", experts=folder / "experts", runs=folder / "runs")


def config() -> Config:
    return tiny_config(experts={"count": 3}, **EXACT)


def walk(
    ranks: Ranks,
    folders: Folders,
    name: str,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Run, list[Any], Any]:
    """The road, or on with it, in float64, on all ranks; the one that leads writes the run."""
    run = Run(folders.runs / name)
    if ranks.leads and not run.path.exists():
        Run.create(folders.runs, name, config(), {})
    ranks.gather(None)
    on = Runtime(torch.device("cpu"), torch.float64, ranks=ranks, stop=stop)
    seen: list[Any] = []
    with (
        run.recording() if ranks.leads else nullcontext(run.not_recording()) as record,
        record.recorded(seen.append) as emit,
    ):
        outcome = make_distilled_set(config(), run, folders, on, emit=emit)
    return run, seen, outcome


def both_roads(ranks: Ranks, folder: Path) -> None:
    """One that is walked to its end, and one on which only the last rank is asked to stop."""
    folders = places(folder)
    _, seen, _ = walk(ranks, folders, "whole")
    own = {
        "matched": sum(isinstance(event, Matched) for event in seen),
        "experts": sorted({event.expert for event in seen if isinstance(event, ExpertEpoch)}),
        "repeats": sorted({e.repeat for e in seen if isinstance(e, EvaluationProgress)}),
    }
    (folder / f"rank-{ranks.rank}.json").write_text(json.dumps(own))

    def asked() -> bool:
        return ranks.rank == ranks.count - 1 and is_matching(folders, "stopped")

    _, seen, outcome = walk(ranks, folders, "stopped", asked)
    result = {"status": outcome.status, "iterations": outcome.iterations}
    (folder / f"stopped-{ranks.rank}.json").write_text(json.dumps(result))


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """Both roads on two ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "data").symlink_to(data_dir)
    assert on_ranks(2, both_roads, folder) == [0, 0]
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> tuple[Run, list[Any]]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("alone")
    (folder / "data").symlink_to(data_dir)
    run, seen, _ = walk(ALONE, places(folder), "whole")
    return run, seen


def assert_same_course(run: Run, other: Run) -> None:
    ours, theirs = (Checkpoint.load(each.checkpoint) for each in (run, other))
    assert {*theirs.learned} == {*theirs.velocities} == {"images", "labels", "syn_lr"}
    for name, tensor in theirs.learned.items():
        assert ours.learned[name].dtype == tensor.dtype == torch.float64
        assert float(theirs.velocities[name].norm()) > 0, f"{name} was never learned"
        assert float((ours.learned[name] - tensor).norm()) <= 1e-9 * float(tensor.norm()), name
    for name, tensor in theirs.velocities.items():
        assert float((ours.velocities[name] - tensor).norm()) <= 1e-8 * float(tensor.norm()), name


def test_two_ranks_learn_what_one_learns(walked: Path, alone: tuple[Run, list[Any]]) -> None:
    run = Run(walked / "runs" / "whole")
    assert run.status() == "done"
    assert_same_course(run, alone[0])
    losses = [[e.loss for e in r.events() if isinstance(e, Matched)] for r in (run, alone[0])]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    assert len(losses[0]) == 6
    assert Checkpoint.load(run.checkpoint).progress.skipped == 0
    assert run.config() == config()


def of_rank(walked: Path, rank: int) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((walked / f"rank-{rank}.json").read_text())
    return result


def test_experts_are_dealt_out_and_the_same(walked: Path, alone: tuple[Run, list[Any]]) -> None:
    assert [of_rank(walked, rank)["experts"] for rank in range(2)] == [[0, 2], [1]]

    def files(root: Path) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in root.glob("experts/*/expert-*")}

    ours, theirs = files(walked), files(alone[0].path.parents[1])
    assert len(theirs) == 3
    assert ours == theirs


def test_rows_of_accuracy_are_the_same(walked: Path, alone: tuple[Run, list[Any]]) -> None:
    def rows(events: list[Any]) -> dict[str, tuple[Any, ...]]:
        return {
            row.set: (row.accuracy_mean, row.accuracy_std, row.validation_mean, row.images)
            for row in events
            if isinstance(row, Evaluated)
        }

    assert [of_rank(walked, rank)["repeats"] for rank in range(2)] == [[0], [1]], "dealt out"
    ours, theirs = rows(Run(walked / "runs" / "whole").events()), rows(alone[1])
    assert "random" in theirs
    assert ours == theirs


def test_the_rank_that_leads_writes_alone(walked: Path) -> None:
    assert [of_rank(walked, rank)["matched"] for rank in range(2)] == [6, 6]
    history = [e for e in Run(walked / "runs" / "whole").events() if isinstance(e, Matched)]
    assert len(history) == 6


def test_a_stop_on_one_rank_is_one_of_all_and_another_number_goes_on(
    walked: Path, alone: tuple[Run, list[Any]]
) -> None:
    result = [json.loads((walked / f"stopped-{rank}.json").read_text()) for rank in range(2)]
    assert result[0] == result[1]
    assert result[0]["status"] == "stopped"
    run = Run(walked / "runs" / "stopped")
    assert run.status() == "stopped"
    assert 0 < Checkpoint.load(run.checkpoint).progress.iteration < 6
    torch.set_num_threads(1)
    walk(ALONE, places(walked), "stopped")
    assert run.status() == "done"
    assert_same_course(run, alone[0])


def test_a_checkpoint_when_it_is_asked_for(tmp_path: Path, data_dir: Path) -> None:
    folders = Folders(data=data_dir, experts=tmp_path, runs=tmp_path / "runs")
    asked = iter([False, True, False, False, False, False])
    run = Run.create(folders.runs, "run", tiny_config(**EXACT), {})
    config = tiny_config(**{**EXACT, "distill": {"iterations": 6, "checkpoint_seconds": 1e6}})
    on = Runtime(torch.device("cpu"), save_now=lambda: next(asked))
    seen, _ = finish(make_distilled_set, config, run, folders, on)
    saved = [event.iteration for event in seen if isinstance(event, CheckpointSaved)]
    assert saved == [2, 6]


def is_matching(folders: Folders, name: str) -> bool:
    """Whether an iteration of the run is recorded."""
    return any(isinstance(event, Matched) for event in Run(folders.runs / name).events())


def lost(ranks: Ranks, folder: Path) -> None:
    """The last rank is killed between two iterations."""

    def dies() -> bool:
        if ranks.rank == 1 and is_matching(places(folder), "lost"):
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    with pytest.raises(RankLost, match="rank 0 of 2: another rank was lost") as raised:
        walk(ranks, places(folder), "lost", dies)
    assert "--resume" in raised.value.command
    os._exit(7)


def failed(ranks: Ranks, folder: Path) -> None:
    """The last rank meets a problem that it can report, as the command line does."""
    problem = DatmError("the disk of rank 1 is full", "df -h")
    if ranks.rank == 1:
        assert ranks.reports_failure(problem.message, fix_text(problem.fix))
        os._exit(1)
    with pytest.raises(RankLost, match="rank 1: the disk of rank 1 is full") as raised:
        ranks.sum(torch.ones(1000))
    assert fix_text(raised.value.fix) == "df -h"
    assert not ranks.reports_failure(raised.value.message, fix_text(raised.value.fix)), (
        "reported once"
    )
    os._exit(7)


def test_a_rank_that_dies_leaves_the_checkpoint(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "data").symlink_to(data_dir)
    assert on_ranks(2, lost, tmp_path) == [7, -signal.SIGKILL]
    run = Run(tmp_path / "runs" / "lost")
    ended = run.events()[-1]
    assert isinstance(ended, RunEnded)
    assert ended.status == "failed"
    assert "another rank was lost" in ended.message
    assert ended.hint.startswith("datm distill --resume")
    assert Checkpoint.load(run.checkpoint).progress.iteration > 0


def test_what_went_wrong_first_is_reported_once(tmp_path: Path) -> None:
    assert on_ranks(2, failed, tmp_path) == [7, 1]


def derived(ranks: Ranks, folder: Path) -> None:
    """A run whose settings are derived from its experts, in float32; a rank that matches segments
    for it leaves a file."""
    plainly = derivation._measured

    def noted(*given: Any) -> dict[str, float]:
        (folder / f"measures-{ranks.rank}").touch()
        return plainly(*given)

    derivation._measured = noted
    settings = tiny_config(experts={"count": 3, "epochs": 6}, **EXACT)
    folders = places(folder)
    run = Run(folders.runs / "derived")
    if ranks.leads:
        Run.create(folders.runs, "derived", settings, {"derive": list(DERIVABLE)})
    ranks.gather(None)
    on = Runtime(torch.device("cpu"), ranks=ranks)
    with (
        run.recording() if ranks.leads else nullcontext(run.not_recording()) as record,
        record.recorded(lambda event: None) as emit,
    ):
        make_distilled_set(run.config(), run, folders, on, emit=emit)


@pytest.mark.slow
def test_two_ranks_derive_the_settings_that_one_derives(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derivation, "_measured", derivation._measured)  # undone at the end
    for name in ("two", "one"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").symlink_to(data_dir)
    assert on_ranks(2, derived, tmp_path / "two") == [0, 0]
    measuring = [path.name for path in (tmp_path / "two").glob("measures-*")]
    assert measuring == ["measures-0"], "the first rank measures as one alone does"
    torch.set_num_threads(1)
    derived(ALONE, tmp_path / "one")
    one, two = (Run(tmp_path / name / "runs" / "derived") for name in ("one", "two"))
    assert one.manifest().derived == two.manifest().derived
    assert set(one.manifest().derived) == {f"distill.{key}" for key in DERIVABLE}
    assert one.config() == two.config()
    images, others = (Checkpoint.load(run.checkpoint).learned["images"] for run in (one, two))
    assert float((images - others).norm()) < 1e-6 * float(images.norm())
