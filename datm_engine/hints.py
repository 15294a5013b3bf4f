"""Commands to type, made from fixes. The only module of the engine that spells the command line.

An error's fix is a `Setting` or a whole command. `retyped` makes a command from a `Setting` and
the words that were typed: it replaces the option of that setting and keeps all others.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from datm_engine.errors import DatmError, Fix, Setting

HELP = Setting("help", True)
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
ON_RANKS = {"distill", "experts", "evaluate"}  # commands that several ranks run together


def command(*words: object) -> str:
    """The words, quoted for a shell. Under torchrun, datm's own commands start with torchrun."""
    under_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    if under_torchrun and words[0] == "datm" and len(words) > 1 and words[1] in ON_RANKS:
        ranks = os.environ.get("LOCAL_WORLD_SIZE", "1")
        words = ("torchrun", "--nproc-per-node", ranks, "-m", "datm_cli", *words[1:])
    return shlex.join(str(word) for word in words)


def datm(subcommand: str, *arguments: object, **options: object) -> str:
    """A datm command: `datm("runs", runs_dir="a")` is "datm runs --runs-dir a".

    An option of None is left out, one of a list is repeated for each of its values.
    """
    words = []
    for key, value in options.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        words += [word for each in values for word in (_flag(key), each)]
    return command("datm", subcommand, *arguments, *words)


def option(setting: Setting) -> list[str]:
    """The words that set it: `--set key=value`, `--argument value`, or `--switch` for True."""
    if "." in setting.key:
        return ["--set", f"{setting.key}={_text(setting.value)}"]
    return [_flag(setting.key), *([] if _is_switch(setting) else [_text(setting.value)])]


def fix_text(fix: Fix) -> str:
    """The fix as text: a command as it is, a setting as the option that sets it."""
    return fix if isinstance(fix, str) else shlex.join(option(fix))


def retyped(words: Sequence[str], setting: Setting) -> str:
    """`datm WORDS` with the option of `setting` replaced.

    The option is left out for a value of None, and a switch for False.
    """
    if setting == HELP:
        subcommand = [word for word in words if not word.startswith("-")][:1]
        return command("datm", *subcommand, "--help")
    new = option(setting)
    flag = new[0]
    kept, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        name, equals, given = word.partition("=")
        if name != flag:
            kept.append(word)
            continue
        if not equals and not _is_switch(setting):
            given = rest.pop(0) if rest else ""
        if flag == "--set" and _key(given) != setting.key:
            kept += [flag, given]
    is_left_out = setting.value is None or (_is_switch(setting) and not setting.value)
    return command("datm", *kept, *([] if is_left_out else new))


def hint_of(error: DatmError, words: Sequence[str]) -> str:
    """The command that fixes the error, made from the WORDS that were typed after `datm`."""
    if error.command:
        return error.command
    if isinstance(error.fix, Setting):
        return retyped(words, error.fix)
    return error.fix or command("datm", *words)


def remedy(problem: OSError, path: Path, argument: str = "") -> Fix:
    """What to do where `path` cannot be written: look at the disk or at the permissions.

    If writing there is not allowed, the fix is another path for `argument`, if it has a name.
    """
    if argument and problem.errno in READ_ONLY:
        return Setting(argument, _writable(path))
    known = next(folder for folder in (path, *path.parents) if folder.exists())
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return command("df", "-h", known)
    if problem.errno in (errno.EACCES, errno.EPERM):
        return command("chmod", "u+w", known)
    if problem.errno == errno.ENOENT and known != path:
        return command("mkdir", "-p", path)
    return command("ls", "-ld", known)


def _writable(path: Path) -> Path:
    """A path of the same name in the home folder, or in the one for temporary files."""
    home = Path.home()
    target = home / path.name
    known = target if target.exists() else home
    if target != path.absolute() and os.access(known, os.W_OK | os.X_OK):
        return target
    return Path(tempfile.gettempdir()) / path.name


def _is_switch(setting: Setting) -> bool:
    return "." not in setting.key and isinstance(setting.value, bool)


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _text(value: object) -> str:
    """As `--set` and options read it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value) if isinstance(value, bool | list | tuple) else str(value)


def _key(assignment: str) -> str:
    return assignment.partition("=")[0].strip()
