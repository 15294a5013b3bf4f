"""Word the notes on decoded images, and the errors that name damaged ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from datm_engine.data.decoding.image_file import ImageProperties, bits_of
from datm_engine.errors import DataError, Setting
from datm_engine.formatting import plural
from datm_engine.hints import command, fix_text

SKIP_DAMAGED = Setting("dataset.skip_damaged", True)
_NAMED = 10  # damaged images in an error's message
_REMOVED = 100  # damaged images in one command
_UPPER_NEEDED = 64  # of 256: values that need 15 bits or more
# Images of 16 bits a channel that Pillow reads with 8, by whether they are grey.
_WIDE = {False: "colour image", True: "grey image with transparency"}


def notes_of(
    names: Sequence[Path],
    properties: Mapping[int, ImageProperties],
    damaged: Mapping[int, Exception],
    bits: int,
) -> tuple[str, ...]:
    """Return the notes on images that were decoded and on damaged ones that are skipped.

    `properties` and `damaged` are keyed by the index in `names`; greys were divided by `bits` bits.

    Raises DataError for images of 16 bits a channel whose upper bytes are nearly zero.
    """
    facts = properties.values()
    notes = []
    stating = sum(one.states_white for one in facts)
    if deep := [one.top for one in facts if one.top is not None]:
        notes.append(
            f"{plural(len(deep), 'grey image')} of more than 8 bits: values are divided by "
            f"{(1 << bits) - 1}, the largest of {bits} bits, because their largest is {max(deep)}"
        )
        wide = sum(one.largest_upper_byte is not None for one in facts)
        if plain := len(facts) - len(deep) - stating - wide:
            notes.append(f"{plural(plain, 'image')} of 8 bits beside them: divided by 255")
    if stating:
        what = plural(stating, "grey image")
        notes.append(f"{what} of more than 8 bits in PGM or JPEG 2000: divided by the stated white")
    for grey, kind in _WIDE.items():
        upper = {
            names[n]: one.largest_upper_byte
            for n, one in properties.items()
            if one.grey == grey and one.largest_upper_byte is not None
        }
        if upper:
            what = f"{plural(len(upper), kind)} of 16 bits a channel"
            largest, first = max(upper.values()), next(iter(upper))
            if largest < _UPPER_NEEDED:
                # White of the fewest bits that hold the values becomes white of 16 bits.
                factor = 65535 // ((1 << bits_of(largest * 256 + 255)) - 1)
                convert = ("-evaluate", "multiply", factor, "-depth", 8, first)
                raise DataError(
                    f"{what} with all values below {(largest + 1) * 256}: only the upper 8 bits "
                    f"can be read, which leaves them nearly black; the first is {first}",
                    command("magick", "mogrify", *convert) + "   # and so for each of them",
                )
            notes.append(f"{what}: the upper 8 bits are used")
    if frames := sum(one.frames for one in facts):
        notes.append(f"{plural(frames, 'file')} of several frames: the first is used")
    if damaged:
        skipped = _listed([names[index] for index in damaged])
        notes.append(f"{plural(len(damaged), 'damaged image')} skipped: {skipped}")
    return tuple(notes)


def damaged_error(names: Sequence[Path], damaged: Mapping[int, Exception]) -> DataError:
    """Return the error that names the first damaged images; its fix is one command for all."""
    (first, reason), *others = damaged.items()
    if not others:
        message = f"{names[first]} is not a readable image: {reason}"
    else:
        message = f"{len(damaged):,} images are not readable: {_with_reasons(names, damaged)}"
    files = [names[index] for index in damaged if os.path.lexists(names[index])]
    if files and len(damaged) * 2 > len(names):  # the cause is likely another than damage
        return DataError(message, command("ls", "-l", files[0]))
    if len(files) < len(damaged) or len(files) > _REMOVED:  # rows of a table, or very many
        return DataError(message, SKIP_DAMAGED)
    remove = command("rm", *files)
    return DataError(message, f"{remove}   # or restore them, or add {fix_text(SKIP_DAMAGED)}")


def unsupported_error(names: Sequence[Path], unsupported: Mapping[int, Exception]) -> DataError:
    """Return the error that names intact images that cannot be used; they are not skipped."""
    what = f"{plural(len(unsupported), 'image')} of a kind that is not supported, though intact"
    first = names[min(unsupported)]
    result = first if os.path.lexists(first) else first.parent  # a row of a table is no file
    return DataError(
        f"{what}: {_with_reasons(names, unsupported)}; greys are stored as whole "
        "numbers from 0 to 65535",
        command("ls", "-l", result) + "   # then convert all of them",
    )


def _listed(items: Sequence[object]) -> str:
    """Join the first items, and state how many more there are."""
    more = len(items) - _NAMED
    return ", ".join(map(str, items[:_NAMED])) + (f" and {more:,} more" if more > 0 else "")


def _with_reasons(names: Sequence[Path], wrong: Mapping[int, Exception]) -> str:
    return _listed([f"{names[index]} ({wrong[index]})" for index in sorted(wrong)])
