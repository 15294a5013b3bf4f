"""Line charts as figures of HTML with SVG inside: no script, nothing from a network.

    Chart("Accuracy", [Series("datm", ipcs, means, errors=deviations)],
          x_label="ipc", log_x=True, levels=[(99.4, "full 99.4")]).figure()

Series differ in colour (the colour-blind safe palette of Okabe and Ito), in the dashes of their
lines and in the shapes of their marks. `page.css` has the colours, for light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from datm_cli.report.markup import Html, tag
from datm_cli.report.scales import Scale, number, spanning

WIDTH, HEIGHT = 480, 280  # in the units of the drawing, which grows and shrinks with the page
LEFT, RIGHT, TOP, BOTTOM = 52, 18, 24, 42
LETTER = 7.4  # about the width of one in a wide font, at the 12 units of `page.css`
LINE = 15  # between labels
LOOKS = 6  # after so many series, colours come again
# A disc, a square, a triangle and a diamond around a point.
MARKS = (
    "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
    "m-3-3h6v6h-6z",
    "m0-4.2l4 7h-8z",
    "m0-4.5l4 4.5l-4 4.5l-4-4.5z",
)

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Values y over x, which ascends; those that are None or not finite are left out.

    `errors`: half the length of an error bar at each value, or None. `style`: "line", "step" (a
    value holds until the next), "dots" (small, for many) or "marks". `marked`: a mark at every
    value of a line. `faint`: behind the others, without a name. `look`: which colour, dashes and
    marks; by the order of the series unless it is stated.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    errors: Sequence[float | None] = ()
    style: str = "line"
    marked: bool = False
    faint: bool = False
    look: int | None = None

    @cached_property
    def points(self) -> list[Point]:
        return [point for point, _ in self.bars]

    @cached_property
    def bars(self) -> list[tuple[Point, float]]:
        """Each point with half the length of its error bar."""
        errors = self.errors or [None] * len(self.x)
        return [
            ((float(x), float(y)), float(error or 0))
            for x, y, error in zip(self.x, self.y, errors, strict=True)
            if y is not None and math.isfinite(y)
        ]


@dataclass(frozen=True)
class Chart:
    """`levels`: values to compare with and their names, each a line across. `y_label` stands above
    the axis, with the unit, where the title does not say it. A log scale is used only where all
    values are above 0. `x_ticks`: where the labels of the x axis are to stand, if not at round
    values. `from_zero`: both axes begin there. `span`: a part of the x axis to stand out, where it
    begins and ends and its name."""

    title: str
    series: Sequence[Series]
    x_label: str
    y_label: str = ""
    levels: Sequence[tuple[float, str]] = ()
    log_x: bool = False
    log_y: bool = False
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    x_ticks: Sequence[float] = ()
    from_zero: bool = False
    span: tuple[float, float, str] | None = None

    def figure(self) -> Html:
        """The drawing under its title and the names of its series."""
        named = [(look, one) for look, one in self._looks() if one.name and not one.faint]
        entries = [tag("li", swatch(look, one), one.name) for look, one in named]
        if self.span is not None:
            shade = tag("rect", x=1, y=1, width=24, height=10, class_="span")
            drawing = tag("svg", shade, viewBox="0 0 26 12", class_="swatch", aria_hidden="true")
            entries.append(tag("li", drawing, self.span[2]))
        legend = tag("ul", *entries, class_="legend") if len(entries) > 1 else None
        return tag("figure", tag("figcaption", self.title), legend, self.svg(), class_="chart")

    def svg(self) -> Html:
        """The drawing alone, with a description in words for screen readers."""
        every = [point for one in self.series for point in one.points]
        if not every:
            return tag("p", "no values yet", class_="remark")
        across, up = self._scales(every)
        order = sorted(self._looks(), key=lambda pair: not pair[1].faint)
        parts = [
            *self._spanned(across, up),
            *self._frame(across, up),
            *self._levels(across, up),
            *(_drawn(one, look, across, up) for look, one in order),
        ]
        size = f"0 0 {WIDTH} {HEIGHT}"
        return tag("svg", *parts, viewBox=size, role="img", aria_label=self._in_words())

    def _looks(self) -> list[tuple[int, Series]]:
        return [
            ((index if one.look is None else one.look) % LOOKS, one)
            for index, one in enumerate(self.series)
        ]

    def _scales(self, every: Sequence[Point]) -> tuple[Scale, Scale]:
        tips = [y + sign * e for one in self.series for (_, y), e in one.bars for sign in (-1, 1)]
        xs, ys = [x for x, _ in every], [*tips, *(value for value, _ in self.levels)]
        if self.from_zero:
            xs, ys = [0.0, *xs], [0.0, *ys]
        log_x, log_y = self.log_x and min(xs) > 0, self.log_y and min(ys) > 0
        x_range = self.x_range or spanning(xs, log=log_x, margin=0.04 if log_x else 0.0)
        y_range = self.y_range or spanning(ys, log=log_y, margin=0.05)
        if self.from_zero and min(ys) == 0:
            y_range = (0.0, y_range[1])
        room = max((len(name) for _, name in self.levels), default=0) * LETTER + 8
        right = WIDTH - max(RIGHT, room)
        return (
            Scale(*x_range, LEFT, right, log_x, _are_whole(xs)),
            Scale(*y_range, HEIGHT - BOTTOM, TOP, log_y, _are_whole(ys)),
        )

    def _frame(self, across: Scale, up: Scale) -> Iterator[Html]:
        """Grid lines with their labels, and what the axes are."""
        ticks = [(x, number(x)) for x in self.x_ticks] or across.ticks(6)
        right, bottom = across.end, up.start
        for value, label in up.ticks(6):
            y = _short(up.place(value))
            yield tag("path", d=f"M{LEFT} {y}H{_short(right)}", class_="grid")
            yield tag("text", label, x=LEFT - 6, y=y, dy="0.35em", class_="tick end")
        for value, label in ticks:
            x = _short(across.place(value))
            yield tag("path", d=f"M{x} {bottom}v4", class_="axis")
            yield tag("text", label, x=x, y=bottom + 17, class_="tick middle")
        yield tag("path", d=f"M{LEFT} {bottom}H{_short(right)}", class_="axis")
        middle = _short((LEFT + right) / 2)
        yield tag("text", self.x_label, x=middle, y=HEIGHT - 6, class_="tick middle")
        scale = " (log scale)" if up.log else ""
        yield tag("text", (self.y_label + scale).strip(), x=6, y=12, class_="tick")

    def _spanned(self, across: Scale, up: Scale) -> Iterator[Html]:
        """A shade behind all else."""
        if self.span is not None:
            left, right = (across.place(end) for end in self.span[:2])
            width, height = _short(max(1.0, right - left)), _short(up.start - up.end)
            at = {"x": _short(left), "y": _short(up.end), "width": width, "height": height}
            yield tag("rect", **at, class_="span")

    def _levels(self, across: Scale, up: Scale) -> Iterator[Html]:
        """A line across for each level, its name behind it and none upon another."""
        right, below = across.end, up.start
        for value, name in sorted(self.levels):
            y = up.place(value)
            yield tag("path", d=f"M{LEFT} {_short(y)}H{_short(right)}", class_="level")
            label = min(y, below)
            below = label - LINE
            at = {"x": _short(right + 5), "y": _short(label), "dy": "0.35em"}
            yield tag("text", name, **at, class_="tick")

    def _in_words(self) -> str:
        what = f"{self.title}: {self.y_label}" if self.y_label else self.title
        words = [f"{what} over {self.x_label}"]
        for one in self.series:
            if one.points and not one.faint:
                (x, y), (last_x, last_y) = one.points[0], one.points[-1]
                what = f"{one.name}: " if one.name else ""
                words.append(
                    f"{what}{number(y)} at {number(x)}"
                    + (f" to {number(last_y)} at {number(last_x)}" if len(one.points) > 1 else "")
                )
        spanned = [f"{self.span[2]} shaded"] if self.span else []
        return "; ".join([*words, *(name for _, name in self.levels), *spanned])


def _drawn(one: Series, look: int, across: Scale, up: Scale) -> Html:
    placed = [((across.place(x), up.place(y)), (x, y, e)) for (x, y), e in one.bars]
    points = [point for point, _ in placed]
    parts = []
    if one.style in ("line", "step"):
        parts.append(tag("path", d=_line(points, step=one.style == "step"), class_="line"))
    elif one.style == "dots":
        dots = sorted({(round(x), round(y, 1)) for x, y in points})
        parts.append(tag("path", d="".join(f"M{x} {y:g}h0" for x, y in dots), class_="dots"))
    whiskers = [
        f"M{_short(px)} {_short(up.place(y - e))}V{_short(up.place(y + e))}m-3 0h6"
        f"M{_short(px - 3)} {_short(up.place(y - e))}h6"
        for (px, _), (_, y, e) in placed
        if e and (y - e > 0 or not up.log)
    ]
    if whiskers:
        parts.append(tag("path", d="".join(whiskers), class_="whiskers"))
    if one.marked or one.style == "marks" or len(points) == 1:
        parts.append(tag("path", d="".join(_mark(look, *p) for p in points), class_="mark"))
    return tag("g", *parts, class_=f"look{look}" + (" faint" if one.faint else ""))


def _line(points: Sequence[Point], *, step: bool) -> str:
    path, last = [], None
    for x, y in _thinned(points):
        at = f"{_short(x)} {_short(y)}"
        path.append(f"M{at}" if last is None else f"H{_short(x)}V{_short(y)}" if step else f"L{at}")
        last = at
    return "".join(path)


def _thinned(points: Sequence[Point]) -> Iterable[Point]:
    """As many as give the same line: of those in a pixel's column the first, the lowest, the
    highest and the last."""
    for _, group in groupby(points, key=lambda point: math.floor(point[0])):
        some = list(group)
        heights = [y for _, y in some]
        ends = {0, heights.index(min(heights)), heights.index(max(heights)), len(some) - 1}
        yield from (some[index] for index in sorted(ends))


def _mark(look: int, x: float, y: float) -> str:
    return f"M{_short(x)} {_short(y)}{MARKS[look % len(MARKS)]}"


def swatch(look: int, one: Series) -> Html:
    """How a series looks, for the legend."""
    line = one.style in ("line", "step")
    parts = [tag("path", d="M1 6H25", class_="line")] if line else []
    if one.style == "dots":
        parts.append(tag("path", d="M7 6h0M13 6h0M19 6h0", class_="dots"))
    if one.marked or one.style == "marks":
        parts.append(tag("path", d=_mark(look, 13, 6), class_="mark"))
    shape = tag("g", *parts, class_=f"look{look}")
    return tag("svg", shape, viewBox="0 0 26 12", class_="swatch", aria_hidden="true")


def _are_whole(values: Sequence[float]) -> bool:
    return all(float(value).is_integer() for value in values)


def _short(value: float) -> str:
    """A coordinate to a tenth."""
    return f"{value:.1f}".removesuffix(".0")
