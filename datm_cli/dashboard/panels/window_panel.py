"""The panel of the window of epochs: T⁻, T, T⁺, drawn start epochs, what is matched now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from datm_cli.dashboard.panels.panel import Panel
from datm_cli.text.plots import ACCENT, DATA, RAW
from datm_engine.runs.events import Matched
from datm_engine.runs.state import RunState

HISTOGRAM_ITERATIONS = 200
_EASY, _HARD = "easy patterns", "hard ones"  # under the first epochs and the last
_HEIGHTS = " ▁▂▃▄▅▆▇█"


class WindowPanel(Panel):
    TITLE = "window of epochs"
    EXPLANATION = "which epochs of the experts are matched, easy to hard"

    def draw(self, state: RunState) -> Text:
        if not state.matched:
            return Text("nothing matched yet", style="dim")
        last = state.matched[-1]
        is_tall = self.size.height >= 5
        self.set_title(
            f"matching {last.start_epoch} → {last.target_epoch} of expert {last.expert + 1}",
            f"skipped {last.skipped:,}" if last.skipped and not is_tall else "",
        )
        starts = [event.start_epoch for event in state.matched[-HISTOGRAM_ITERATIONS:]]
        drawing = draw_window(last, starts, self.size.width - 1)
        if last.skipped and is_tall:
            reason = next((e.skip_reason for e in reversed(state.matched) if e.skip_reason), None)
            skipped = f"\nskipped {last.skipped:,} of {last.iteration:,}"
            drawing.append(f"{skipped}: {reason.sentence}" if reason else skipped, style=ACCENT)
        return drawing


def draw_window(matched: Matched, starts: Sequence[int], width: int) -> Text:
    """Draw the window of an iteration as four lines of `width` columns.

    The lines are a histogram of `starts`, the epochs, a bracket under those that are matched, and
    labels. An epoch is █ where starts are drawn from (T⁻ to T), ▒ where they will be (T to T⁺),
    ░ where only targets are; what is matched has the accent colour.
    """
    lower, upper, final = matched.lower, matched.upper, matched.final_upper
    start, target = matched.start_epoch, matched.target_epoch
    # The latest target belongs to the latest start, T⁺ − 1.
    end = final + (target - start) - 1
    # Columns of the epochs' edges: widths differ by one, so that all of `width` is used.
    edges = [round(epoch * width / (end + 1)) for epoch in range(end + 2)]
    counts = Counter(min(epoch, end) for epoch in starts)
    most = max(counts.values(), default=1)
    histogram, track = Text(), Text()
    for epoch in range(end + 1):
        columns = edges[epoch + 1] - edges[epoch]
        height = -(-counts[epoch] * 8 // most)  # rounded up, so that one start is visible
        histogram.append(_HEIGHTS[height] * columns, style=RAW)
        glyph = "·"
        if epoch >= lower:
            glyph = "█" if epoch < upper else "▒" if epoch < final else "░"
        track.append(glyph * columns, style=ACCENT if start <= epoch <= target else DATA)
    first = min(edges[start], width)
    past = min(max(edges[min(target, end) + 1], first + 1), width)
    line = "─" * (past - first)
    line = "└" + line[2:] + "┘" if len(line) > 1 else "└"[: len(line)]
    bracket = Text((" " * first + line).ljust(width), style=ACCENT)
    if first > len(_EASY):
        bracket = Text.assemble((_EASY, "dim"), bracket[len(_EASY) :])
    if width - past > len(_HARD):
        bracket = Text.assemble(bracket[: width - len(_HARD)], (_HARD, "dim"))
    labels = [(edges[lower], f"T⁻ {lower}")]
    if upper < final:
        labels += [(edges[upper], f"T {upper}"), (edges[final], f"T⁺ {final}")]
    else:
        labels += [(edges[min(final, end + 1)], f"T = T⁺ {final}")]
    return Text("\n").join([histogram, track, bracket, Text(spread_labels(labels, width))])


def spread_labels(labels: Sequence[tuple[int, str]], width: int) -> str:
    """Write each label at its column, or as near as it gets without touching another.

    Labels keep their order; the last ones are left out if they do not fit into `width`.
    """
    latest: list[int] = []  # columns, from the last label to the first
    right = width
    for column, label in reversed(labels):
        latest.append(min(column, right - len(label)))
        right = latest[-1] - 1
    line = ""
    for (column, label), limit in zip(labels, reversed(latest), strict=True):
        at = max(min(column, limit), len(line) + 1 if line else 0)
        if at + len(label) > width:
            break
        line = line.ljust(at) + label
    return line
