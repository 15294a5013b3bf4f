"""Blocks, box-drawing lines and braille as shapes, so that they need no font and leave no gaps.

A cell is 8 units wide and 16 tall: its halves, quarters and eighths are whole numbers.
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
    """`rectangles`: (left, top, right, bottom) in units of the cell, whole ones or halves;
    `curves`: polygons with other edges than upright and level ones. `strength`: the foreground's
    share of their colour."""

    rectangles: tuple[tuple[float, float, float, float], ...] = ()
    curves: tuple[Polygon, ...] = ()
    strength: float = 1.0


@cache
def glyph(character: str) -> Glyph | None:
    """The shape of a character; None for one that takes a font."""
    code = ord(character) if len(character) == 1 else 0
    if 0x2580 <= code <= 0x259F:
        return _block(code)
    if 0x2800 <= code <= 0x28FF:
        return Glyph(curves=tuple(_dot(code - 0x2800)))
    if 0x2571 <= code <= 0x2573:
        return Glyph(curves=_diagonals(code))
    if 0x256D <= code <= 0x2570:
        return _arc(code)
    if 0x2500 <= code <= 0x257F:
        return Glyph(tuple(_rectangles(_lines(unicodedata.name(character)))))
    return None


# --- blocks ---

# The quarters of U+2596 to U+259F: upper left 1, upper right 2, lower left 4, lower right 8.
_QUARTERS = (4, 8, 1, 13, 9, 7, 11, 2, 6, 14)


def _block(code: int) -> Glyph:
    wide, tall = WIDTH, HEIGHT
    if code == 0x2580:
        return Glyph(((0, 0, wide, tall / 2),))
    if code <= 0x2588:
        return Glyph(((0, tall - (code - 0x2580) * tall / 8, wide, tall),))
    if code <= 0x258F:
        return Glyph(((0, 0, (0x2590 - code) * wide / 8, tall),))
    if code == 0x2590:
        return Glyph(((wide / 2, 0, wide, tall),))
    if code <= 0x2593:
        return Glyph(((0, 0, wide, tall),), strength=(code - 0x2590) / 4)
    if code == 0x2594:
        return Glyph(((0, 0, wide, tall / 8),))
    if code == 0x2595:
        return Glyph(((wide * 7 / 8, 0, wide, tall),))
    filled = _QUARTERS[code - 0x2596]
    return Glyph(
        tuple(
            (x * wide / 2, y * tall / 2, (x + 1) * wide / 2, (y + 1) * tall / 2)
            for number, (x, y) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)])
            if filled >> number & 1
        )
    )


# --- lines ---

_HALVES = {"LIGHT": 1, "SINGLE": 1, "HEAVY": 2, "DOUBLE": 3}  # half a line's width, in half units
_ARMS = {"UP": "U", "DOWN": "D", "LEFT": "L", "RIGHT": "R", "VERTICAL": "UD", "HORIZONTAL": "LR"}
_DASHES = {"DOUBLE DASH": 2, "TRIPLE DASH": 3, "QUADRUPLE DASH": 4}


def _lines(name: str) -> NDArray[np.bool_]:
    """[32, 16] half units: the lines that a character's Unicode name tells of.

    "BOX DRAWINGS DOWN LIGHT AND RIGHT UP HEAVY" is three arms from the middle; a double line is
    a broad one less a narrow one, which makes its corners come out.
    """
    name = name.removeprefix("BOX DRAWINGS ")
    dashes = next((count for words, count in _DASHES.items() if words in name), 0)
    for words in _DASHES:
        name = name.replace(words, "")
    arms: dict[str, int] = {}
    half = 0
    for phrase in name.split(" AND "):
        told = phrase.split()
        half = next((_HALVES[word] for word in told if word in _HALVES), half)
        arms |= {arm: half for word in told for arm in _ARMS.get(word, "")}
    drawn = np.zeros((2 * HEIGHT, 2 * WIDTH), dtype=bool)
    hollow = np.zeros_like(drawn)
    for arm, half in arms.items():
        across = "LR" if arm in "UD" else "UD"
        meets = max((arms.get(other, 0) for other in across), default=0)
        _strip(drawn, arm, half, meets)
        if half == _HALVES["DOUBLE"]:
            _strip(hollow, arm, 1, 1 if meets == half else 0)
    drawn &= ~hollow
    if dashes:
        level = "L" in arms
        along = np.arange(drawn.shape[1] if level else drawn.shape[0])
        length = len(along) / dashes
        kept = along % length < 0.7 * length
        drawn &= kept[None, :] if level else kept[:, None]
    return drawn


def _strip(canvas: NDArray[np.bool_], arm: str, half: int, beyond: int) -> None:
    """Fill from an edge to the middle and `beyond`, `half` to both sides of the middle."""
    down, across = HEIGHT, WIDTH  # the middle, in half units
    match arm:
        case "U":
            canvas[: down + beyond, across - half : across + half] = True
        case "D":
            canvas[down - beyond :, across - half : across + half] = True
        case "L":
            canvas[down - half : down + half, : across + beyond] = True
        case "R":
            canvas[down - half : down + half, across - beyond :] = True


def _rectangles(canvas: NDArray[np.bool_]) -> Iterator[tuple[float, float, float, float]]:
    """What is filled, as rectangles in units: rows that are alike become one."""
    top = 0
    for row in range(1, len(canvas) + 1):
        if row < len(canvas) and (canvas[row] == canvas[top]).all():
            continue
        edges = np.flatnonzero(np.diff(canvas[top].astype(int), prepend=0, append=0))
        for left, right in edges.reshape(-1, 2).tolist():
            yield left / 2, top / 2, right / 2, row / 2
        top = row


# --- curves ---


def _dot(dots: int) -> Iterator[Polygon]:
    """Octagons for the dots of a braille cell."""
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    turns = [math.pi / 8 + k * math.pi / 4 for k in range(8)]
    for number, (column, row) in enumerate(places):
        if dots >> number & 1:
            x, y = 2 + 4 * column, 2 + 4 * row
            yield tuple((x + 1.25 * math.cos(t), y + 1.25 * math.sin(t)) for t in turns)


def _diagonals(code: int) -> tuple[Polygon, ...]:
    rising: Polygon = ((0, HEIGHT - 1), (WIDTH, -1), (WIDTH, 1), (0, HEIGHT + 1))
    falling: Polygon = tuple((WIDTH - x, y) for x, y in rising)
    return {0x2571: (rising,), 0x2572: (falling,), 0x2573: (rising, falling)}[code]


def _arc(code: int) -> Glyph:
    """A quarter of a ring, and a straight line on to the edge. The first is ╭."""
    x, y = WIDTH, HEIGHT / 2 + WIDTH / 2  # the ring's middle
    turns = [math.pi + k * math.pi / 16 for k in range(9)]
    outer = [(x + 4.5 * math.cos(t), y + 4.5 * math.sin(t)) for t in turns]
    inner = [(x + 3.5 * math.cos(t), y + 3.5 * math.sin(t)) for t in reversed(turns)]
    ring: Polygon = tuple(outer + inner)
    line = (WIDTH / 2 - 0.5, y, WIDTH / 2 + 0.5, float(HEIGHT))
    across, upward = code in (0x256E, 0x256F), code in (0x256F, 0x2570)
    if across:
        ring = tuple((WIDTH - x, y) for x, y in ring)
    if upward:
        ring = tuple((x, HEIGHT - y) for x, y in ring)
        line = (line[0], HEIGHT - line[3], line[2], HEIGHT - line[1])
    return Glyph((line,), (ring,))
