"""Measurements as lines for a terminal, and as one page with plots in SVG."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

WIDTH, HEIGHT, EDGE = 320, 220, 42
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def lines(name: str, found: dict[str, Any]) -> Iterator[str]:
    """A heading, and a line for every way or curve."""
    yield f"{name}: {found['what']}"
    for way, timing in found.get("ways", {}).items():
        faster = next(v for key, v in timing.items() if key.startswith("times_as_fast"))
        yield (
            f"  {way:18} {timing['seconds']:7.2f} s  {faster:5.2f}×  "
            f"{timing['peak_bytes'] / 1e9:5.2f} GB  ready in {timing['ready_seconds']:.0f} s"
        )
    for curve in found.get("curves", []):
        for label, points in curve["lines"].items():
            told = "  ".join(f"{x:g}: {y:.3g}" for x, y in points)
            yield f"  {curve['title']}, {label}: {told}"
    yield from (f"  {key}: {value}" for key, value in found.get("figures", {}).items())


def html(found: dict[str, Any]) -> str:
    """The whole page."""
    parts = ["<meta charset=utf-8><title>datm: benchmarks</title>"]
    parts.append("<style>body{font:15px sans-serif;margin:2em}svg{margin:1em}</style>")
    parts.append(f"<h1>datm: benchmarks</h1><p>{escape(json.dumps(found['machine']))}</p>")
    for name, part in found.items():
        if isinstance(part, dict) and "what" in part:
            parts.append(f"<h2>{escape(name)}</h2><pre>{escape(chr(10).join(lines(name, part)))}")
            parts.append("</pre>" + "".join(plot(curve) for curve in part.get("curves", [])))
    return "\n".join(parts)


def plot(curve: dict[str, Any]) -> str:
    """`lines`: label → [(x, y)]; both axes start at zero."""
    every = [point for points in curve["lines"].values() for point in points]
    right, top = max(x for x, _ in every), max(y for _, y in every) * 1.1

    def place(x: float, y: float) -> str:
        return (
            f"{EDGE + x / right * (WIDTH - 2 * EDGE):.1f},"
            f"{HEIGHT - EDGE - y / top * (HEIGHT - 2 * EDGE):.1f}"
        )

    drawn = [
        f'<path d="M{place(0, top)} L{place(0, 0)} L{place(right, 0)}" fill="none" stroke="#888"/>',
        f'<text x="{EDGE}" y="16" font-size="13">{escape(curve["title"])}</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" font-size="12">{escape(curve["x"])}</text>',
        f'<text x="2" y="{EDGE + 4}" font-size="11">{top / 1.1:.3g}</text>',
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT - EDGE + 14}" font-size="11">{right:g}</text>',
    ]
    for number, (label, points) in enumerate(curve["lines"].items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(place(x, y) for x, y in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn.append(
            f'<text x="{EDGE + 8}" y="{34 + 14 * number}" font-size="11" fill="{colour}">'
            f"{escape(label)}</text>"
        )
    return f'<svg width="{WIDTH}" height="{HEIGHT}">{"".join(drawn)}</svg>'
