"""Events go to JSON and back, and a line that is no event is recognized."""

from __future__ import annotations

import typing
from typing import Any

import pytest
from pydantic import ValidationError

from datm_cli.text.sentences import sentence
from datm_engine.runs.event_log import from_json, to_json
from datm_engine.runs.events import KINDS, Event, Matched, SkipReason

SAMPLES: dict[type, Any] = {
    str: "fünf ⁺ \n",
    int: 3,
    float: 1.5,
    bool: True,
    SkipReason: SkipReason.RATE_NEGATIVE,
}


def example(kind: type[Event]) -> Event:
    annotations = {name: field.annotation for name, field in kind.model_fields.items()}
    # Of "float | None", the float.
    types = {name: (typing.get_args(a) or (a,))[0] for name, a in annotations.items()}
    return kind(**{name: SAMPLES[first] for name, first in types.items()})


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_there_and_back(kind: type[Event]) -> None:
    event = example(kind)
    line = to_json(event)
    assert "\n" not in line
    assert from_json(line) == event


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_events_hold_only_scalars(kind: type[Event]) -> None:
    """Never tensors, so that a reader needs nothing but JSON; and they cannot be changed."""
    values = example(kind).model_dump().values()
    assert all(isinstance(value, str | int | float | bool | None) for value in values)
    with pytest.raises(ValidationError, match="frozen"):
        example(kind).time = 2.0


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "3",
        '{"event": "Sang"}',
        '{"event": "Noted"}',
        '{"text": "x"}',
        '{"event": "Noted", "text": 3}',
        '{"event": "Noted", "text": "x", "colour": "red"}',
        '{"event": "Noted", "text": "x", "time": NaN}',
    ],
)
def test_what_is_no_event(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(line)


def test_numbers_that_are_not_finite_are_refused() -> None:
    facts = example(Matched).model_dump()
    with pytest.raises(ValidationError, match="finite"):
        Matched(**{**facts, "loss": float("nan")})


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_event_can_be_reported(kind: type[Event]) -> None:
    text = sentence(example(kind))
    assert text is None or text
