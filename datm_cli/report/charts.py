"""Line charts as SVG: Python computes where things stand, `templates/chart.svg.jinja` draws them.

    Chart("Accuracy", [Series("datm", ipcs, means, errors=deviations)],
          x_label="ipc", log_x=True, levels=[(99.4, "full 99.4")]).figure()

Series differ in colour (the colour-blind safe palette of Okabe and Ito), in the dashes of their
lines and in the shapes of their marks. `templates/chart.css` has the colours, for light and dark.
"""

# No plotting library draws these charts. Here, two series of 2,000 values take 29 kB and less than
# 0.1 s, and their colours are CSS variables, which follow the reader's dark mode. matplotlib adds
# 80 MB to an installation, takes 1 s to import, and writes 41 kB, with colours fixed in style
# attributes and with ids and links that collide when several charts share a page. vl-convert, which
# draws Altair's charts without a browser, adds 100 MB with its own JavaScript engine, and writes
# 73 kB. pygal has no shaded spans and no named levels, thins nothing out (20,000 values take 880 kB
# and 13 s), and puts a script into each chart, which a page that runs none must not contain.

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from markupsafe import Markup

from datm_cli.report.page import pixels, render
from datm_cli.report.scales import Scale, number, value_range

WIDTH, HEIGHT = 480, 280  # in the units of the drawing, which grows and shrinks with the page
LEFT, RIGHT, TOP, BOTTOM = 52, 18, 24, 42  # margins around the frame
LETTER = 7.4  # about the width of a letter in a wide font, at the 12 units of `chart.css`
LINE = 15  # between the names of levels
LOOKS = 6  # colours; a seventh series repeats the first
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
    """Values y over x, which ascends. Values that are None or not finite are omitted.

    errors: half the length of an error bar at each value, or None. style: "line", "step" (a value
    holds until the next), "dots" (small, for many) or "marks". marked: a mark at every value of a
    line. faint: behind the others, without a name. look: the number of the colour, dashes and
    marks; by default the position among the series.
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
    def values(self) -> list[tuple[float, float, float]]:
        """x, y and half the length of the error bar of each value."""
        errors = self.errors or [None] * len(self.x)
        return [
            (float(x), float(y), float(error or 0))
            for x, y, error in zip(self.x, self.y, errors, strict=True)
            if y is not None and math.isfinite(y)
        ]

    def paths(self, across: Scale, up: Scale) -> dict[str, str]:
        """What is drawn, by its class in `chart.css`."""
        points = [(across.position(x), up.position(y)) for x, y, _ in self.values]
        paths = {}
        if self.style in ("line", "step"):
            paths["line"] = _line(points, step=self.style == "step")
        elif self.style == "dots":
            dots = sorted({(round(x), round(y, 1)) for x, y in points})
            paths["dots"] = "".join(f"M{x} {y:g}h0" for x, y in dots)
        whiskers = []
        for (x, _), (_, y, error) in zip(points, self.values, strict=True):
            if error and (y - error > 0 or not up.log):
                low, high = pixels(up.position(y - error)), pixels(up.position(y + error))
                whiskers.append(f"M{pixels(x)} {low}V{high}m-3 0h6M{pixels(x - 3)} {low}h6")
        if whiskers:
            paths["whiskers"] = "".join(whiskers)
        if self.marked or self.style == "marks" or len(points) == 1:
            paths["mark"] = "".join(f"M{pixels(x)} {pixels(y)}{self._mark}" for x, y in points)
        return paths

    @property
    def sample(self) -> dict[str, str]:
        """The paths of a sample for a legend, 26 by 12."""
        paths = {}
        if self.style in ("line", "step"):
            paths["line"] = "M1 6H25"
        elif self.style == "dots":
            paths["dots"] = "M7 6h0M13 6h0M19 6h0"
        if self.marked or self.style == "marks":
            paths["mark"] = f"M13 6{self._mark}"
        return paths

    @property
    def _mark(self) -> str:
        return MARKS[(self.look or 0) % len(MARKS)]


@dataclass(frozen=True)
class Chart:
    """Series over a common axis.

    levels: values to compare with and their names, each a line across. y_label: stands above the
    axis, with the unit, if the title does not say it. log_x, log_y: apply only if all values are
    positive. x_ticks: values with a label on the x axis, instead of round ones. from_zero: both
    axes begin at 0. span: a highlighted part of the x axis: its first value, its last, its name.
    """

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

    def figure(self) -> Markup:
        """The drawing below its title and its legend."""
        return render("chart.html.jinja", chart=self)

    def svg(self) -> Markup:
        """The drawing alone, with a description for screen readers."""
        if not any(one.values for one in self.series):
            return Markup('<p class="remark">no values yet</p>')
        across, up = self._scales()
        return render(
            "chart.svg.jinja",
            chart=self,
            width=WIDTH,
            height=HEIGHT,
            across=across,
            up=up,
            levels=self._levels(up),
        )

    @property
    def with_looks(self) -> list[Series]:
        """The series, each with its look."""
        return [
            replace(one, look=(index if one.look is None else one.look) % LOOKS)
            for index, one in enumerate(self.series)
        ]

    @property
    def named(self) -> list[Series]:
        """The series of the legend."""
        return [one for one in self.with_looks if one.name and not one.faint]

    @property
    def x_labels(self) -> list[tuple[float, str]]:
        return [(x, number(x)) for x in self.x_ticks]

    def _scales(self) -> tuple[Scale, Scale]:
        """The x axis and the y axis."""
        values = [value for one in self.series for value in one.values]
        xs = [x for x, _, _ in values]
        ys = [y + sign * error for _, y, error in values for sign in (-1, 1)]
        ys += [value for value, _ in self.levels]
        if self.from_zero:
            xs, ys = [0.0, *xs], [0.0, *ys]
        log_x, log_y = self.log_x and min(xs) > 0, self.log_y and min(ys) > 0
        x_range = self.x_range or value_range(xs, log=log_x, margin=0.04 if log_x else 0.0)
        y_range = self.y_range or value_range(ys, log=log_y, margin=0.05)
        if self.from_zero and min(ys) == 0:
            y_range = (0.0, y_range[1])
        longest_name = max((len(name) for _, name in self.levels), default=0)
        right = WIDTH - max(RIGHT, longest_name * LETTER + 8)
        return (
            Scale(*x_range, LEFT, right, log_x, all(x.is_integer() for x in xs)),
            Scale(*y_range, HEIGHT - BOTTOM, TOP, log_y, all(float(y).is_integer() for y in ys)),
        )

    def _levels(self, up: Scale) -> Iterator[tuple[float, float, str]]:
        """The height of each level, the height of its name, and its name. Names do not overlap."""
        lowest = up.start
        for value, name in sorted(self.levels):
            height = up.position(value)
            of_name = min(height, lowest)
            lowest = of_name - LINE
            yield height, of_name, name

    @property
    def description(self) -> str:
        """The ends of each series, the levels and the span in words."""
        title = f"{self.title}: {self.y_label}" if self.y_label else self.title
        parts = [f"{title} over {self.x_label}"]
        for one in self.series:
            if one.values and not one.faint:
                name = f"{one.name}: " if one.name else ""
                ends = [one.values[0], *one.values[1:][-1:]]
                parts.append(name + " to ".join(f"{number(y)} at {number(x)}" for x, y, _ in ends))
        parts += [name for _, name in self.levels]
        return "; ".join([*parts, f"{self.span[2]} shaded"] if self.span else parts)


def _line(points: Sequence[Point], *, step: bool) -> str:
    (x, y), *others = [(pixels(x), pixels(y)) for x, y in _thinned(points)]
    return f"M{x} {y}" + "".join(f"H{x}V{y}" if step else f"L{x} {y}" for x, y in others)


def _thinned(points: Sequence[Point]) -> Iterable[Point]:
    """The points that give the same line: of each pixel's column the first, the lowest, the highest
    and the last."""
    for _, group in groupby(points, key=lambda point: math.floor(point[0])):
        column = list(group)
        heights = [y for _, y in column]
        kept = {0, heights.index(min(heights)), heights.index(max(heights)), len(column) - 1}
        yield from (column[index] for index in sorted(kept))
