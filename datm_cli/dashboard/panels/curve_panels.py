"""Panels that draw curves: experts, matching loss, accuracy, learning rate of the student."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Group

from datm_cli.dashboard.panels.panel import Panel, panel_title
from datm_cli.text.plots import ACCENT, DATA, GOOD, Curve
from datm_engine.formatting import number
from datm_engine.runs.state import RunState


class ExpertsPanel(Panel):
    """Training accuracy and loss by epoch. The line is the mean over experts, the range spans
    them."""

    TITLE = "experts"

    def draw(self, state: RunState) -> Group:
        events = [event for curve in state.epochs.values() for event in curve]
        counts = f"{len(state.epochs)} begun, {len(state.trained)} done"
        self.border_title = panel_title(self.TITLE, counts if events else "")
        epochs = [event.epoch for event in events]
        height = max(1, (self.size.height - 6) // 2)
        accuracy, loss = [event.accuracy for event in events], [event.loss for event in events]
        return Group(
            Curve("training accuracy %", epochs, accuracy, height, smooth=False, colour=DATA),
            Curve("training loss", epochs, loss, height, smooth=False, colour=ACCENT),
        )


class MatchedPanel(Panel):
    """A number of every matched iteration (`FIELD`) as a curve, the last one after the title."""

    FIELD: ClassVar[str]
    SMOOTH = True
    log_scale = False

    def draw(self, state: RunState) -> Curve:
        values = [getattr(event, self.FIELD) for event in state.matched]
        now = ["not finite" if value is None else number(value) for value in values[-1:]]
        self.border_title = panel_title(self.TITLE, *now, "log scale" if self.log_scale else "")
        return Curve(
            "",
            [event.iteration for event in state.matched],
            values,
            height=max(1, self.size.height - 2),
            log_scale=self.log_scale,
            smooth=self.SMOOTH,
        )


class LossPanel(MatchedPanel):
    TITLE, FIELD = "matching loss", "loss"


class RatePanel(MatchedPanel):
    """The student's learning rate η, which is learned."""

    TITLE, FIELD, SMOOTH = "rate η", "syn_lr", False


class AccuracyPanel(Panel):
    """Accuracy of each candidate. Lines across show what real images reach on the same part of
    the data: as many, random or selected, and all of them."""

    TITLE = "held-out %"

    def draw(self, state: RunState) -> Curve:
        part = state.candidates[-1].part if state.candidates else "validation"
        references = state.references(part)
        title = self.TITLE if part == "validation" else "test %"
        self.border_title = panel_title(title, self._summary(state, references.get("full")))
        best = state.best_candidate
        levels = [(value, f"{name} {value:.1f}") for name, value in references.items()]
        return Curve(
            "",
            [event.iteration for event in state.candidates],
            [event.accuracy for event in state.candidates],
            height=max(1, self.size.height - 2),
            smooth=False,
            colour=GOOD,
            marks=[(best.iteration, best.accuracy)] if best else [],
            levels=levels if self.size.height > 4 else (),
            x_range=(1, state.iteration) if state.matched else None,
        )

    def _summary(self, state: RunState, full: float | None) -> str:
        """The best accuracy and how far it is below `full`, which training on all images reaches.

        After the evaluation both are of the test images.
        """
        tested = {row.set: row.accuracy_mean for row in reversed(state.results)}
        if "distilled" in tested:
            best, full, label = tested["distilled"], tested.get("full"), "test"
        elif state.best_candidate:
            best, label = state.best_candidate.accuracy, "best"
        else:
            return ""
        text = f"{label} {best:.1f}"
        if full is None:
            return text
        long = f"{text} · {full - best:.1f} to lossless"
        is_short_enough = len(long) < self.size.width - 12
        return long if is_short_enough else f"{text} · gap {full - best:.1f}"
