"""The commands that hints are made of.

A hint is a whole command, to be typed as it stands, or begins with `--`: then it is what to change
in the command that was typed, and `retyped` makes it whole. An option without a value (`--start`)
or with an empty one (`--dataset ''`, `--set table.key=`) is one to leave out.
"""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

HELP = "--help"
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
SHARED = {"distill", "experts", "evaluate"}  # what several ranks do together


def command(*words: object) -> str:
    """The words as a shell takes them; what torchrun started, as torchrun would start it again."""
    started = "TORCHELASTIC_RUN_ID" in os.environ  # it says so to whom it starts
    if started and words[0] == "datm" and len(words) > 1 and words[1] in SHARED:
        ranks = os.environ.get("LOCAL_WORLD_SIZE", "1")
        words = ("torchrun", "--nproc-per-node", ranks, "-m", "datm_cli", *words[1:])
    return shlex.join(str(word) for word in words)


def retyped(words: Sequence[str], change: str) -> str:
    """`datm WORDS` with the option of `change` in the place of its own, and all others as they are.

    `--set table.key=value` takes the place of that key only; `--help` stands alone.
    """
    named, *values = shlex.split(change)
    value = values[0] if values else ""
    if named == HELP:
        subcommand = [word for word in words if not word.startswith("-")][:1]
        return command("datm", *subcommand, HELP)
    kept, waiting = [], list(words)
    while waiting:
        word = waiting.pop(0)
        option, equals, stated = word.partition("=")
        if option != named:
            kept.append(word)
            continue
        if values and not equals:
            stated = waiting.pop(0) if waiting else ""
        if named == "--set" and _key(stated) != _key(value):
            kept += [named, stated]
    left_out = not value or (named == "--set" and value.endswith("="))
    return command("datm", *kept, *([] if left_out else [named, value]))


def remedy(problem: OSError, place: Path, option: str = "") -> str:
    """What to type where `place` cannot be written: look at the disk, or at who may write.

    Where that is not allowed, `option` names another place, if there is such an option.
    """
    if option and problem.errno in READ_ONLY:
        return command(option, _writable(place))
    known = next(folder for folder in (place, *place.parents) if folder.exists())
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return command("df", "-h", known)
    if problem.errno in (errno.EACCES, errno.EPERM):
        return command("chmod", "u+w", known)
    if problem.errno == errno.ENOENT and known != place:
        return command("mkdir", "-p", place)
    return command("ls", "-ld", known)


def _writable(place: Path) -> Path:
    """A path of the same name in a folder that can be written: the home folder, or one for
    temporary files."""
    home = Path.home()
    target = home / place.name
    known = target if target.exists() else home
    if target != place.absolute() and os.access(known, os.W_OK | os.X_OK):
        return target
    return Path(tempfile.gettempdir()) / place.name


def _key(assignment: str) -> str:
    return assignment.partition("=")[0].strip()
