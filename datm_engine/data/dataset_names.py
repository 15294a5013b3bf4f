"""Find the dataset that a name or a path means; for a wrong name, suggest the nearest one."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from datm_engine.data import built_in, hub
from datm_engine.errors import ConfigError, Fix, Setting
from datm_engine.hints import HELP, command

NAMES = tuple(built_in.BUILT_IN)
_HUB_PAGE = re.compile(r"(?:https?://)?(?:www\.)?huggingface\.co/datasets/([\w.-]+/[\w.-]+).*")
_HUB_LIKE = re.compile(r"(?:hf|huggingface)(?:://|[:/])+(?:datasets/)?([\w.-]+/[\w.:-]+)", re.I)
_OWNER_AND_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")
_COMPARED = 10_000  # entries of a folder, which may hold a million


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
    raise ConfigError(wrong, _nearest(name, Path(path)))


def _nearest(name: str, path: Path) -> Fix:
    """Return the setting of the name that is likely meant, or a command that lists what exists."""
    if on_hub := _HUB_PAGE.fullmatch(name) or _HUB_LIKE.fullmatch(name):
        return Setting("dataset", f"{hub.PREFIX}{on_hub[1]}")
    # CIFAR-10 and ./cifar10/ mean cifar10.
    plain = re.sub(r"[\s_-]+", "", name.lower().removeprefix("./").rstrip("/"))
    if plain in NAMES:
        return Setting("dataset", plain)
    folder = next(parent for parent in path.parents or (path,) if os.path.isdir(parent))
    choices = {} if "/" in name else {known: known for known in NAMES}
    if folder == path.parent and path.name:
        with suppress(OSError), os.scandir(folder) as entries:  # unreadable: nothing to suggest
            beside = [entry.name for entry in islice(entries, _COMPARED)]
            choices |= {one.lower(): str(folder / one) for one in beside if one[0] != "."}
    wanted = path.name.lower()
    alike = get_close_matches(wanted, choices, n=1)
    if not alike and len(wanted) >= 3:
        alike = [one for one in choices if one.startswith(wanted)]
    if alike:
        return Setting("dataset", choices[alike[0]])
    if _OWNER_AND_NAME.fullmatch(name) and folder != path.parent:
        return Setting("dataset", f"{hub.PREFIX}{name}")
    return command("ls", folder) if name.strip() else HELP
