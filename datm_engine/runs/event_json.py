"""Events as lines of a log: one JSON object each, with a checksum, both ways."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import Field, asdict, fields
from typing import Any

from datm_engine.runs.events import KINDS, Event

_CHECK = ', "check": "'  # what stands before the last ten characters, `1a2b3c4d"}`
_SCALARS = {"bool": (bool,), "int": (int,), "float": (int, float), "str": (str,)}


def to_json(event: Event) -> str:
    """One line without a newline, the reverse of `from_json`: last in it stands the CRC-32 of all
    before, so that damage is told. Never writes NaN or infinity."""
    facts = {"event": type(event).__name__, **asdict(event)}
    text = json.dumps(facts, allow_nan=False, ensure_ascii=False)
    # A path may hold what is no character: JSON writes it as an escape, and so does this.
    text = text.encode(errors="backslashreplace").decode()
    return f'{text[:-1]}{_CHECK}{_checksum(text)}"}}'


def from_json(line: str) -> Event:
    """The event a line states.

    Fields this version does not know are left out, so that newer runs can still be read; a line
    without a checksum, as earlier versions wrote them, is taken if every field is of its type.
    Raises ValueError for a line that is damaged or no event, an unknown kind or a missing field.
    """
    text, _, check = line.rpartition(_CHECK)
    is_checked = len(check) == 10 < len(line)
    if is_checked and check != f'{_checksum(text + "}")}"}}':
        raise ValueError(f"damaged: {line[:80]}")
    try:
        facts: Any = json.loads(line)
    except RecursionError:
        raise ValueError(f"nested too deep: {line[:80]}") from None
    kind = KINDS.get(str(facts.get("event"))) if isinstance(facts, dict) else None
    if kind is None:
        raise ValueError(f"not an event: {line[:80]}")
    known = {field.name: field for field in fields(kind) if field.name in facts}
    if wrong := [name for name in known if not is_checked and not _fits(facts[name], known[name])]:
        raise ValueError(f"{kind.__name__}: {wrong[0]} is of another type")
    try:
        return kind(**{name: facts[name] for name in known})
    except TypeError as problem:
        raise ValueError(f"{kind.__name__}: {problem}") from problem


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode(errors='backslashreplace')):08x}"


def _fits(value: Any, field: Field[Any]) -> bool:
    """Whether it is what the field is annotated with, and a number that can be reckoned with."""
    kind, _, optional = str(field.type).partition(" | ")
    if value is None:
        return bool(optional)
    if not isinstance(value, _SCALARS[kind]) or isinstance(value, bool) != (kind == "bool"):
        return False
    if isinstance(value, int):
        return abs(value) < 2**63
    return not isinstance(value, float) or math.isfinite(value)
