"""What experts know as a page, and its charts, which are in the report of a run too."""

from __future__ import annotations

from datm_cli.report.charts import Chart, Series
from datm_cli.report.page import render
from datm_cli.text.expert_report import ExpertReport
from datm_engine.formatting import plural

KIND = "page of what experts know"


def experts_page(report: ExpertReport) -> str:
    return render(
        "experts.html.jinja",
        kind=KIND,
        title=f"experts of {report.config.dataset.name}: datm",
        report=report,
        charts=expert_charts(report),
    )


def expert_charts(report: ExpertReport) -> list[Chart]:
    """Charts of accuracy, loss and length of segments, with the window."""
    curves, window = report.curves, report.matched
    epochs = range(curves.epochs + 1)
    accuracies = [Series(name, epochs, curve) for name, curve in report.accuracies.items()]
    apart = plural(curves.expert_epochs, "epoch")
    lengths = [
        Series(f"segment, {apart} from here", range(len(curves.segments)), curves.segments),
        Series("step to the next epoch", range(len(curves.step)), curves.step),
    ]
    loss = [Series("training images", epochs, curves.loss)]
    return [
        Chart("Right", accuracies, "epoch", "% of images", y_range=(0.0, 100.0), span=window),
        Chart("Loss", loss, "epoch", "cross-entropy", span=window),
        Chart(
            "How far experts move",
            lengths,
            "epoch",
            "length",
            x_range=(0, curves.epochs),
            from_zero=True,
            span=report.starts,
        ),
    ]
