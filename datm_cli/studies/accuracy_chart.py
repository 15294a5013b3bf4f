"""Accuracy against images per class: a chart for the page, and the same as a file of its own."""

from __future__ import annotations

import re
from pathlib import Path

from datm_cli import report
from datm_cli.report.charts import HEIGHT, LETTER, LOOKS, WIDTH, Chart, Series, swatch
from datm_cli.report.markup import Html, tag
from datm_cli.studies.study_tables import label
from datm_engine.studies.study_results import FULL, Study

_ENTRY, _TITLE = 18, 22  # lines of the legend, and of the title

# Without variables, which few programs but browsers know in a drawing.
_STYLE = """
svg { background: PAPER; } text { font: 12px sans-serif; fill: SOFT; }
.title { font-weight: 600; fill: INK; } .middle { text-anchor: middle; } .end { text-anchor: end; }
path { fill: none; stroke-width: 1.3; stroke-linejoin: round; }
.axis { stroke: SOFT; stroke-width: 1; } .grid { stroke: RULE; stroke-width: 1; }
.level { stroke: SOFT; stroke-width: 1; stroke-dasharray: 4 3; }
.look1 .line { stroke-dasharray: 7 3; } .look2 .line { stroke-dasharray: 2 2.5; }
.look3 .line { stroke-dasharray: 8 3 2 3; } .look4 .line { stroke-dasharray: 12 4; }
.look5 .line { stroke-dasharray: 2 5; }
"""


def accuracy_chart(study: Study, network: str) -> Chart:
    """A line a variant and selection of real images, with their deviations; training on all images
    as the level of what is lossless."""
    names = [*study.variants, *(name for name in study.selections if name != FULL)]
    series = []
    for name in names:
        known = [(ipc, row) for ipc in study.ipcs if (row := study.row(name, ipc, network))]
        series.append(
            Series(
                label(study, name),
                [ipc for ipc, _ in known],
                [row.accuracy_mean for _, row in known],
                errors=[row.accuracy_std for _, row in known],
                marked=True,
            )
        )
    full = study.row(FULL, None, network)
    return Chart(
        f"{study.name}: test accuracy, {network}",
        series,
        x_label="images per class",
        y_label="test accuracy %",
        levels=[(full.accuracy_mean, f"lossless {full.accuracy_mean:.1f}")] if full else [],
        log_x=True,
        x_ticks=study.ipcs,
    )


def standalone(chart: Chart) -> str:
    """The chart with its title and legend as an SVG file, in colours for white paper."""
    parts: list[object] = [tag("text", chart.title, x=6, y=15, class_="title")]
    x, y = 6.0, float(_TITLE + 12)
    for look, one in enumerate(chart.series):
        width = 34 + LETTER * len(one.name) + 12
        if x > 6 and x + width > WIDTH:
            x, y = 6.0, y + _ENTRY
        drawn = f'<svg x="{x:.0f}" y="{y - 10:.0f}" width="26" height="12" '
        parts.append(Html(swatch(look % LOOKS, one).replace("<svg ", drawn, 1)))
        parts.append(tag("text", one.name, x=round(x + 30), y=round(y)))
        x += width
    top = round(y + 10)
    drawing = str(chart.svg()).replace("<svg ", f'<svg y="{top}" height="{HEIGHT}" ', 1)
    content = [tag("style", Html(_style())), *parts, Html(drawing)]
    size = {"viewBox": f"0 0 {WIDTH} {top + HEIGHT}", "width": 2 * WIDTH}
    return tag("svg", *content, xmlns="http://www.w3.org/2000/svg", **size) + "\n"


def _style() -> str:
    named, looks = _colours()
    style = _STYLE
    for name, colour in named.items():
        style = style.replace(name.upper(), colour)
    for look, colour in enumerate(looks):
        style += f".look{look} .line, .look{look} .whiskers {{ stroke: {colour}; }}\n"
        style += f".look{look} .mark {{ fill: {colour}; stroke: none; }}\n"
    return style


def _colours() -> tuple[dict[str, str], list[str]]:
    """The page's own, for white paper: by their names, and those of the series in their order."""
    style = Path(report.__file__).with_name("page.css").read_text(encoding="utf-8")
    stated = dict(re.findall(r"--(\w+): (#\w+)", style.partition("@media")[0]))
    looks = [colour for name, colour in stated.items() if name.startswith("look")]
    return {name: colour for name, colour in stated.items() if not name[-1].isdigit()}, looks
