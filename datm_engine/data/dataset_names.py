"""Where a dataset is that `--dataset` names; for a name that is none, the nearest one."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from datm_engine.data import built_in, hub
from datm_engine.errors import ConfigError
from datm_engine.hints import HELP, command

NAMES = tuple(built_in.BUILT_IN)
_HUB_PAGE = re.compile(r"(?:https?://)?(?:www\.)?huggingface\.co/datasets/([\w.-]+/[\w.-]+).*")
_HUB_LIKE = re.compile(r"(?:hf|huggingface)(?:://|[:/])+(?:datasets/)?([\w.-]+/[\w.:-]+)", re.I)
_OWNER_AND_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")
_LOOKED_AT = 10_000  # entries of a folder
_ALIKE = 0.6


def locate(name: str) -> Path | None:
    """The path of a folder or a file; None for a name of ours or of the Hub.

    Raises ConfigError for what is none of these, with the nearest name as a hint.
    """
    if name in NAMES or name.startswith(hub.PREFIX):
        return None
    path = os.path.expanduser(name)
    if os.path.exists(path):
        return Path(path)
    wrong = f"dataset {name} is neither a path that exists nor one of {', '.join(NAMES)}"
    raise ConfigError(wrong, _nearest(name, path))


def _nearest(name: str, path: str) -> str:
    """The command with a name that is likely meant, or one that shows what there is."""
    on_hub = _HUB_PAGE.fullmatch(name) or _HUB_LIKE.fullmatch(name)
    if on_hub:
        return command("--dataset", f"{hub.PREFIX}{on_hub[1]}")
    plain = re.sub(r"[\s_-]+", "", name.lower().removeprefix("./").rstrip("/"))
    if plain in NAMES:  # CIFAR-10, fashion_mnist
        return command("--dataset", plain)
    folder, _, last = path.rstrip("/").rpartition("/")
    parent = _existing(Path(folder or ("/" if path.startswith("/") else ".")))
    is_here = parent == Path(folder or ".") or (path.startswith("/") and not folder)
    beside = _entries(parent) if is_here and last else []
    choices = [(_likeness(last, one), str(parent / one)) for one in beside]
    if "/" not in name:
        choices += [(_likeness(plain, one), one) for one in NAMES]
    likeness, best = max(choices, default=(0.0, ""))
    if likeness >= _ALIKE:
        return command("--dataset", best)
    if _OWNER_AND_NAME.fullmatch(name) and not is_here:
        return command("--dataset", f"{hub.PREFIX}{name}")
    return command("ls", parent) if name.strip() else HELP


def _likeness(wanted: str, name: str) -> float:
    """From 0 to 1, whatever the letter case; a beginning of at least three letters counts much."""
    one, other = wanted.lower(), name.lower()
    ratio = difflib.SequenceMatcher(None, one, other).ratio()
    return max(ratio, 0.7) if len(one) >= 3 and other.startswith(one) else ratio


def _entries(folder: Path) -> Iterable[str]:
    """Names of what could be a dataset: folders and files that are not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, _LOOKED_AT) if entry.name[0] != "."]
    except OSError:
        return []


def _existing(folder: Path) -> Path:
    """The nearest folder above that exists."""
    return next((place for place in (folder, *folder.parents) if os.path.isdir(place)), Path("."))
