"""The panel of accuracy, which is always shown: random real images, distilled ones, all images."""

from __future__ import annotations

from collections.abc import Collection

from rich.text import Text

from datm_cli.dashboard.panels.panel import Panel
from datm_cli.dashboard.verdict import Accuracy, Verdict, verdict
from datm_cli.text.plots import ACCENT, DATA, GOOD
from datm_engine.runs.state import RunState

NAMES = {"random": "random real", "distilled": "distilled", "full": "all images"}
COLOURS = {"random": ACCENT, "distilled": GOOD, "full": DATA}
_NAME_WIDTH = 12  # columns
_WIDE = 70


class AccuracyPanel(Panel):
    """Three bars on one scale from 0 to 100%. against: the selections of real images that the run
    compares with. The app keeps `is_active` up to date.

    A fourth line has other selections of real images.
    """

    TITLE = "accuracy"
    EXPLANATION = "how far between random and all images"
    is_active = False
    calibrates = False  # whether settings are derived, for which random images are measured

    def __init__(self, against: Collection[str]) -> None:
        super().__init__()
        self.against = against

    def draw(self, state: RunState) -> Text:
        known = verdict(state)
        self.set_title(f"on {known.images}, %")
        texts = {name: self._text(known, name, state) for name in NAMES}
        longest = max(len(text) for text in texts.values())
        width = max(4, self.size.width - _NAME_WIDTH - longest - 3)
        lines = [self._line(known, name, texts[name], width) for name in NAMES]
        if known.others:
            others = [f"{name} {each.percent:.1f}" for name, each in known.others.items()]
            lines.append(Text(" · ".join(others), style="dim"))
        return Text("\n").join(lines[: self.size.height])

    def _line(self, known: Verdict, name: str, text: str, width: int) -> Text:
        accuracy: Accuracy | None = getattr(known, name)
        line = Text(f"{NAMES[name]:<{_NAME_WIDTH}}", no_wrap=True, overflow="ellipsis")
        if accuracy is None:
            return line.append(text, style="dim")
        filled = half_bar(accuracy.percent / 100, width)
        line.append(filled, style=COLOURS[name])
        if name == "distilled" and known.full is not None:  # dots up to the bar of all images
            missing = round(known.full.percent / 100 * width) - len(filled)
            line.append("┄" * max(0, missing), style="dim")
        percent = accuracy.text
        return line.append(f" {percent}", style="bold").append(text[len(percent) :])

    def _text(self, known: Verdict, name: str, state: RunState) -> str:
        """What follows the bar, or stands there alone as long as there is none."""
        accuracy: Accuracy | None = getattr(known, name)
        if accuracy is None:
            return self._why_missing(known, name, state)
        has_room = name == "full" or self.size.width >= _WIDE
        remarks = [accuracy.note] if accuracy.note and has_room else []
        if name == "distilled" and known.gap is not None:
            remarks.append(f"gap to lossless {known.gap:.1f}")
        return "  ".join([accuracy.text, " · ".join(remarks)]).rstrip()

    def _why_missing(self, known: Verdict, name: str, state: RunState) -> str:
        if name != "distilled" and self.against and name not in self.against:
            return "not compared with (evaluate.against)"
        if not self.is_active:
            return "not measured"
        if name == "distilled":
            return "from the first scored iteration on"
        if known.part == "test" or state.stage == "evaluate":
            return "measured next"
        if name == "full" and known.part == "validation" and state.stage in ("dataset", "experts"):
            return "from the first trained expert on"
        if name == "random" and self.calibrates and not state.matched:
            return "measured before distilling"
        return "measured after distilling"


def half_bar(share: float, width: int) -> str:
    """A line that fills `share` of `width` columns, to half a column."""
    halves = round(min(1.0, max(0.0, share)) * 2 * width)
    return "━" * (halves // 2) + "╸" * (halves % 2)
