"""Test accuracy against images per class: a chart for the page, and as an SVG file of its own."""

from __future__ import annotations

import re

from markupsafe import Markup

from datm_cli.report.charts import HEIGHT, LETTER, WIDTH, Chart, Series
from datm_cli.report.page import render, source
from datm_cli.studies.study_tables import label
from datm_engine.studies.study_results import FULL, StudyResult

LEGEND_LINE = 18


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
    legend = []
    x, y = 6, 34
    for series in chart.named:
        # A sample of 26, the name, and gaps: on the next line if it does not fit.
        width = round(34 + LETTER * len(series.name) + 12)
        if x > 6 and x + width > WIDTH:
            x, y = 6, y + LEGEND_LINE
        legend.append((x, y, series))
        x += width
    # Few programs but browsers know CSS variables: the colours are filled in.
    colours = dict(re.findall(r"--(\w+): (#\w+)", source("page.css").partition("@media")[0]))
    rules = source("chart.css") + "svg { background: var(--paper); }"
    rules += " svg .title { font-weight: 600; fill: var(--ink); }"
    style = re.sub(r"var\(--(\w+)\)", lambda name: colours[name[1]], rules)
    return render(
        "standalone.svg.jinja",
        chart=chart,
        legend=legend,
        style=Markup(style),
        top=y + 10,
        width=WIDTH,
        height=HEIGHT,
    )
