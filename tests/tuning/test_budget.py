"""How much a tune may take, as it is typed."""

from __future__ import annotations

import pytest

from datm_engine.errors import ConfigError, Setting
from datm_engine.tuning.trial_scheduler import Budget, parse_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("20", Budget(trials=20)),
        (" 1 ", Budget(trials=1)),
        ("90s", Budget(seconds=90)),
        ("30m", Budget(seconds=1800)),
        ("1.5H", Budget(seconds=5400)),
        ("2 d", Budget(seconds=172800)),
    ],
)
def test_trials_or_a_time(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "0", "0m", "-3", "lots", "3x", "1.5", "m", "9" * 40])
def test_nonsense_is_reported_with_what_can_be_typed(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_budget(text)
    assert f"budget {text}" in raised.value.message
    assert raised.value.fix == Setting("budget", 20)


def test_each_bounds_what_it_names() -> None:
    assert Budget(trials=2).allows_another(1)
    assert not Budget(trials=2).allows_another(2)
    assert not Budget(trials=2).is_spent(1e9)
    assert Budget(seconds=10).allows_another(1000)
    assert Budget(seconds=10).is_spent(10)
    assert not Budget(seconds=10).is_spent(9.9)
