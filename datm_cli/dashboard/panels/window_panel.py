"""The window of epochs that is matched: T⁻, T, T⁺, where starts were drawn, what is matched now."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from datm_cli.dashboard.panels.panel import Region
from datm_cli.text.escapes import printable
from datm_cli.text.plots import ACCENT, DATA, RAW
from datm_engine.runs.state import RunState

RECENT = 200  # starts in the histogram
_HEIGHTS = " ▁▂▃▄▅▆▇█"


class Window(Region):
    def __init__(self) -> None:
        super().__init__(id="window", title="window of epochs")

    def draw(self, state: RunState) -> Text:
        if not state.matched:
            return Text("nothing matched yet", style="dim")
        last = state.matched[-1]
        span = last.target_epoch - last.start_epoch
        self.entitle(
            "window of epochs",
            f"matching {last.start_epoch} → {last.target_epoch} of expert {last.expert + 1}",
            f"skipped {last.skipped:,}" if last.skipped and self.size.height < 5 else "",
        )
        picture = bar(
            self.size.width - 1,
            lower=last.lower,
            upper=last.upper,
            final=last.final_upper,
            start=last.start_epoch,
            target=last.target_epoch,
            end=last.final_upper + span - 1,
            starts=[event.start_epoch for event in state.matched[-RECENT:]],
        )
        if last.skipped and self.size.height >= 5:
            told = f"skipped {last.skipped:,} of {last.iteration:,}"
            why = next((printable(e.refused) for e in reversed(state.matched) if e.refused), "")
            picture.append(Text(f"\n{told}: {why}" if why else f"\n{told}", style=ACCENT))
        return picture


def bar(
    width: int,
    *,
    lower: int,
    upper: int,
    final: int,
    start: int,
    target: int,
    end: int,
    starts: Sequence[int],
) -> Text:
    """Four lines of `width` columns over the epochs 0 … `end`: a histogram of `starts`; █ where
    a start may be drawn (T⁻ to T), ▒ where it will be (T to T⁺), ░ where only targets are, with
    [`start`, `target`] in the accent colour; a bracket under that span; T⁻, T and T⁺.

    An epoch is as wide as `width` allows, the last ones included.
    """
    edges = [round(epoch * width / (end + 1)) for epoch in range(end + 2)]
    counts = [0] * (end + 1)
    for epoch in starts:
        counts[min(epoch, end)] += 1
    most = max(counts, default=0) or 1
    histogram, track = Text(), Text()
    under = [" "] * width
    for epoch in range(end + 1):
        room = edges[epoch + 1] - edges[epoch]
        height = -(-counts[epoch] * 8 // most)
        histogram.append(_HEIGHTS[height] * room, style=RAW)
        glyph = "·"
        if epoch >= lower:
            glyph = "█" if epoch < upper else "▒" if epoch < final else "░"
        track.append(glyph * room, style=ACCENT if start <= epoch <= target else DATA)
    first, past = edges[start], max(edges[min(target, end) + 1], edges[start] + 1)
    for column in range(first, min(past, width)):
        under[column] = "─"
    if first < width:
        under[first] = "└"
        if min(past, width) - 1 > first:
            under[min(past, width) - 1] = "┘"
    marks = [(edges[lower], f"T⁻ {lower}")]
    if upper < final:
        marks += [(edges[upper], f"T {upper}"), (edges[final], f"T⁺ {final}")]
    else:
        marks += [(edges[min(final, end + 1)], f"T = T⁺ {final}")]
    bracket = Text("".join(under), style=ACCENT)
    return Text("\n").join([histogram, track, bracket, Text(place(marks, width))])


def place(marks: Sequence[tuple[int, str]], width: int) -> str:
    """Each label at its column or as near as it gets without touching another, in order.

    Those that do not fit in `width` are left out from the end.
    """
    ends: list[int] = []
    right = width
    for column, label in reversed(marks):  # from the right, each as far left as it must be
        column = min(column, right - len(label))
        ends.append(column)
        right = column - 1
    line = ""
    for (wanted, label), latest in zip(marks, reversed(ends), strict=True):
        column = max(min(wanted, latest), len(line) + 1 if line else 0)
        if column + len(label) > width:
            break
        line = line.ljust(column) + label
    return line
