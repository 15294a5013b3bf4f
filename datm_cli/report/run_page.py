"""The report of a run: accuracy, images, soft labels, charts, cost, configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datm_cli.report import run_charts, sections
from datm_cli.report.markup import html, tag
from datm_cli.report.page import page, remark, section
from datm_cli.report.set_images import before_and_after, soft_labels
from datm_engine.version import __version__

if TYPE_CHECKING:
    from datm_cli.run_summary import RunSummary
    from datm_cli.target import TargetSet


KIND = "report of a run"


def report(course: RunSummary, subject: TargetSet | None) -> str:
    """The page. No `subject`: the run has no images yet."""
    if subject is None:
        images, labels = remark("There are no images yet."), None
    else:
        images, labels = before_and_after(subject), soft_labels(subject.synthetic)
    charts = list(run_charts.charts(course))
    skipped = run_charts.skipped(course.state.matched)
    return page(
        KIND,
        f"{course.run.name}: datm report",
        sections.heading(course),
        section(
            "Test accuracy",
            sections.results(course) or remark("Nothing is tested yet."),
        ),
        section("Images", images),
        section("Soft labels", labels),
        section(
            "Course",
            html(tag("div", *charts, class_="columns charts"), skipped)
            if charts
            else remark("Nothing has been matched yet."),
        ),
        section("Experts and window", sections.experts(course)),
        section("Cost", sections.cost(course)),
        section("Configuration", sections.configuration(course)),
        section("Environment", sections.environment(course)),
        tag("footer", remark(f"Made by datm {__version__} from run {course.run.name}.")),
    )
