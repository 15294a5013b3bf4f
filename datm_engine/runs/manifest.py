"""run.json: what a run states of itself, with a digest of it; a copy of it stands beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from datm_engine.errors import RunError
from datm_engine.files import parse_json, save_text
from datm_engine.hints import command

MAX_THREADS = 4096
FILE, COPY = "run.json", "run.json.copy"
DIGEST = "digest"  # its key


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Raises FileError; what stood there before then still stands."""
    plain = {key: value for key, value in facts.items() if key != DIGEST}
    text = json.dumps({**plain, DIGEST: _digest(plain)}, indent=2) + "\n"
    for name in (FILE, COPY):
        save_text(folder / name, text)


def read_facts(folder: Path) -> dict[str, Any]:
    """Raises RunError for what is damaged, or is not what was written; facts without a digest, as
    earlier versions wrote them, are taken as they are."""
    path, copy = folder / FILE, folder / COPY
    try:
        return _read(path)
    except (OSError, ValueError) as problem:
        hint = command("datm", "runs", "--runs-dir", folder.parent)
        if _is_sound(copy):
            hint = f"{command('cp', copy, path)}   # the copy that was made of it is intact"
        raise RunError(f"{path} is damaged: {problem}", hint) from None


def _is_sound(path: Path) -> bool:
    try:
        _read(path)
        return True
    except (OSError, ValueError):
        return False


def _read(path: Path) -> dict[str, Any]:
    """Raises OSError, ValueError."""
    facts = parse_json(path.read_text(encoding="utf-8"))
    if not isinstance(facts, dict) or not isinstance(facts.get("config"), dict):
        raise ValueError("it states no configuration")
    plain = {key: value for key, value in facts.items() if key != DIGEST}
    if DIGEST in facts and facts[DIGEST] != _digest(plain):
        raise ValueError("it is not what was written (the digest differs)")
    if not _are_usable(plain):
        raise ValueError("its facts are of other types than a run's")
    return plain


def _are_usable(facts: dict[str, Any]) -> bool:
    """Whether what a reader reckons with is of the type that it takes; any may be missing."""
    places, computed = facts.get("places", {}), facts.get("arithmetic", {})
    created = facts.get("created", 0.0)
    kinds = {"precision": str, "memory": int, "compile": str, "compiled": dict}
    return (
        isinstance(places, dict)
        and all(isinstance(place, str) for place in places.values())
        and isinstance(computed, dict)
        and (not computed or all(isinstance(computed.get(k), kinds[k]) for k in kinds))
        and _is_count(computed.get("threads", 1))
        and isinstance(facts.get("log", ""), str)
        and isinstance(created, int | float)
        and abs(created) < 1e12
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_THREADS


def _digest(facts: dict[str, Any]) -> str:
    """sha256, as hex, of what JSON states, in whatever order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
