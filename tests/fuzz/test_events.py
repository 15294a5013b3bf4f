"""Events go to JSON and back whatever they hold; of any other line nothing but a ValueError comes,
and what is read nonetheless can be folded, put in words and drawn."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datm_cli.text.sentences import activity, iteration_summary, sentence
from datm_engine.runs.event_log import from_json, to_json
from datm_engine.runs.events import KINDS, Event, Matched, Noted, SkipReason
from datm_engine.runs.state import fold
from tests.fuzz.conftest import JUNK, TOO_DEEP
from tests.fuzz.hostile import field_type

ANY_TEXT = st.text(st.characters(codec=None), max_size=20)  # lone surrogates too, as paths have
VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: ANY_TEXT,
    int: st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-2, 3),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    SkipReason: st.sampled_from(SkipReason),
}


def values_of(kind: type[Event]) -> dict[str, st.SearchStrategy[Any]]:
    """A strategy for each field."""
    found = {}
    for name in kind.model_fields:
        first, is_optional = field_type(kind, name)
        found[name] = st.none() | VALUES[first] if is_optional else VALUES[first]
    return found


def event_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    return st.builds(kind, **values_of(kind))


EVENTS = st.one_of([event_of(kind) for kind in KINDS.values()])


@given(EVENTS)
@example(Noted(text='", "check": "00000000"}'))
def test_there_and_back(event: Event) -> None:
    line = to_json(event)
    assert "\n" not in line
    assert from_json(line.encode().decode(errors="replace")) == event


@given(EVENTS, st.data())
def test_a_line_with_a_flipped_bit_is_an_event_or_none(event: Event, data: st.DataObject) -> None:
    content = bytearray(to_json(event).encode())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for line in content.split(b"\n"):
        try:
            show([from_json(line.decode(errors="replace"))])
        except ValueError:
            continue


@given(st.lists(EVENTS, max_size=8))
def test_whatever_is_reported_can_be_shown(history: list[Event]) -> None:
    show(history)


def show(history: list[Event]) -> None:
    state = fold(history)
    for stage in state.stages:
        state.seconds_left(stage)
    state.as_json()
    for event in history:
        sentence(event)
        activity(event)
        if isinstance(event, Matched):
            iteration_summary(event)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"event": st.sampled_from(sorted(KINDS)) | JUNK},
            optional={
                name: values | JUNK
                for kind in KINDS.values()
                for name, values in values_of(kind).items()
            },
        ),
        max_size=4,
    )
)
def test_any_object(stated: list[dict[str, Any]]) -> None:
    read = []
    for facts in stated:
        try:
            read.append(from_json(json.dumps(facts)))
        except ValueError:
            continue
    for event in read:
        numbers = [value for value in vars(event).values() if isinstance(value, float)]
        assert all(math.isfinite(number) for number in numbers)
    show(read)


@given(st.text() | st.binary().map(lambda junk: junk.decode(errors="replace")) | JUNK.map(repr))
@example(TOO_DEEP)
@example('{"event": "Noted", "text": ' + TOO_DEEP)
@example('{"event": "Noted", "text": ' + "9" * 5000 + "}")
@example('{"event": "Noted", "text": "x", "time": Infinity}')
@example('{"event": "Noted", "text": "x", "time": 1' + "0" * 400 + "}")
@example('{"event": ["Noted"], "text": "x"}')
def test_any_line(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(line)
