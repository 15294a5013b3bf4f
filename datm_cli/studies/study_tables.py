"""A study's accuracies as one table: rows of text, made into Markdown or drawn in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from datm_cli.text.escapes import printable
from datm_engine.formatting import mean_and_deviation
from datm_engine.settings.presets import APPROXIMATE
from datm_engine.settings.published import Published, known_as, source
from datm_engine.studies.study_results import FULL, Study

LABELS = {  # of real images
    "random": "random images",
    FULL: "all images",
}


def header(study: Study) -> list[str]:
    networks = ["network"] if len(study.networks) > 1 else []
    return [*networks, study.kind.removesuffix("s"), *(f"ipc {ipc}" for ipc in study.ipcs)]


def rows(study: Study) -> list[list[str]]:
    """A row a network and set; accuracy in percent, with the published one in brackets."""
    found = []
    for network in study.networks:
        for name in (*study.variants, *study.selections):
            cells = [figure(study, name, ipc, network) for ipc in study.ipcs]
            first = [network] if len(study.networks) > 1 else []
            found.append([*first, label(study, name), *cells])
    return found


def label(study: Study, name: str) -> str:
    """What a set is called in a table; a window with its start epochs, where they are the same
    for every ipc."""
    if study.kind == "window" and name in study.variants:
        windows = {run.window for run in study.runs if run.variant == name}
        return f"{name} ({windows.pop()})" if len(windows) == 1 else name
    return LABELS.get(name, name)


def figure(study: Study, name: str, ipc: int, network: str) -> str:
    """ "88.9 ± 0.5 [46.9 ± 0.5]": ours and the published; "(1)" where it is of one network, "–"
    where it is not measured, "failed" where it cannot be."""
    cell = study.cell(name, ipc, network)
    if cell is None:
        return ""
    if cell.row is not None:
        told = cell.row.percent(1) + ("" if cell.row.repeats > 1 else " (1)")
    else:
        failed = [run for run in study.runs if (run.variant, run.ipc) == (name, ipc)]
        told = "failed" if any(run.status == "failed" for run in failed) else "–"
    return f"{told} [{published(cell.published)}]" if cell.published else told


def published(known: Published) -> str:
    return mean_and_deviation(known.mean, known.std, 1)


def remarks(study: Study) -> list[str]:
    """What the marks in the table mean, of those it has; how far published figures compare."""
    told = []
    if study.kind == "window":
        told.append("(a–b): the first and the last epoch that a student starts from.")
    if any(cell.row and cell.row.repeats == 1 for cell in study.cells):
        told.append("(1): of one network.")
    if any(run.status == "failed" for run in study.runs):
        told.append("failed: matching could not go on.")
    approximate = dict.fromkeys(run.variant for run in study.runs if run.gradient == "tesla")
    told += [f"{name}: {APPROXIMATE}." for name in approximate]
    if study.is_published:
        others = list(study.departures)
        if study.departs_further:
            others.append("more in some runs (study.json)")
        how = "the settings are those of the presets of these rows"
        if others:
            how = f"the settings are others: {', '.join(others)}"
        if (name := known_as(study.dataset)) != study.dataset:
            how += f"; {study.dataset} is taken for {name} by its name"
        told.append(f"[In brackets]: as published in {source()}; {how}.")
    return told


def runs(study: Study) -> tuple[list[str], list[list[str]]]:
    """The runs that it is made of: a heading, and a row each."""
    rows = [
        [run.run, run.window, f"{run.iterations:,}", f"{run.skipped:,}", run.status, run.message]
        for run in study.runs
    ]
    return ["run", "start epochs", "iterations", "without a step", "status", ""], rows


def markdown(study: Study) -> str:
    """The best variant of every ipc and network in bold."""
    return to_markdown(header(study), _emboldened(study))


def to_markdown(heading: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *body]
    return "".join(f"| {' | '.join(_escaped(cell) for cell in line)} |\n" for line in lines)


def drawn(study: Study) -> Table:
    """For a terminal: a published figure under its own."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    heading = header(study)
    for column, name in enumerate(heading):
        numeric = column >= len(heading) - len(study.ipcs)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows(study):
        table.add_row(*(Text(printable(cell).replace(" [", "\n[")) for cell in row))
    return table


def _emboldened(study: Study) -> list[list[str]]:
    body = rows(study)
    each = len(study.variants) + len(study.selections)
    offset = len(header(study)) - len(study.ipcs)
    for place, network in enumerate(study.networks):
        for column, ipc in enumerate(study.ipcs):
            means = [
                (row.accuracy_mean, number)
                for number, name in enumerate(study.variants)
                if (row := study.row(name, ipc, network))
            ]
            if means:
                line = body[place * each + max(means)[1]]
                ours, bracket, theirs = line[offset + column].partition(" [")
                line[offset + column] = f"**{ours}**{bracket}{theirs}"
    return body


def _escaped(cell: str) -> str:
    return printable(cell).replace("|", "\\|")
