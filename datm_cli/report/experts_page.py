"""The learning curves of experts as one page."""

from __future__ import annotations

from datm_cli.report.charts import Chart, Series
from datm_cli.report.markup import Html, tag
from datm_cli.report.page import facts, page, remark, section, table
from datm_cli.text.expert_report import ExpertReport
from datm_engine.formatting import plural
from datm_engine.version import __version__

KIND = "page of what experts know"


def experts_page(knowledge: ExpertReport) -> str:
    """The page: the window in words, charts and figures."""
    name = knowledge.config.dataset.name
    rows = knowledge.rows
    return page(
        KIND,
        f"experts of {name}: datm",
        tag("header", tag("h1", f"What experts of {name} know"), tag("p", knowledge.explanation)),
        section("Course", tag("div", *charts(knowledge), class_="columns charts")),
        section(
            "Epochs", table(knowledge.headings, rows, numbers=range(len(knowledge.headings) - 1))
        ),
        section("Experts", facts(knowledge.facts)),
        tag("footer", remark(f"Made by datm {__version__} from {knowledge.folder}.")),
    )


def charts(knowledge: ExpertReport) -> list[Html]:
    """Charts of accuracy, loss and length of segments, with the window."""
    curves, span = knowledge.curves, knowledge.matched
    epochs = range(curves.epochs + 1)
    known = [Series(name, epochs, of) for name, of in knowledge.accuracies.items()]
    apart = plural(curves.expert_epochs, "epoch")
    lengths = [
        Series(f"segment, {apart} from here", range(len(curves.segments)), curves.segments),
        Series("step to the next epoch", range(len(curves.step)), curves.step),
    ]
    loss = [Series("training images", epochs, curves.loss)]
    return [
        Chart("Right", known, "epoch", "% of images", y_range=(0.0, 100.0), span=span).figure(),
        Chart("Loss", loss, "epoch", "cross-entropy", span=span).figure(),
        Chart(
            "How far experts move",
            lengths,
            "epoch",
            "length",
            x_range=(0, curves.epochs),
            from_zero=True,
            span=knowledge.starts,
        ).figure(),
    ]
