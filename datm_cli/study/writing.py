"""A study's result as files: figures for programs, a table, a plot, strips, and a page with all."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datm_cli.html_report.markup import Html, html, tag
from datm_cli.html_report.page import page, remark, section, table
from datm_cli.study import figures, tables
from datm_cli.study.strips import read_strips, save_strips
from datm_engine import published
from datm_engine.files import make_folder, save_text
from datm_engine.study.findings import CAVEAT, findings
from datm_engine.study.planning import Plan
from datm_engine.study.results import Study
from datm_engine.version import __version__

TITLES = {
    "window": "which part of the experts' trajectories to match",
    "methods": "methods and selections of real images",
}
STRIPS = (
    "The same images from the same start, over the iterations: above by the early window, below "
    "by the late one. In the paper early matching dissolves the object into its background and "
    "gives its basics, and late matching adds texture and detail."
)


@dataclass(frozen=True)
class Written:
    """Where everything is, with the page that holds all of it last."""

    folder: Path
    files: tuple[Path, ...]


def write(study: Study, plan: Plan, runs_dir: Path, folder: Path) -> Written:
    """Raises FileError where the folder cannot be written."""
    make_folder(folder)
    files = [folder / "study.json", folder / "study.md"]
    charts = {
        folder / f"accuracy{f'-{network}' if place else ''}.svg": figures.accuracy_chart(
            study, network
        )
        for place, network in enumerate(study.networks)
    }
    for path, chart in charts.items():
        save_text(path, figures.standalone(chart))
        files.append(path)
    pictures = folder / "strips.png"
    strips = read_strips(plan, runs_dir) if study.kind == "window" else []
    if strips:
        save_strips(pictures, strips)
        files.append(pictures)
    save_text(files[0], json.dumps(told(study), indent=2, ensure_ascii=False) + "\n")
    shown = [path.name for path in files[2:]]
    save_text(files[1], _markdown(study, shown))
    content = [chart.figure() for chart in charts.values()]
    save_text(folder / "report.html", _page(study, content, pictures if strips else None))
    return Written(folder, (*files, folder / "report.html"))


def told(study: Study) -> dict[str, object]:
    """What study.json and `--json` say."""
    sources = {"published": published.source()} if _published(study) else {}
    return {
        **study.as_json(),
        "findings": findings(study),
        "caveats": [CAVEAT, *_remarks(study)],
        "sources": sources,
    }


def _markdown(study: Study, shown: Sequence[str]) -> str:
    """`shown`: the names of the pictures beside it."""
    parts = [
        f"# {study.name}: {TITLES[study.kind]}",
        "\n".join(f"- {text}" for text in findings(study)),
        f"Test accuracy in percent. {CAVEAT}",
        tables.markdown(study).rstrip(),
        *_remarks(study),
    ]
    for name in shown:
        if name == "strips.png":
            parts.append(STRIPS)
        parts.append(f"![{name.rpartition('.')[0]}]({name})")
    parts += ["## Runs", tables.to_markdown(*_runs(study)).rstrip()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _page(study: Study, charts: Sequence[Html], pictures: Path | None) -> str:
    heading = tables.header(study)
    first = len(heading) - len(study.ipcs)
    strips = None
    if pictures:
        data = base64.b64encode(pictures.read_bytes()).decode()
        image = tag("img", src=f"data:image/png;base64,{data}", alt=STRIPS, style="max-width:100%")
        strips = html(tag("p", STRIPS), image)
    numbers = range(first, len(heading))
    lines = [tag("li", text) for text in findings(study)]
    return page(
        f"{study.name}: {TITLES[study.kind]}",
        tag("h1", f"{study.name}: {TITLES[study.kind]}"),
        section("What it shows", tag("ul", *lines) if lines else None, remark(CAVEAT)),
        section(
            "Test accuracy, percent",
            table(heading, tables.rows(study), numbers=numbers),
            *(remark(text) for text in _remarks(study)),
        ),
        section("Accuracy against images per class", *charts),
        section("Strips", strips) if strips else None,
        section("Runs", table(*_runs(study))),
        remark(f"datm {__version__}"),
    )


def _remarks(study: Study) -> list[str]:
    """What the marks in the table mean, and how far published figures can be compared."""
    told = tables.legend(study)
    if _published(study):
        same = "The settings that matter whatever the method are the published ones."
        other = f"They are of other settings; here {', '.join(study.departures)}."
        how = other if study.departures else same
        told.append(f"[In brackets: as published, {published.source()}.] {how}")
    return told


def _published(study: Study) -> bool:
    return any(cell.published for cell in study.cells)


def _runs(study: Study) -> tuple[list[str], list[list[str]]]:
    rows = [[run.run, run.window, run.status, run.message] for run in study.runs]
    return ["run", "start epochs", "status", ""], rows
