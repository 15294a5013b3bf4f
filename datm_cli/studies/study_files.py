"""Write the result of a study: a JSON file, tables, charts, strips of images, and a page of all."""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datm_cli.report.charts import Chart
from datm_cli.report.page import render
from datm_cli.studies import study_tables
from datm_cli.studies.accuracy_chart import accuracy_chart, standalone_svg
from datm_cli.studies.image_strips import save_strips
from datm_cli.text import output
from datm_cli.text.escapes import json_text, printable
from datm_engine.errors import ConfigError, Setting
from datm_engine.files import check_writable, make_folder, or_elsewhere, parse_json, save_text
from datm_engine.hints import command
from datm_engine.runs.names import free_name
from datm_engine.settings import published
from datm_engine.studies.study_findings import CAVEAT, findings
from datm_engine.studies.study_plan import StudyPlan
from datm_engine.studies.study_results import StudyResult, read_study

TITLES = {
    "window": "early, middle and late epochs of the experts",
    "methods": "methods, and selections of real images",
}
STRIPS = (
    "The same images from the same start over the iterations: above in the early window, below in "
    "the late one. In the paper early matching dissolves the object into its background and gives "
    "its basics, and late matching adds texture and detail; whether that shows here is for the eye."
)


def check(folder: Path, plan: StudyPlan) -> None:
    """Raises FileError if `folder` cannot be made. Raises ConfigError if it holds anything but an
    earlier result of this study, or a result with more in it than the plan has."""
    with or_elsewhere(folder, "to"):
        check_writable(folder)
    if wrong := _conflict(folder, plan):
        base = folder.resolve()
        free = free_name(base.name, lambda name: base.with_name(name).exists())
        raise ConfigError(wrong, Setting("to", folder.parent / free))


def _conflict(folder: Path, plan: StudyPlan) -> str:
    """Why the result cannot be written into the folder. Empty if it can."""
    names = {path.name for path in folder.iterdir()}
    if not names:
        return ""
    path = folder / "study.json"
    if path.name not in names:
        return f"{folder} holds other files than a study's"
    try:
        before = parse_json(path.read_text(encoding="utf-8"))
        study, name, dataset = (before[key] for key in ("study", "name", "dataset"))
        asked = [*plan.ipcs, *plan.variants, *plan.networks, *plan.selections]
        keys = ("ipc", "variants", "networks", "selections")
        more = [str(value) for key in keys for value in before[key] if value not in asked]
    except (OSError, ValueError) as problem:
        return f"{path} is damaged: {problem}"
    except (KeyError, TypeError):
        return f"{path} is no result of a study"
    if (study, name, dataset) != (plan.kind, plan.name, plan.dataset):
        return f"{folder} is the study {study} {name} of {dataset}"
    return f"{folder} has {', '.join(more)} too, which would be left out" if more else ""


def write(study: StudyResult, runs_dir: Path, folder: Path) -> list[Path]:
    """Returns the files. The last, report.html, holds all the others but study.json. Raises
    FileError."""
    with or_elsewhere(folder, "to"):
        make_folder(folder)
        data, text, page_file = (
            folder / name for name in ("study.json", "study.md", "report.html")
        )
        # The JSON file first: `check` knows a study's folder by it, also if writing is interrupted.
        save_text(data, json_text(facts(study), indent=2) + "\n")
        charts, pictures = [], []
        for network in study.plan.networks:
            chart = accuracy_chart(study, network)
            if any(series.values for series in chart.series):
                suffix = "" if network == study.plan.networks[0] else f"-{network}"
                pictures.append(folder / f"accuracy{suffix}.svg")
                save_text(pictures[-1], standalone_svg(chart))
                charts.append(chart)
        # Windows of one dataset start from the same images, methods need not.
        strips = folder / "strips.png"
        has_strips = study.plan.kind == "window" and save_strips(strips, study.plan, runs_dir)
        strips_files = [strips] if has_strips else []
        save_text(text, _markdown(study, pictures, strips_files))
        save_text(page_file, _page(study, charts, strips_files))
    return [data, text, *pictures, *strips_files, page_file]


def print_result(
    plan: StudyPlan, runs_dir: Path, folder: Path, *, as_json: bool, quiet: bool
) -> None:
    """Write and print the result so far, finished or not."""
    study = read_study(plan, runs_dir)
    written = write(study, runs_dir, folder)
    with output.kept(f"the study is kept in {folder}", command("ls", folder)):
        if as_json:
            output.print_json({**facts(study), "files": [str(path) for path in written]})
        else:
            console = output.results()
            console.print(study_tables.terminal_table(study))
            for text in ("", *findings(study), *study_tables.remarks(study)):
                console.print(printable(text))
    if as_json or quiet:
        return
    output.remarks().print()
    output.remark(f"all of it: {written[-1]}")
    if missing := [run for run in study.runs if run.status not in ("done", "failed")]:
        count, again = f"{len(missing)} of {len(plan.runs)} runs", command("datm", *sys.argv[1:])
        output.remark(f"stopped with {count} to make; resume with: {again}")


def facts(study: StudyResult) -> dict[str, Any]:
    """The content of study.json."""
    return {
        **study.as_json(),
        "findings": findings(study),
        "remarks": [CAVEAT, *study_tables.remarks(study)],
        "sources": [published.source()] if study.is_published else [],
    }


def _markdown(study: StudyResult, charts: Sequence[Path], strips: Sequence[Path]) -> str:
    parts = [
        f"# {printable(study.plan.name)}: {TITLES[study.plan.kind]}",
        "\n".join(f"- {printable(text)}" for text in findings(study)),
        f"Test accuracy in percent. {CAVEAT}",
        study_tables.markdown(study).rstrip(),
        *map(printable, study_tables.remarks(study)),
        *(f"![{path.stem}]({path.name})" for path in charts),
        *(f"{STRIPS}\n\n![{path.stem}]({path.name})" for path in strips),
        "## Runs",
        study_tables.markdown_table(*study_tables.run_rows(study)).rstrip(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _page(study: StudyResult, charts: Sequence[Chart], strips: Sequence[Path]) -> str:
    headings = study_tables.header(study)
    run_headings, runs = study_tables.run_rows(study)
    return render(
        "study.html.jinja",
        kind="report of a study",
        title=f"{study.plan.name}: {TITLES[study.plan.kind]}",
        findings=findings(study),
        caveat=CAVEAT,
        headings=headings,
        accuracies=[
            [*names, *(cell.text() for cell in cells)] for names, cells in study_tables.rows(study)
        ],
        numbers=range(len(headings) - len(study.plan.ipcs), len(headings)),
        remarks=study_tables.remarks(study),
        charts=charts,
        # Inside the page, so that it is one file.
        strips=[
            f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
            for path in strips
        ],
        strips_caption=STRIPS,
        run_headings=run_headings,
        runs=runs,
    )
