"""Charts of a run: accuracy of candidates, matching loss, window, learned rate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from datm_cli.report.charts import Chart, Series
from datm_cli.report.markup import Html
from datm_cli.report.page import remark
from datm_cli.run_summary import RunSummary
from datm_engine.formatting import plural
from datm_engine.runs.events import Matched

DECADE = 10.0  # a loss that spans so much is drawn on a log scale
AVERAGED = 40  # the smoothed line is a mean over this part of the run


def charts(course: RunSummary) -> Iterator[Html]:
    """The charts that have values."""
    state = course.state
    if state.candidates:
        yield candidates(course).figure()
    if state.matched:
        yield loss(state.matched).figure()
        yield window(state.matched).figure()
        yield rate(state.matched).figure()


def candidates(course: RunSummary) -> Chart:
    """Accuracy of the candidates, beside random real images and all of them."""
    state = course.state
    part = state.candidates[-1].part
    levels = [(name, state.references(part).get(name)) for name in ("random", "full")]
    best = max(state.candidates, key=lambda event: event.accuracy)
    last = max([best.iteration, *(event.iteration for event in state.matched)])
    return Chart(
        "Accuracy of candidates",
        [
            Series(
                "candidates",
                [event.iteration for event in state.candidates],
                [event.accuracy for event in state.candidates],
                marked=True,
            ),
            Series(f"best: {best.accuracy:.1f}%", [best.iteration], [best.accuracy], style="marks"),
        ],
        "iteration",
        "% of held-out training images" if part == "validation" else "% of test images",
        levels=[(value, f"{name} {value:.1f}") for name, value in levels if value is not None],
        x_range=(0, last),
    )


def loss(matched: Sequence[Matched]) -> Chart:
    """Every iteration, their moving mean, and those that took no step."""
    steps = [event.iteration for event in matched if _is_known(event.loss)]
    values = [float(event.loss or 0) for event in matched if _is_known(event.loss)]
    spans_decades = bool(values) and min(values) > 0 and max(values) / min(values) >= DECADE
    skipped = [event for event in matched if event.skip_reason and _is_known(event.loss)]
    lines = [Series("", steps, values, faint=True, look=0)]
    if len(values) >= AVERAGED:
        width = len(values) // AVERAGED | 1
        mean = f"mean of {width} iterations" if width > 1 else "every iteration"
        lines.append(Series(mean, steps, averaged(values, width, log=spans_decades), look=0))
    else:
        lines = [Series("every iteration", steps, values, look=0)]
    if skipped:
        lines.append(
            Series(
                f"took no step ({len(skipped):,})",
                [event.iteration for event in skipped],
                [event.loss for event in skipped],
                style="dots",
                look=1,
            )
        )
    title = "Matching loss"
    return Chart(title, lines, "iteration", "normalised matching loss", log_y=spans_decades)


def window(matched: Sequence[Matched]) -> Chart:
    """T⁻, T and T⁺, and the start epochs that were drawn from T⁻ (inclusive) to T (exclusive)."""
    steps = [event.iteration for event in matched]
    return Chart(
        "Window of start epochs",
        [
            Series("T⁻", steps, [event.lower for event in matched], style="step", look=2),
            Series("T", steps, [event.upper for event in matched], style="step", look=0),
            Series("T⁺", steps, [event.final_upper for event in matched], style="step", look=1),
            Series("drawn", steps, [e.start_epoch for e in matched], style="dots", look=3),
        ],
        "iteration",
        "expert epoch",
    )


def rate(matched: Sequence[Matched]) -> Chart:
    steps, rates = [e.iteration for e in matched], [e.syn_lr for e in matched]
    return Chart("Learned rate η", [Series("η", steps, rates)], "iteration", "learning rate")


def skipped(matched: Sequence[Matched]) -> Html | None:
    """How many iterations took no step, and why."""
    counts = Counter(event.skip_reason for event in matched if event.skip_reason)
    if not counts:
        return None
    reasons = "; ".join(
        f"{reason.sentence} ({plural(count, 'time')})" for reason, count in counts.items()
    )
    return remark(
        f"{counts.total():,} of {plural(len(matched), 'iteration')} took no step: ", reasons
    )


def averaged(values: Sequence[float], width: int, *, log: bool = False) -> list[float]:
    """The moving mean over `width` values, an odd number, or over as many as there are at both
    ends; of their logarithms where the scale is one."""
    plain = [math.log(value) for value in values] if log else values
    sums = [0.0, *accumulate(plain)]
    means = []
    for i in range(len(values)):
        first, last = max(0, i - width // 2), min(len(values), i + width // 2 + 1)
        means.append((sums[last] - sums[first]) / (last - first))
    return [math.exp(mean) for mean in means] if log else means


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
