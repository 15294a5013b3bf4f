"""What is said of a tune is no more than its scores say."""

from __future__ import annotations

import pytest

from datm_engine.runs.events import TrialBegan, TrialEnded, TrialScored
from datm_engine.runs.trials import Trials
from datm_engine.tuning.tune_result import finding, sampling_deviation


def trials(*scores: float | None) -> Trials:
    made = Trials()
    for number, score in enumerate(scores):
        made.add(TrialBegan(trial=number, run=f"trial-{number:03d}", draw="{}", changes="x"))
        if score is not None:
            made.add(TrialScored(trial=number, iteration=9, iterations=9, accuracy=score))
        status = "failed" if score is None else "complete"
        made.add(TrialEnded(trial=number, status=status))
    return made


def test_the_deviation_is_that_of_as_many_draws() -> None:
    assert sampling_deviation(50.0, 100) == pytest.approx(5.0)
    assert sampling_deviation(100.0, 100) == 0.0


@pytest.mark.parametrize(
    ("scores", "images", "said"),
    [
        ((), 100, "No trial has been scored yet"),
        ((50.0,), 100, "No settings but those"),
        ((50.0, 40.0), 100, "None of 2 trials was better"),
        ((50.0, 50.0), 100, "None of 2 trials was better"),
        ((50.0, 55.0), 100, "within the deviation"),
        ((50.0, 60.0), 100, "between one and two deviations"),
        ((50.0, 60.0), 10_000, "more than two deviations"),
        ((None, 60.0), 100, "gave nothing to score; trial 1 reached 60.0%"),
    ],
)
def test_what_is_found(scores: tuple[float | None, ...], images: int, said: str) -> None:
    assert said in finding(trials(*scores), images)
