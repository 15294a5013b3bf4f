"""The accuracies of a study as a table, for a terminal, a page or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from datm_cli.text.escapes import printable
from datm_cli.text.tables import plain_table
from datm_engine.formatting import mean_and_deviation
from datm_engine.settings.presets import APPROXIMATE
from datm_engine.settings.published import known_as, source
from datm_engine.studies.study_results import FULL, StudyResult

LABELS = {"random": "random images", FULL: "all images"}


@dataclass(frozen=True)
class TableCell:
    """Two accuracies as text. is_best: the highest of the variants at this ipc."""

    ours: str = ""
    published: str = ""
    is_best: bool = False

    def text(self, ours: str | None = None, space: str = " ") -> str:
        """ "88.9 ± 0.5 [46.9 ± 0.5]", with the published accuracy in brackets."""
        return (ours or self.ours) + (f"{space}[{self.published}]" if self.published else "")

    @property
    def markdown(self) -> str:
        return self.text(f"**{self.ours}**" if self.is_best else None)


Row = tuple[list[str], list[TableCell]]  # names, and a cell for each ipc


def header(study: StudyResult) -> list[str]:
    networks = ["network"] if len(study.plan.networks) > 1 else []
    kind = study.plan.kind.removesuffix("s")
    return [*networks, kind, *(f"ipc {ipc}" for ipc in study.plan.ipcs)]


def rows(study: StudyResult) -> list[Row]:
    """A row for each network and set."""
    plan = study.plan
    return [
        (
            [*([network] if len(plan.networks) > 1 else []), label(study, name)],
            [_cell(study, name, ipc, network) for ipc in plan.ipcs],
        )
        for network in plan.networks
        for name in (*plan.variants, *plan.selections)
    ]


def label(study: StudyResult, name: str) -> str:
    """The name of a set, with the start epochs of a window if they are the same at every ipc."""
    if study.plan.kind == "window" and name in study.plan.variants:
        windows = {run.window for run in study.runs if run.variant == name}
        return f"{name} ({windows.pop()})" if len(windows) == 1 else name
    return LABELS.get(name, name)


def _cell(study: StudyResult, name: str, ipc: int, network: str) -> TableCell:
    """ "(1)": a row of one network. "–": not measured yet. "failed": it cannot be."""
    cell = study.cell(name, ipc, network)
    if cell is None:
        return TableCell()
    if cell.row is not None:
        ours = cell.row.percent(1) + ("" if cell.row.repeats > 1 else " (1)")
    else:
        run = study.run(name, ipc)
        ours = "failed" if run and run.status == "failed" else "–"
    published = cell.published and mean_and_deviation(cell.published.mean, cell.published.std, 1)
    # Selections of real images are never bold.
    means = {n: row.accuracy_mean for n, row in study.variant_rows(ipc, network).items()}
    is_best = name in means and means[name] == max(means.values())
    return TableCell(ours, published or "", is_best)


def remarks(study: StudyResult) -> list[str]:
    """What the marks in the table mean, and how far the published accuracies compare."""
    texts = []
    if study.plan.kind == "window":
        texts.append("(a–b): the first and the last epoch that a student starts from.")
    if any(cell.row and cell.row.repeats == 1 for cell in study.cells):
        texts.append("(1): of one network.")
    if any(run.status == "failed" for run in study.runs):
        texts.append("failed: matching could not continue.")
    approximate = dict.fromkeys(run.variant for run in study.runs if run.gradient == "tesla")
    texts += [f"{name}: {APPROXIMATE}." for name in approximate]
    if study.is_published:
        departures, is_more_in_some = study.departures()
        if is_more_in_some:
            departures.append("more in some runs (study.json)")
        how = "the settings are those of the presets of these rows"
        if departures:
            how = f"the settings are others: {', '.join(departures)}"
        dataset = study.plan.dataset
        if (name := known_as(dataset)) != dataset:
            how += f"; {dataset} is taken for {name} by its name"
        texts.append(f"[In brackets]: as published in {source()}; {how}.")
    return texts


def run_rows(study: StudyResult) -> tuple[list[str], list[list[str]]]:
    """The study's runs: headings, and a row for each."""
    rows = [
        [run.run, run.window, f"{run.iterations:,}", f"{run.skipped:,}", run.status, run.message]
        for run in study.runs
    ]
    return ["run", "start epochs", "iterations", "without a step", "status", ""], rows


def markdown(study: StudyResult) -> str:
    """The best variant at each ipc is bold."""
    body = [[*names, *(cell.markdown for cell in cells)] for names, cells in rows(study)]
    return markdown_table(header(study), body)


def markdown_table(headings: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *body]
    escaped = ([printable(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def terminal_table(study: StudyResult) -> Table:
    """A published accuracy stands below ours."""
    headings = header(study)
    table = plain_table(
        *headings,
        right=headings[-len(study.plan.ipcs) :],
        optional=headings[: -len(study.plan.ipcs) : -1],
    )
    for names, cells in rows(study):
        table.add_row(*map(printable, names), *(cell.text(space="\n") for cell in cells))
    return table
