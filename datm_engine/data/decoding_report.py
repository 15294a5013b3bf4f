"""What is reported of images after decoding: notes, and errors that name the images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from datm_engine.data.images import Facts, bits_of
from datm_engine.errors import DataError
from datm_engine.hints import command

SKIP_DAMAGED = "--set dataset.skip_damaged=true"
_NAMED = 10  # damaged images in an error's message
_REMOVED = 100  # damaged images in one command
_UPPER_NEEDED = 64  # of 256: values that need 15 bits or more


def counted(count: int, noun: str) -> str:
    """1 image, 2,000 images."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def intact(found: Sequence[Facts | str]) -> list[Facts]:
    return [seen for seen in found if isinstance(seen, Facts)]


def notes_of(places: Sequence[Path], found: Sequence[Facts | str], bits: int) -> tuple[str, ...]:
    """Raises DataError for colour images of 16 bits whose upper bytes hold next to nothing."""
    facts = intact(found)
    notes = []
    stating = sum(one.states_white for one in facts)
    if deep := [one.top for one in facts if one.top is not None]:
        notes.append(
            f"{counted(len(deep), 'grey image')} of more than 8 bits: values are divided by "
            f"{(1 << bits) - 1}, the largest of {bits} bits, because their largest is {max(deep)}"
        )
        if plain := len(facts) - len(deep) - stating:
            notes.append(f"{counted(plain, 'image')} of 8 bits beside them: divided by 255")
    if stating:
        what = counted(stating, "grey image")
        notes.append(f"{what} of more than 8 bits in PGM or JPEG 2000: divided by the stated white")
    if wide := [one.largest_upper_byte for one in facts if one.largest_upper_byte is not None]:
        if max(wide) < _UPPER_NEEDED:
            raise _too_dark(places, found, max(wide))
        what = counted(len(wide), "colour image")
        notes.append(f"{what} of 16 bits a channel: the upper 8 bits are used")
    if frames := sum(one.frames for one in facts):
        notes.append(f"{counted(frames, 'file')} of several frames: the first is used")
    return tuple(notes)


def _too_dark(places: Sequence[Path], found: Sequence[Facts | str], upper: int) -> DataError:
    wide = [
        place
        for place, seen in zip(places, found, strict=True)
        if isinstance(seen, Facts) and seen.largest_upper_byte is not None
    ]
    factor = 65535 // ((1 << bits_of(upper * 256 + 255)) - 1)
    return DataError(
        f"{counted(len(wide), 'colour image')} of 16 bits a channel with all values below "
        f"{(upper + 1) * 256}: only the upper 8 bits can be read, which leaves them nearly black; "
        f"the first is {wide[0]}",
        command("magick", "mogrify", "-evaluate", "multiply", factor, "-depth", 8, wide[0])
        + "   # and so for each of them",
    )


def damaged_error(places: Sequence[Path], damaged: Mapping[int, str]) -> DataError:
    """Names the first few images and how many there are; the hint is one command for all."""
    named = [f"{places[index]} ({reason})" for index, reason in damaged.items()][:_NAMED]
    if len(damaged) == 1:
        ((index, reason),) = damaged.items()
        message = f"{places[index]} is not a readable image: {reason}"
    else:
        more = len(damaged) - len(named)
        message = f"{len(damaged):,} images are not readable: {', '.join(named)}" + (
            f" and {more:,} more" if more else ""
        )
    files = [places[index] for index in damaged if os.path.lexists(places[index])]
    if len(files) < len(damaged) or len(files) > _REMOVED:  # rows of a table, or very many
        return DataError(message, SKIP_DAMAGED)
    remove = command("rm", *files)
    return DataError(message, f"{remove}   # or restore them, or add {SKIP_DAMAGED}")


def skipped_note(places: Sequence[Path], damaged: Mapping[int, str]) -> tuple[str, ...]:
    """The note on damaged images that are skipped; empty without any."""
    if not damaged:
        return ()
    named = ", ".join(str(places[index]) for index in list(damaged)[:_NAMED])
    more = len(damaged) - min(len(damaged), _NAMED)
    and_more = f" and {more:,} more" if more else ""
    return (f"{counted(len(damaged), 'damaged image')} skipped: {named}{and_more}",)
