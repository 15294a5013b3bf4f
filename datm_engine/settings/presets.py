"""The files of presets: finding, reading and writing them.

A family is the set of presets with one name before `-ipc`: cifar10-ipc1, cifar10-ipc10, … are
cifar10. A preset extends a file of the keys that several have in common (`presets/common/`).
A method that DATM grew from, or that came after it (`presets/methods/`), is a file of the few keys
in which it differs. `choose_preset` chooses among them.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from datm_engine.errors import ConfigError, FileError, Setting
from datm_engine.hints import command
from datm_engine.settings.config import Config, overlay, read_toml
from datm_engine.settings.messages import shown
from datm_engine.settings.origins import Tables

DATM = "datm"  # the method of the presets themselves
# Reported wherever distill.gradient is "tesla".
APPROXIMATE = (
    "the gradient is TESLA's approximation: as if a student's later weights did not depend on the "
    "images of its earlier steps (distill.gradient)"
)


def folder() -> Path:
    """The presets' folder: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for path in (package / "presets", package.parent / "presets"):
        if path.is_dir():
            return path
    raise FileError(
        f"{package} was installed without its presets", "pip install --force-reinstall datm"
    )


def names() -> tuple[str, ...]:
    """Every preset, families in alphabetical order, few images per class first."""
    return tuple(name for members in families().values() for name in members.values())


def families() -> dict[str, dict[int, str]]:
    """Family → images per class → preset, both in ascending order."""
    stems = (path.stem for path in folder().glob("*.toml"))
    parts = filter(None, (re.fullmatch(r"(.+)-ipc(\d+)", stem) for stem in stems))
    members: dict[str, dict[int, str]] = {}
    for family, ipc, name in sorted((part[1], int(part[2]), part[0]) for part in parts):
        members.setdefault(family, {})[ipc] = name
    return members


def load(name: str) -> Tables:
    """The tables of the preset `name`. Raises ConfigError if there is none."""
    if name not in names():
        raise unknown_preset(name)
    return read_preset(folder() / f"{name}.toml")


def read_preset(path: Path) -> Tables:
    """The tables of a TOML file, over those of the file that its key `extends` names, if any.

    `extends`: a file of the presets' folder without its suffix ("common/datm", "cifar10-ipc10").
    Raises ConfigError.
    """
    tables = read_toml(path)
    extended = tables.pop("extends", None)
    if extended is None:
        return tables
    known = [file.relative_to(folder()).with_suffix("") for file in folder().rglob("*.toml")]
    if extended not in map(str, known):
        wrong = f"{path}: extends = {shown(extended)}: there is no such file in {folder()}"
        raise ConfigError(wrong, command("ls", "-l", path))
    return overlay(read_preset(folder() / f"{extended}.toml"), tables)


@dataclass(frozen=True)
class PresetHeading:
    """The comment that a preset opens with.

    about: what it reproduces, and where that is published. accuracy: the one to expect. lines: the
    whole comment, without its signs.
    """

    name: str
    about: str
    accuracy: str
    lines: tuple[str, ...]

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "about": self.about, "accuracy": self.accuracy}


def heading(name: str) -> PresetHeading:
    """The heading of a preset: paragraphs of what it is, its command and its accuracy."""
    text = (folder() / f"{name}.toml").read_text(encoding="utf-8")
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    lines = tuple(line.removeprefix("#").removeprefix(" ") for line in comment)
    about, *_, accuracy = "\n".join(lines).split("\n\n")
    return PresetHeading(name, " ".join(about.split()), " ".join(accuracy.split()), lines)


def methods() -> tuple[str, ...]:
    """Every method that a preset can be run as, DATM first."""
    return (DATM, *sorted(path.stem for path in (folder() / "methods").glob("*.toml")))


def _unknown(
    kind: str, name: str, listed: Sequence[str], others: Sequence[str] = ()
) -> ConfigError:
    """The error for the name of a preset or method that does not exist, with the most similar one;
    without a similar one, with those that are `listed`."""
    near = difflib.get_close_matches(name.lower(), [*listed, *others], 1)
    guess = f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(listed)}"
    return ConfigError(f"there is no {kind} {name}{guess}", Setting(kind, [*near, *listed][0]))


def unknown_preset(name: str) -> ConfigError:
    return _unknown("preset", name, list(families()), names())


def load_method(name: str) -> Tables:
    """The few tables and keys of a method; none for DATM. Raises ConfigError if there is none."""
    if name not in methods():
        raise _unknown("method", name, methods())
    return {} if name == DATM else read_toml(folder() / "methods" / f"{name}.toml")


def preset_text(config: Config, head: Sequence[str]) -> str:
    """A preset's file: every key as TOML, below `head`, the lines of a comment."""
    lines = [f"# {line}".rstrip() for line in head]
    for table, keys in config.model_dump().items():
        lines += ["", f"[{table}]"]
        # JSON's literals are TOML's, but for this one control character.
        lines += [
            f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
            for key, value in keys.items()
            if value is not None
        ]
    return "\n".join(lines) + "\n"
