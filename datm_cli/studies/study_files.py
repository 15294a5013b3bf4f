"""A study's result as files: figures for programs, a table, a plot, strips, and a page with all."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datm_cli.report.charts import Chart
from datm_cli.report.markup import Html, tag
from datm_cli.report.page import page, remark, section, table
from datm_cli.studies import accuracy_chart, study_tables
from datm_cli.studies.image_strips import read_strips, save_strips
from datm_cli.text.escapes import json_text, printable
from datm_engine.errors import ConfigError
from datm_engine.files import check_writable, make_folder, or_elsewhere, parse_json, save_text
from datm_engine.hints import command
from datm_engine.settings import published
from datm_engine.studies.study_findings import CAVEAT, findings
from datm_engine.studies.study_plan import Plan
from datm_engine.studies.study_results import Study
from datm_engine.version import __version__

TITLES = {
    "window": "early, middle and late epochs of the experts",
    "methods": "methods, and selections of real images",
}
STRIPS = (
    "The same images from the same start over the iterations: above as the early window makes "
    "them, below as the late one does. In the paper early matching dissolves the object into its "
    "background and gives its basics, and late matching adds texture and detail; whether that "
    "shows here is for the eye."
)


def check(folder: Path, plan: Plan) -> None:
    """Raises FileError where `folder` cannot be made, ConfigError where it holds something else
    than an earlier result of this study, or one of more than is asked for now."""
    with or_elsewhere(folder, "--to"):
        check_writable(folder)
    held = {path.name for path in folder.iterdir()}
    if not held:
        return
    wrong = f"{folder} holds other files than a study's"
    if "study.json" in held:
        try:
            before = parse_json((folder / "study.json").read_text(encoding="utf-8"))
            of = [before[key] for key in ("study", "name", "dataset")]
            wanted = {
                **{"ipc": plan.ipcs, "variants": plan.variants},
                **{"networks": plan.networks, "selections": plan.selections},
            }
            more = [one for key, asked in wanted.items() for one in before[key] if one not in asked]
            if of != [plan.kind, plan.name, plan.dataset]:
                wrong = f"{folder} is the study {of[0]} {of[1]} of {of[2]}"
            elif more:
                wrong = f"{folder} has {', '.join(map(str, more))} too, which would be left out"
            else:
                return
        except (OSError, ValueError) as problem:
            wrong = f"{folder / 'study.json'} is damaged: {problem}"
        except (KeyError, TypeError):
            wrong = f"{folder / 'study.json'} is of something else"
    number = 2
    base = folder.resolve()
    while base.with_name(f"{base.name}-{number}").exists():
        number += 1
    raise ConfigError(wrong, command("--to", folder.parent / f"{base.name}-{number}"))


def write(study: Study, plan: Plan, runs_dir: Path, folder: Path) -> list[Path]:
    """The files that it wrote; the last, report.html, holds all of them but study.json. Raises
    FileError where the folder cannot be written."""
    with or_elsewhere(folder, "--to"):
        return _write(study, plan, runs_dir, folder)


def _write(study: Study, plan: Plan, runs_dir: Path, folder: Path) -> list[Path]:
    make_folder(folder)
    charts = _charts(study)
    pictures: list[Path] = []
    for network, chart in charts.items():
        pictures.append(
            folder / f"accuracy{'' if network == study.networks[0] else f'-{network}'}.svg"
        )
        save_text(pictures[-1], accuracy_chart.standalone(chart))
    strips = read_strips(plan, runs_dir) if study.kind == "window" else []
    sheet = folder / "strips.png" if strips else None
    if sheet:
        save_strips(sheet, strips)
        pictures.append(sheet)
    texts = {
        folder / "study.json": json_text(told(study), indent=2) + "\n",
        folder / "study.md": _markdown(study, pictures),
        folder / "report.html": _page(study, [one.figure() for one in charts.values()], sheet),
    }
    for path, text in texts.items():
        save_text(path, text)
    *first, last = texts
    return [*first, *pictures, last]


def _charts(study: Study) -> dict[str, Chart]:
    """Of every network of which anything is measured."""
    every = {network: accuracy_chart.accuracy_chart(study, network) for network in study.networks}
    return {
        network: chart
        for network, chart in every.items()
        if any(one.points for one in chart.series)
    }


def told(study: Study) -> dict[str, Any]:
    """What study.json and `--json` say."""
    sources = [published.source()] if study.is_published else []
    return {
        **study.as_json(),
        "findings": findings(study),
        "remarks": [CAVEAT, *study_tables.remarks(study)],
        "sources": sources,
    }


def _markdown(study: Study, pictures: Sequence[Path]) -> str:
    parts = [
        f"# {printable(study.name)}: {TITLES[study.kind]}",
        "\n".join(f"- {printable(text)}" for text in findings(study)),
        f"Test accuracy in percent. {CAVEAT}",
        study_tables.markdown(study).rstrip(),
        *map(printable, study_tables.remarks(study)),
        *(
            f"{STRIPS}\n\n{image}" if "strips" in image else image
            for image in map(_image, pictures)
        ),
        "## Runs",
        study_tables.to_markdown(*study_tables.runs(study)).rstrip(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _image(path: Path) -> str:
    return f"![{path.stem}]({path.name})"


def _page(study: Study, charts: Sequence[Html], sheet: Path | None) -> str:
    title, heading = f"{study.name}: {TITLES[study.kind]}", study_tables.header(study)
    numbers = range(len(heading) - len(study.ipcs), len(heading))
    lines = [tag("li", text) for text in findings(study)]
    return page(
        "report of a study",
        title,
        tag("h1", title),
        section("What it shows", tag("ul", *lines) if lines else None, remark(CAVEAT)),
        section(
            "Test accuracy in percent",
            table(heading, study_tables.rows(study), numbers=numbers),
            *(remark(text) for text in study_tables.remarks(study)),
        ),
        section("Accuracy against images per class", *charts),
        section("The images", tag("p", STRIPS), _embedded(sheet)) if sheet else None,
        section("Runs", table(*study_tables.runs(study))),
        remark(f"datm {__version__}"),
    )


def _embedded(sheet: Path) -> Html:
    data = base64.b64encode(sheet.read_bytes()).decode()
    return tag("img", src=f"data:image/png;base64,{data}", alt="strips", style="max-width:100%")
