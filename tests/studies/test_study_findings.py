"""The sentences say what the figures show, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from datm_engine.runs.directory import Run
from datm_engine.runs.events import Matched, SkipReason
from datm_engine.studies.study_findings import findings, judge
from datm_engine.studies.study_plan import StudyPlan, plan_methods, plan_windows
from datm_engine.studies.study_results import read_study
from tests.conftest import tiny_config
from tests.studies.conftest import recorded_run, recorded_study, row

MIDDLE = {("middle", 1): 60.0, ("middle", 2): 60.0, ("middle", 5): 60.0}
SHOWS = {("early", 1): 80.0, ("late", 1): 70.0, ("early", 5): 85.0, ("late", 5): 95.0}


def said(windows: StudyPlan, tmp_path: Path, means: dict[tuple[str, int], float]) -> list[str]:
    recorded_study(tmp_path, windows, means)
    return findings(read_study(windows, tmp_path))


def test_the_best_window_of_every_ipc_is_named(windows: StudyPlan, tmp_path: Path) -> None:
    texts = said(windows, tmp_path, {**SHOWS, **MIDDLE})
    assert texts[0] == "At 1 per class early is best, with 80.0 ± 1.0%."
    assert texts[1].startswith("At 2 per class middle is best, with 60.0 ± 1.0%, of the 1 of 3")
    assert texts[2] == "At 5 per class late is best, with 95.0 ± 1.0%."


def test_both_claims_show(windows: StudyPlan, tmp_path: Path) -> None:
    late, early = said(windows, tmp_path, {**SHOWS, **MIDDLE})[-2:]
    assert late == (
        "That late matching hurts where the images are fewest (1 per class) shows: "
        "late 70.0 ± 1.0, early 80.0 ± 1.0."
    )
    assert early.startswith("That early matching hurts where the images are most (5 per class) ")
    assert early.endswith("shows: early 85.0 ± 1.0, late 95.0 ± 1.0.")


def test_the_reverse_is_said_to_be_one(windows: StudyPlan, tmp_path: Path) -> None:
    means = {("early", 1): 70.0, ("late", 1): 80.0, ("early", 5): 95.0, ("late", 5): 85.0}
    for sentence in said(windows, tmp_path, means)[-2:]:
        assert "does not show, the reverse does" in sentence


def test_a_middle_window_may_be_the_better_one(windows: StudyPlan, tmp_path: Path) -> None:
    means = {**SHOWS, ("middle", 1): 85.0, ("middle", 5): 90.0, ("late", 5): 60.0}
    late, early = said(windows, tmp_path, means)[-2:]
    assert late.endswith("shows: late 70.0 ± 1.0, middle 85.0 ± 1.0.")
    assert early.endswith("shows: early 85.0 ± 1.0, middle 90.0 ± 1.0.")


def test_within_the_deviation_nothing_shows(windows: StudyPlan, tmp_path: Path) -> None:
    """√2 apart is the most that two deviations of 1 leave open."""
    means = {("early", 1): 80.0, ("late", 1): 78.7, ("early", 5): 90.0, ("late", 5): 91.5}
    texts = said(windows, tmp_path, means)
    assert texts[0].endswith("; late (78.7 ± 1.0) is within the deviation.")
    assert "does not show" in texts[-2]
    assert "within the deviation" in texts[-2]
    assert "reverse" not in texts[-2]
    assert texts[-1].endswith("shows: early 90.0 ± 1.0, late 91.5 ± 1.0.")


def test_what_is_not_measured_is_not_claimed(windows: StudyPlan, tmp_path: Path) -> None:
    texts = said(windows, tmp_path, {("early", 1): 80.0, ("early", 5): 80.0})
    assert "cannot be judged: late is not measured" in texts[-2]
    assert "cannot be judged: no other window is measured" in texts[-1]


def test_of_nothing_nothing_is_said(windows: StudyPlan, tmp_path: Path) -> None:
    assert all("cannot be judged" in text for text in said(windows, tmp_path, {}))


def test_single_networks_show_nothing(windows: StudyPlan, tmp_path: Path) -> None:
    for planned in windows.runs:
        mean = 80.0 if planned.variant == "early" else 50.0
        recorded_run(tmp_path, planned, [row("distilled", mean, 0.0, repeats=1)])
    texts = findings(read_study(windows, tmp_path))
    assert "single networks have no deviation" in texts[0]
    assert "cannot be judged from single networks" in texts[-2]


def test_one_ipc_shows_no_movement(tmp_path: Path) -> None:
    plan = plan_windows("digits", {1: tiny_config()})
    recorded_study(tmp_path, plan, SHOWS)
    assert "One ipc alone" in findings(read_study(plan, tmp_path))[-1]


@pytest.mark.parametrize(
    ("mean", "text"),
    [
        (90.0, "No distilled set reaches what all training images give (99.0 ± 0.5%)."),
        (98.5, "datm at 1 per class (98.5 ± 1.0)"),
        (99.9, "datm at 1 per class (99.9 ± 1.0)"),
    ],
)
def test_lossless_is_within_the_deviation_of_all_images(
    mean: float, text: str, tmp_path: Path
) -> None:
    against = {"evaluate": {"against": ["random", "full"]}}
    plan = plan_methods("digits", {("datm", 1): tiny_config(**against)})
    recorded_study(tmp_path, plan, {("datm", 1): mean})
    assert text in findings(read_study(plan, tmp_path))[-1]


def test_real_images_that_do_as_well_are_named(windows: StudyPlan, tmp_path: Path) -> None:
    """Random images have 70 ± 1."""
    texts = said(windows, tmp_path, {("early", 1): 80.0, ("late", 2): 71.0, ("early", 5): 60.0})
    assert texts[3] == (
        "Within the deviation of the best distilled set, or above it, are as many real images: "
        "random at 2 per class (70.0 ± 1.0) and random at 5 per class (70.0 ± 1.0)."
    )


def test_apart_is_beyond_the_deviation_of_the_difference() -> None:
    assert judge(row("a", 50.0, 3.0), row("b", 54.9, 4.0)) == "within"
    assert judge(row("a", 50.0, 3.0), row("b", 55.1, 4.0)) == "apart"
    assert judge(row("a", 50.0, repeats=1), row("b", 90.0)) == "unknown"


def test_where_no_step_was_taken_nothing_is_said_of_matching(
    windows: StudyPlan, tmp_path: Path
) -> None:
    recorded_study(tmp_path, windows, SHOWS)
    late = windows.runs[2]
    run = Run(tmp_path / late.name)
    with run.recording() as record:
        record.write(matched(iteration=8, skipped=5))
    texts = findings(read_study(windows, tmp_path))
    assert "(1 per class) cannot be judged, as late took hardly a step" in texts[-3]
    assert texts[-2].endswith("shows: early 85.0 ± 1.0, late 95.0 ± 1.0.")
    assert "near what it started as: late at 1 per class (5 of 8)." in texts[-1]
    with run.recording() as record:
        record.write(matched(iteration=10, skipped=5))
    assert "shows" in findings(read_study(windows, tmp_path))[-2]


def matched(iteration: int, skipped: int) -> Matched:
    return Matched(
        iteration=iteration,
        iterations=10,
        loss=2.0,
        expert=0,
        start_epoch=2,
        target_epoch=3,
        lower=2,
        upper=4,
        final_upper=4,
        syn_lr=0.1,
        skip_reason=SkipReason.LOSS_ABOVE_THRESHOLD,
        skipped=skipped,
        seconds=1.0,
    )
