"""Messages for settings that pydantic refuses: what is wrong, and what the key takes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from datm_engine.settings.published_names import counterpart

_SIMILAR = 0.75  # less similar names are keys of another meaning
_BOUNDS = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}


def explain(problems: Iterable[Any], config: type[BaseModel]) -> str:
    """One message for all of pydantic's `problems` with `config`, each problem once."""
    return "; ".join(dict.fromkeys(_explain(problem, config) for problem in problems))


def fields(config: type[BaseModel], table: str) -> Mapping[str, FieldInfo]:
    """The keys of a table; empty if there is no such table."""
    field = config.model_fields.get(table)
    return {} if field is None else field.annotation.model_fields  # type: ignore[union-attr]


def is_list(field: FieldInfo) -> bool:
    """Whether the field holds a list."""
    return get_origin(field.annotation) is list


def shown(value: Any) -> str:
    """The value as Python writes it, cut to 80 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # numbers too long, nesting too deep
        return "…"
    return text if len(text) <= 80 else f"{text[:80]}…"


def _explain(problem: Any, config: type[BaseModel]) -> str:
    location = problem["loc"]
    where = ".".join(str(part) for part in location[:2])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where}" + _meant(location, config)
    if problem["type"] == "missing":
        return f"{where} is not set"
    if problem["type"] == "value_error":
        return f"{where}: " * bool(where) + str(problem["ctx"]["error"])
    if len(location) < 2:
        wanted = "a table of settings"
    else:
        finite = "finite, " * (problem["type"] == "finite_number")
        wanted = finite + form(where, fields(config, location[0])[location[1]])
    return f"{where} = {shown(problem['input'])}: input should be {wanted}"


def _meant(location: Sequence[Any], config: type[BaseModel]) -> str:
    """What an unknown key may mean: a published name's counterpart, the same key in another table,
    or the most similar key of its table."""
    name = str(location[-1])
    if published := counterpart(name):
        return f" ({published})"
    if len(location) == 1:
        known = list(config.model_fields)
    else:
        known = list(fields(config, location[0]))
        same = [f"{table}.{name}" for table in config.model_fields if name in fields(config, table)]
        if same:
            return f" (there is {' and '.join(same)})"
    near = difflib.get_close_matches(name, known, 1, _SIMILAR)
    return f" (did you mean {near[0]}?)" if near else ""


def form(where: str, field: FieldInfo) -> str:
    """What the key `where` takes: "a whole number of at least 1", for example."""
    if not is_list(field):
        return _form(field.annotation, field.metadata)
    choices = get_args(get_args(field.annotation)[0])
    bounds = _bounds(field.metadata)
    empty = "" if "min_length" in bounds else f", or {where}=none for an empty one"
    return (
        f"a list of {', '.join(choices)}, as {where}={','.join(choices[:2])} "
        f'(in a file: ["{choices[0]}", "{choices[1]}"]){empty}'
    )


def _form(kind: Any, metadata: Sequence[Any] = ()) -> str:
    if get_origin(kind) is Annotated:
        base, *stated = get_args(kind)
        inner = [item for one in stated for item in getattr(one, "metadata", [one])]
        return _form(base, inner)
    if get_origin(kind) is Literal:
        *first, last = map(str, get_args(kind))
        return f"{', '.join(first)} or {last}" if first else last
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    if kind in names:
        bounds = _bounds(metadata)
        stated = [f"{words} {bounds[key]}" for key, words in _BOUNDS.items() if key in bounds]
        return " ".join([names[kind], " and ".join(stated)]).strip()
    if kind is type(None):
        return "none"
    return ", or ".join(_form(part) for part in get_args(kind))


def _bounds(metadata: Sequence[Any]) -> dict[str, Any]:
    keys = (*_BOUNDS, "min_length")
    return {k: getattr(one, k) for one in metadata for k in keys if hasattr(one, k)}
