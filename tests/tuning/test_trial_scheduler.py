"""What is tried and which trials continue, with an objective that takes no time."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

pytest.importorskip("optuna")

from datm_engine.runs.events import Event, RunStarted, TrialBegan, TrialEnded, TrialScored
from datm_engine.runs.trials import Trial
from datm_engine.settings.config import Config
from datm_engine.tuning.search_space import SearchSpace
from datm_engine.tuning.trial_scheduler import Budget, TrialScheduler
from datm_engine.tuning.trial_settings import scoring_interval, shortened
from tests.conftest import tiny_config

ITERATIONS = 18
STARTED = RunStarted(run="t", command="tune", device="cpu", version="0", seed=0, time=100.0)


class Killed(Exception):
    """In place of a SIGKILL."""


class Log:
    """A tune's events, which can end at any of them."""

    def __init__(self, recorded: list[Event] | None = None, most: int = 10_000) -> None:
        self.recorded, self.most = list(recorded or []), most

    def record(self, event: Event) -> Event:
        if len(self.recorded) >= self.most:
            raise Killed
        self.recorded.append(event)
        return event


def centre() -> Config:
    return shortened(tiny_config(experts={"epochs": 12}), ITERATIONS)


def scheduler(log: Log, *, trials: int = 12, seed: int = 0, **over: Any) -> TrialScheduler:
    facts: dict[str, Any] = {
        "centre": centre,
        "held": frozenset(),
        "iterations": ITERATIONS,
        "seed": seed,
        "budget": Budget(trials=trials),
        "seconds": lambda: 0.0,
    }
    return TrialScheduler(log.recorded, log.record, **(facts | over))


def accuracy(config: Config, iteration: int) -> float:
    """Best at a rate of a third of the centre's, and growing."""
    off = abs(math.log(config.distill.lr_images / (centre().distill.lr_images / 3)))
    return 90 - 12 * off - 30 / iteration


def work(one: TrialScheduler, trial: Trial) -> Trial:
    """As a worker does it: an interrupted trial repeats all scores."""
    config = centre() if trial.number == 0 else one.config(trial.number)
    for iteration in range(
        scoring_interval(ITERATIONS), ITERATIONS + 1, scoring_interval(ITERATIONS)
    ):
        if not one.score(trial.number, iteration, accuracy(config, iteration)):
            break
    return one.end(trial.number)


def finish(one: TrialScheduler) -> TrialScheduler:
    while (trial := one.next_trial()) is not None:
        work(one, trial)
    return one


def test_the_first_trial_is_the_settings_as_they_are_in_full() -> None:
    log = Log()
    first = finish(scheduler(log)).trials.first
    assert first is not None
    assert (first.status, first.iteration, first.changes) == ("complete", 18, "")


def test_the_best_is_never_worse_than_the_first_and_most_end_early() -> None:
    trials = finish(scheduler(Log(), trials=30)).trials
    assert trials.best is not None
    assert trials.first is not None
    assert trials.best.score > trials.first.score  # type: ignore[operator]
    states = [trial.status for trial in trials.all.values()]
    assert len(states) == 30
    assert set(states) == {"complete", "pruned"}
    assert states.count("pruned") >= 15
    assert {t.iteration for t in trials.all.values() if t.status == "pruned"} <= {2, 6}
    third = sorted((t.score or 0 for t in trials.all.values()), reverse=True)[:10]
    assert trials.best.score in third


def test_trials_are_the_same_for_the_same_seed_alone() -> None:
    def draws(seed: int) -> list[str]:
        log = Log()
        finish(scheduler(log, trials=6, seed=seed))
        return [event.draw for event in log.recorded if isinstance(event, TrialBegan)]

    assert draws(0) == draws(0)
    assert draws(0) != draws(1)
    assert len(set(draws(0))) == 6


def test_killed_at_any_event_it_resumes_to_the_same() -> None:
    whole = Log()
    finish(scheduler(whole, trials=4))
    for most in range(len(whole.recorded)):
        cut = Log(most=most)
        with pytest.raises(Killed):
            finish(scheduler(cut, trials=4))
        rest = Log(cut.recorded)
        finish(scheduler(rest, trials=4))
        assert rest.recorded == whole.recorded, f"killed after {most} events"


def test_a_larger_budget_continues_where_a_smaller_ended() -> None:
    whole, log = Log(), Log()
    finish(scheduler(whole, trials=9))
    finish(scheduler(log, trials=4))
    assert scheduler(log, trials=4).next_trial() is None
    finish(scheduler(log, trials=9))
    assert log.recorded == whole.recorded


def test_others_wait_until_the_first_is_scored() -> None:
    one = scheduler(Log())
    first = one.next_trial()
    assert first is not None
    assert one.next_trial({0}) is None
    assert one.score(0, 2, 50.0)
    second, third = one.next_trial({0}), one.next_trial({0, 1})
    assert second is not None
    assert third is not None
    assert (second.number, third.number) == (1, 2)


def test_the_centre_is_what_the_first_trial_has_come_to() -> None:
    """As where its settings are derived from the experts while it runs."""
    settled = [centre()]
    one = scheduler(Log(), centre=lambda: settled[0])
    one.next_trial()
    derived = settled[0].distill.model_copy(update={"lr_lr": 7e-6, "lr_images": 500.0})
    settled[0] = settled[0].model_copy(update={"distill": derived})
    one.score(0, 2, 50.0)
    second = one.next_trial({0})
    assert second is not None
    assert one.config(1).distill.lr_lr == 7e-6
    assert 50 <= one.config(1).distill.lr_images <= 5000
    space = SearchSpace(settled[0])
    assert one.config(1) == space.config(json.loads(second.draw))


def test_a_trial_that_cannot_be_matched_is_the_worst_there_is() -> None:
    log = Log()
    one = scheduler(log, trials=3)
    one.next_trial()
    one.end(0, "no step was taken")
    assert one.trials.first is not None
    assert one.trials.first.status == "failed"
    finish(one)
    assert one.trials.best is not None
    assert one.trials.best.number > 0
    resumed = scheduler(log, trials=3)
    assert resumed.next_trial() is None
    assert resumed.trials.all == one.trials.all


def test_one_that_was_stopped_by_hand_is_not_gone_on_with() -> None:
    one = scheduler(Log())
    one.next_trial()
    one.score(0, 2, 50.0)
    assert one.end(0).status == "stopped"
    again = one.next_trial()
    assert again is not None
    assert again.number == 1


def test_time_is_that_of_all_processes() -> None:
    clock = [0.0]
    recorded: list[Event] = [STARTED, began(0), scored(0).model_copy(update={"time": 160.0})]
    log = Log([*recorded, STARTED.model_copy(update={"time": 1000.0})])
    one = scheduler(log, budget=Budget(seconds=100), seconds=lambda: clock[0])
    assert not one.is_out_of_time
    clock[0] = 40.0
    assert one.is_out_of_time, "60 s before, and 40 now"
    assert one.next_trial() is None


def began(number: int) -> TrialBegan:
    return TrialBegan(trial=number, run=f"trial-{number:03d}", draw="{}", changes="")


def scored(number: int, iteration: int = 2, accuracy: float = 50.0) -> TrialScored:
    return TrialScored(trial=number, iteration=iteration, iterations=18, accuracy=accuracy)


def test_a_trial_that_ended_sooner_is_not_ranked_by_its_score() -> None:
    from datm_engine.runs.state import fold

    recorded: list[Event] = [began(0), scored(0, 18, 60.0), TrialEnded(trial=0, status="complete")]
    recorded += [began(1), scored(1, 2, 70.0), TrialEnded(trial=1, status="pruned")]
    recorded += [began(2), scored(2, 18, 60.0), TrialEnded(trial=2, status="complete")]
    recorded += [began(3), TrialEnded(trial=3, status="failed", message="no step")]
    assert [trial.number for trial in fold(recorded).trials.ranked] == [0, 2, 1]
