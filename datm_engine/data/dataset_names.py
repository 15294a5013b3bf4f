"""Find the dataset that a name or a path means; for a wrong name, suggest the nearest one."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from datm_engine.data import built_in, hub
from datm_engine.errors import ConfigError, Fix, Setting
from datm_engine.hints import HELP, command

NAMES = tuple(built_in.BUILT_IN)
_HUB_PAGE = re.compile(r"(?:https?://)?(?:www\.)?huggingface\.co/datasets/([\w.-]+/[\w.-]+).*")
_HUB_LIKE = re.compile(r"(?:hf|huggingface)(?:://|[:/])+(?:datasets/)?([\w.-]+/[\w.:-]+)", re.I)
_OWNER_AND_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")
_LOOKED_AT = 10_000  # entries of a folder, which may hold a million
_ALIKE = 0.6  # similarity from which a name is suggested


def locate(name: str) -> Path | None:
    """Return the path of a folder or a file, or None for a built-in dataset or one of the Hub.

    Raises ConfigError for anything else, with the nearest name as a fix.
    """
    if name in NAMES or name.startswith(hub.PREFIX):
        return None
    path = os.path.expanduser(name)
    if os.path.exists(path):
        return Path(path)
    wrong = f"dataset {name} is neither a path that exists nor one of {', '.join(NAMES)}"
    raise ConfigError(wrong, _nearest(name, path))


def _nearest(name: str, path: str) -> Fix:
    """Return the command with the name that is likely meant, or one that lists what exists."""
    on_hub = _HUB_PAGE.fullmatch(name) or _HUB_LIKE.fullmatch(name)
    if on_hub:
        return Setting("dataset", f"{hub.PREFIX}{on_hub[1]}")
    # CIFAR-10 and ./cifar10/ mean cifar10.
    plain = re.sub(r"[\s_-]+", "", name.lower().removeprefix("./").rstrip("/"))
    if plain in NAMES:  # CIFAR-10, fashion_mnist
        return Setting("dataset", plain)
    folder, _, last = path.rstrip("/").rpartition("/")
    parent = _existing(Path(folder or ("/" if path.startswith("/") else ".")))
    is_here = parent == Path(folder or ".") or (path.startswith("/") and not folder)
    beside = _entries(parent) if is_here and last else []
    choices = [(_likeness(last, one), str(parent / one)) for one in beside]
    if "/" not in name:
        choices += [(_likeness(plain, one), one) for one in NAMES]
    likeness, best = max(choices, default=(0.0, ""))
    if likeness >= _ALIKE:
        return Setting("dataset", best)
    if _OWNER_AND_NAME.fullmatch(name) and not is_here:
        return Setting("dataset", f"{hub.PREFIX}{name}")
    return command("ls", parent) if name.strip() else HELP


def _likeness(wanted: str, name: str) -> float:
    """Return the similarity of two names, 0 to 1, without letter case. A prefix of three letters or
    more counts as similar."""
    one, other = wanted.lower(), name.lower()
    ratio = difflib.SequenceMatcher(None, one, other).ratio()
    return max(ratio, 0.7) if len(one) >= 3 and other.startswith(one) else ratio


def _entries(folder: Path) -> Iterable[str]:
    """Return the names of folders and files that are not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, _LOOKED_AT) if entry.name[0] != "."]
    except OSError:
        return []


def _existing(folder: Path) -> Path:
    """Return the nearest parent folder that exists."""
    return next(
        (parent for parent in (folder, *folder.parents) if os.path.isdir(parent)), Path(".")
    )
