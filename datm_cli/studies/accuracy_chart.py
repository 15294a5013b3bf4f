"""Test accuracy against images per class: a chart for the page, and as an SVG file of its own."""

from __future__ import annotations

import re
from pathlib import Path

from datm_cli import report
from datm_cli.report.charts import HEIGHT, LETTER, LOOKS, WIDTH, Chart, Series, swatch
from datm_cli.report.markup import Html, tag
from datm_cli.studies.study_tables import label
from datm_engine.studies.study_results import FULL, StudyResult

_LEGEND_LINE, _TITLE_LINE = 18, 22

# Few programs but browsers know CSS variables in an SVG file: the colours are filled in.
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


def accuracy_chart(study: StudyResult, network: str) -> Chart:
    """A line with deviations for each variant and each selection of real images. The accuracy of
    all training images is a level across, as "lossless"."""
    plan = study.plan
    series = []
    for name in (*plan.variants, *(name for name in plan.selections if name != FULL)):
        known = [(ipc, row) for ipc in plan.ipcs if (row := study.row(name, ipc, network))]
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
        f"{plan.name}: test accuracy, {network}",
        series,
        x_label="images per class",
        y_label="test accuracy %",
        levels=[(full.accuracy_mean, f"lossless {full.accuracy_mean:.1f}")] if full else [],
        log_x=True,
        x_ticks=plan.ipcs,
    )


def standalone_svg(chart: Chart) -> str:
    """An SVG file of the chart with its title and legend, in colours for white paper."""
    parts: list[object] = [tag("text", chart.title, x=6, y=15, class_="title")]
    x, y = 6.0, float(_TITLE_LINE + 12)
    for number, series in enumerate(chart.series):
        # A swatch of 26, its name, and gaps: on the next line if it does not fit.
        width = 34 + LETTER * len(series.name) + 12
        if x > 6 and x + width > WIDTH:
            x, y = 6.0, y + _LEGEND_LINE
        at = {"x": round(x), "y": round(y - 10), "width": 26, "height": 12}
        parts.append(tag("svg", swatch(number % LOOKS, series), **at))
        parts.append(tag("text", series.name, x=round(x + 30), y=round(y)))
        x += width
    top = round(y + 10)
    drawing = tag("svg", chart.svg(), y=top, width=WIDTH, height=HEIGHT)
    content = [tag("style", Html(_style())), *parts, drawing]
    # Twice as wide as on the page, where it is one of several.
    size = {"viewBox": f"0 0 {WIDTH} {top + HEIGHT}", "width": 2 * WIDTH}
    return tag("svg", *content, xmlns="http://www.w3.org/2000/svg", **size) + "\n"


def _style() -> str:
    """The style, with the colours that the page has on white paper."""
    page = Path(report.__file__).with_name("page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#\w+)", page.partition("@media")[0]))
    style = _STYLE
    for name in ("paper", "ink", "soft", "rule"):
        style = style.replace(name.upper(), colours[name])
    for look in (f"look{number}" for number in range(LOOKS)):
        style += f".{look} .line, .{look} .whiskers {{ stroke: {colours[look]}; }}\n"
        style += f".{look} .mark {{ fill: {colours[look]}; stroke: none; }}\n"
    return style
