"""Charts of a run: accuracy of candidates, matching loss, window, learned rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from datm_cli.report.charts import Chart, Series
from datm_engine.runs.events import Matched
from datm_engine.runs.state import RunState

DECADE = 10.0  # a loss that spans so much is drawn on a log scale
AVERAGED = 40  # the smoothed line is a mean over this part of the run


def run_charts(state: RunState) -> Iterator[Chart]:
    """The charts that have values."""
    if state.candidates:
        yield candidates(state)
    if state.matched:
        yield loss(state.matched)
        yield window(state.matched)
        yield rate(state.matched)


def candidates(state: RunState) -> Chart:
    """Accuracy of the candidates, beside random real images and all of them."""
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
    known = [(event, loss) for event in matched if (loss := event.loss) is not None]
    steps, values = [event.iteration for event, _ in known], [loss for _, loss in known]
    spans_decades = bool(values) and min(values) > 0 and max(values) / min(values) >= DECADE
    if len(values) >= AVERAGED:
        width = len(values) // AVERAGED | 1  # an odd window is centred
        name = f"mean of {width} iterations" if width > 1 else "every iteration"
        mean = averaged(values, width, log=spans_decades)
        lines = [Series("", steps, values, faint=True, look=0), Series(name, steps, mean, look=0)]
    else:
        lines = [Series("every iteration", steps, values, look=0)]
    if skipped := [(event.iteration, loss) for event, loss in known if event.skip_reason]:
        x, y = zip(*skipped, strict=True)
        lines.append(Series(f"took no step ({len(skipped):,})", x, y, style="dots", look=1))
    title, y_label = "Matching loss", "normalised matching loss"
    return Chart(title, lines, "iteration", y_label, log_y=spans_decades)


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


def averaged(values: Sequence[float], width: int, *, log: bool = False) -> list[float]:
    """The moving mean over `width` values, an odd number, or over as many as there are at both
    ends. log: the geometric mean."""
    plain = np.log(values) if log else np.array(values)
    window = slice(width // 2, width // 2 + len(values))  # of the convolution, centred
    counts = np.convolve(np.ones(len(values)), np.ones(width))[window]
    means = np.convolve(plain, np.ones(width))[window] / counts
    return (np.exp(means) if log else means).tolist()
