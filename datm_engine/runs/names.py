"""Names of runs, tunes and studies, which are names of folders on every system."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

from datm_engine.errors import ConfigError, Setting

LONGEST = 100  # characters
LONGEST_BYTES = 255  # of a folder's name in UTF-8, on most systems
_PUNCTUATION = " ._+-"
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|(COM|LPT)[1-9¹²³])( *\..*)?", re.IGNORECASE | re.DOTALL)


def normalized(name: str) -> str:
    """The name with composed letters (NFC). Some systems store them decomposed."""
    return unicodedata.normalize("NFC", name)


def valid_name(name: str, example: str, *, argument: str = "name", most: int = LONGEST) -> str:
    """The normalized name, if it has at most `most` characters and can be used.

    Raises ConfigError with the rule and with `example`, a name that can be used.
    """
    name = normalized(name)
    if (
        1 <= len(name) <= most
        and all(map(_is_allowed, name))
        and len(name.encode()) <= LONGEST_BYTES
        and name[0] not in "-."
        and name[-1] not in ". "
        and not _RESERVED.fullmatch(name)
    ):
        return name
    rule = (
        f"a name has 1 to {most} letters, digits, spaces, . _ + -, begins with neither - nor ., "
        "ends with neither . nor a space, and is no reserved name of Windows (CON, NUL, COM1, …)"
    )
    if len(name.encode(errors="replace")) > LONGEST_BYTES:
        rule += f"; in UTF-8 it has at most {LONGEST_BYTES} bytes"
    raise ConfigError(
        f"{argument} {name!r} cannot be a folder's name: {rule}", Setting(argument, example)
    )


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """The first of name-2, name-3, … that is not taken."""
    names = (_numbered(name, number) for number in itertools.count(2))
    return next(name for name in names if not is_taken(name))


def name_from(stem: str, ending: str = "", *, most: int = LONGEST) -> str:
    """A valid name made of any `stem` and of `ending`, which stays as it is."""
    letters = "".join(c if _is_allowed(c) and c != " " else "\0" for c in normalized(stem))
    stem = re.sub("\0+", "-", letters).lstrip(".-") or "data"
    stem = _cut(stem, most - len(ending), LONGEST_BYTES - len(ending.encode()))
    name = (stem + ending).rstrip(". ")
    return f"data-{name}"[:most] if _RESERVED.fullmatch(name) else name


def dataset_name(dataset: str, ending: str = "", *, most: int = LONGEST) -> str:
    """A valid name from a dataset's name, or from that of its folder or file."""
    return name_from(Path(dataset).stem or "images", ending, most=most)


def same_but_for_case(folder: Path, name: str) -> str | None:
    """Another entry of a folder with the same name except for letter case or composition. Some
    systems cannot store both."""
    wanted = normalized(name).casefold()
    try:
        entries = [path.name for path in folder.iterdir()]
    except OSError:  # missing, or not readable: creating the run reports it
        return None
    alike = (entry for entry in entries if normalized(entry).casefold() == wanted)
    return next((entry for entry in alike if entry != name), None)


def _numbered(name: str, number: int) -> str:
    """A valid name with a number at its end, shortened before it if necessary."""
    ending = f"-{number}"
    return _cut(name, LONGEST - len(ending), LONGEST_BYTES - len(ending)) + ending


def _cut(text: str, letters: int, size: int) -> str:
    """The beginning of a text, of at most so many characters and bytes."""
    return text[:letters].encode()[:size].decode(errors="ignore")


def _is_allowed(character: str) -> bool:
    """Letters, marks (parts of letters in many scripts) and digits."""
    return character in _PUNCTUATION or unicodedata.category(character)[0] in "LMN"
