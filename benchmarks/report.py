"""Measurements as lines for a terminal, and as one page with plots in SVG."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from datm_cli.report.charts import Chart, Series
from datm_cli.report.page import environment


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
            text = "  ".join(f"{x:g}: {y:.3g}" for x, y in points)
            yield f"  {curve['title']}, {label}: {text}"
    yield from (f"  {key}: {value}" for key, value in found.get("figures", {}).items())


PAGE = """\
{% extends "page.html.jinja" %}
{% block main %}
<h1>{{ title }}</h1>
<p>{{ machine }}</p>
{% for name, text, charts in parts %}
<section>
<h2>{{ name }}</h2>
<pre>{% for line in text %}{{ line }}
{% endfor %}</pre>
<div class="columns charts">{% for chart in charts %}{{ chart.figure() }}{% endfor %}</div>
</section>
{% endfor %}
{% endblock %}
"""


def html(found: dict[str, Any]) -> str:
    """The whole page."""
    parts = [
        (name, list(lines(name, part)), [chart(curve) for curve in part.get("curves", [])])
        for name, part in found.items()
        if isinstance(part, dict) and "what" in part
    ]
    title = "datm: benchmarks"
    machine = json.dumps(found["machine"])
    template = environment().from_string(PAGE)
    return template.render(kind="benchmarks", title=title, machine=machine, parts=parts)


def chart(curve: dict[str, Any]) -> Chart:
    """`lines`: label → [(x, y)]."""
    series = [
        Series(label, [x for x, _ in points], [y for _, y in points], marked=True)
        for label, points in curve["lines"].items()
    ]
    return Chart(curve["title"], series, curve["x"], from_zero=True)
