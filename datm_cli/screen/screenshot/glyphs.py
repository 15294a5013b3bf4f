"""Blocks, lines and braille as shapes, which need no font and leave no gaps between cells.

A cell is 8 units wide and 16 tall, so that its halves, quarters and eighths are whole numbers.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 8, 16

Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Glyph:
    """The shape of a character.

    rectangles: (left, top, right, bottom) in whole or half units. polygons: with other edges than
    horizontal and vertical ones. strength: the foreground's share of the colour.
    """

    rectangles: tuple[tuple[float, float, float, float], ...] = ()
    polygons: tuple[Polygon, ...] = ()
    strength: float = 1.0


@cache
def glyph(character: str) -> Glyph | None:
    """Return the shape of a character, None if a font has to draw it."""
    code = ord(character) if len(character) == 1 else 0
    if 0x2580 <= code <= 0x259F:
        return _block(code)
    if 0x2800 <= code <= 0x28FF:
        return Glyph(polygons=tuple(_dots(code - 0x2800)))
    if 0x256D <= code <= 0x2570:
        return _arc(code)
    if 0x2500 <= code <= 0x257F:
        name = unicodedata.name(character)
        # datm draws no double and no diagonal lines.
        if "DIAGONAL" not in name and not ({"DOUBLE", "SINGLE"} & _words(name)):
            return Glyph(tuple(_rectangles(_lines(name))))
    return None


# --- blocks ---

# The quadrants of U+2596 to U+259F: bits 1, 2, 4, 8 are upper left, upper right, lower left,
# lower right.
_QUADRANTS = (4, 8, 1, 13, 9, 7, 11, 2, 6, 14)


def _block(code: int) -> Glyph:
    wide, tall = WIDTH, HEIGHT
    if code >= 0x2596:
        bits = _QUADRANTS[code - 0x2596]
        corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
        filled = [corner for bit, corner in enumerate(corners) if bits >> bit & 1]
        half, middle = wide / 2, tall / 2
        return Glyph(
            tuple((x * half, y * middle, (x + 1) * half, (y + 1) * middle) for x, y in filled)
        )
    strength = 1.0
    left, top, right, bottom = 0.0, 0.0, float(wide), float(tall)
    if code == 0x2580:  # ▀
        bottom = tall / 2
    elif code <= 0x2588:  # ▁ to █, from below
        top = tall - (code - 0x2580) * tall / 8
    elif code <= 0x258F:  # ▉ to ▏, from the left
        right = (0x2590 - code) * wide / 8
    elif code == 0x2590:  # ▐
        left = wide / 2
    elif code <= 0x2593:  # ░▒▓
        strength = (code - 0x2590) / 4
    elif code == 0x2594:  # ▔
        bottom = tall / 8
    else:  # ▕
        left = wide * 7 / 8
    return Glyph(((left, top, right, bottom),), strength=strength)


# --- lines ---

_HALF_WIDTHS = {"LIGHT": 1, "HEAVY": 2}  # half of a line's width, in half units
_ARMS = {"UP": "U", "DOWN": "D", "LEFT": "L", "RIGHT": "R", "VERTICAL": "UD", "HORIZONTAL": "LR"}
_DASHES = {"DOUBLE DASH": 2, "TRIPLE DASH": 3, "QUADRUPLE DASH": 4}


def _words(name: str) -> set[str]:
    """The words of a character's name, except those of its dashes."""
    for dashes in _DASHES:
        name = name.replace(dashes, "")
    return set(name.split())


def _lines(name: str) -> NDArray[np.bool_]:
    """Draw the lines that a character's Unicode name describes. Returns [32, 16] half units.

    "BOX DRAWINGS DOWN LIGHT AND RIGHT UP HEAVY" is three arms from the middle.
    """
    dashes = next((count for words, count in _DASHES.items() if words in name), 0)
    arms: dict[str, int] = {}
    half = 0
    for phrase in name.split(" AND "):
        words = phrase.split()
        # A phrase without a weight has that of the phrase before.
        half = next((_HALF_WIDTHS[word] for word in words if word in _HALF_WIDTHS), half)
        arms |= {arm: half for word in words for arm in _ARMS.get(word, "")}
    drawn = np.zeros((2 * HEIGHT, 2 * WIDTH), dtype=bool)
    middle, centre = HEIGHT, WIDTH  # in half units
    for arm, half in arms.items():
        # An arm ends where those that it meets end, so that corners are filled.
        beyond = max((arms.get(other, 0) for other in ("LR" if arm in "UD" else "UD")), default=0)
        rows, columns = slice(middle - half, middle + half), slice(centre - half, centre + half)
        match arm:
            case "U":
                drawn[: middle + beyond, columns] = True
            case "D":
                drawn[middle - beyond :, columns] = True
            case "L":
                drawn[rows, : centre + beyond] = True
            case "R":
                drawn[rows, centre - beyond :] = True
    if dashes:
        is_horizontal = "L" in arms
        along = np.arange(drawn.shape[1 if is_horizontal else 0])
        length = len(along) / dashes
        kept = along % length < 0.7 * length
        drawn &= kept[None, :] if is_horizontal else kept[:, None]
    return drawn


def _rectangles(drawn: NDArray[np.bool_]) -> Iterator[tuple[float, float, float, float]]:
    """What is drawn in [rows, columns] half units, as rectangles in units. Equal rows are one."""
    top = 0
    for row in range(1, len(drawn) + 1):
        if row < len(drawn) and (drawn[row] == drawn[top]).all():
            continue
        edges = np.flatnonzero(np.diff(drawn[top].astype(int), prepend=0, append=0))
        for left, right in edges.reshape(-1, 2).tolist():
            yield left / 2, top / 2, right / 2, row / 2
        top = row


# --- polygons ---


def _dots(bits: int) -> Iterator[Polygon]:
    """Octagons for the dots of a braille cell."""
    positions = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    turns = [math.pi / 8 + k * math.pi / 4 for k in range(8)]
    for bit, (column, row) in enumerate(positions):
        if bits >> bit & 1:
            x, y = 2 + 4 * column, 2 + 4 * row
            yield tuple((x + 1.25 * math.cos(t), y + 1.25 * math.sin(t)) for t in turns)


def _arc(code: int) -> Glyph:
    """╭╮╯╰: a quarter of a ring, and a line from it to the edge. Drawn as ╭ and mirrored."""
    x, y = WIDTH, HEIGHT / 2 + WIDTH / 2  # the centre of the ring
    turns = [math.pi + k * math.pi / 16 for k in range(9)]
    outer = [(x + 4.5 * math.cos(t), y + 4.5 * math.sin(t)) for t in turns]
    inner = [(x + 3.5 * math.cos(t), y + 3.5 * math.sin(t)) for t in reversed(turns)]
    ring: Polygon = tuple(outer + inner)
    line = (WIDTH / 2 - 0.5, y, WIDTH / 2 + 0.5, float(HEIGHT))
    if code in (0x256E, 0x256F):
        ring = tuple((WIDTH - x, y) for x, y in ring)
    if code in (0x256F, 0x2570):
        ring = tuple((x, HEIGHT - y) for x, y in ring)
        line = (line[0], HEIGHT - line[3], line[2], HEIGHT - line[1])
    return Glyph((line,), (ring,))
