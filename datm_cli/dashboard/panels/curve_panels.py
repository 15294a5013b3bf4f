"""Panels of what changes with iterations: experts, matching loss, scores, rate of the student."""

from __future__ import annotations

import statistics

from rich.console import Group
from rich.text import Text

from datm_cli.dashboard.panels.panel import Panel, panel_title
from datm_cli.text.plots import ACCENT, DATA, GOOD, Curve, sparkline
from datm_engine.formatting import distinct_numbers, number
from datm_engine.runs.state import RunState


class ExpertsPanel(Panel):
    """Training accuracy and loss by epoch. The line is the mean over experts, the range spans
    them."""

    TITLE = "experts"
    EXPLANATION = "networks trained on the real images, which the student follows"

    def draw(self, state: RunState) -> Group:
        events = [event for curve in state.epochs.values() for event in curve]
        counts = f"{len(state.epochs)} begun, {len(state.trained)} done"
        self.set_title(counts if events else "")
        epochs = [event.epoch for event in events]
        height = max(1, (self.size.height - 6) // 2)
        accuracy, loss = [event.accuracy for event in events], [event.loss for event in events]
        return Group(
            Curve(
                "training accuracy %",
                epochs,
                accuracy,
                height,
                smooth=False,
                colour=DATA,
                unit="epochs",
            ),
            Curve(
                "training loss", epochs, loss, height, smooth=False, colour=ACCENT, unit="epochs"
            ),
        )


class LossPanel(Panel):
    """The matching loss of every iteration, the last one after the title."""

    TITLE = "matching loss"
    EXPLANATION = "distance to the expert; 1: no better than the start"
    log_scale = False

    def draw(self, state: RunState) -> Curve:
        values = [event.loss for event in state.matched]
        now = ["not finite" if value is None else number(value) for value in values[-1:]]
        self.set_title(*now, "log scale" if self.log_scale else "")
        return Curve(
            "",
            [event.iteration for event in state.matched],
            values,
            height=max(1, self.size.height - 2),
            log_scale=self.log_scale,
            unit="iterations",
            legend=("mean", "each"),
        )


class RatePanel(Panel):
    """The student's learning rate η, which is learned, as a line of bars."""

    TITLE = "rate η"
    EXPLANATION = "the student's learning rate, learned with the images"

    def draw(self, state: RunState) -> Text:
        self.set_title()
        values = [event.syn_lr for event in state.matched if event.syn_lr is not None]
        if not values:
            return Text("no values yet", style="dim")
        low, high = distinct_numbers(min(values), max(values))
        text = f"{number(values[-1])} "
        span = f" {low} to {high}" if self.size.width > 40 else ""
        width = self.size.width - len(text) - len(span) - 1
        return Text.assemble(
            (text, "bold"), (sparkline(values, max(1, width)), DATA), (span, "dim")
        )


class CandidatesPanel(Panel):
    """Accuracy of each scored iteration. Lines across show what real images reach on the same part
    of the data: as many, random or selected, and all of them."""

    TITLE = "held-out %"
    EXPLANATION = "by iteration, ◆ the best"

    def draw(self, state: RunState) -> Curve:
        part = state.candidates[-1].part if state.candidates else "validation"
        best = state.best_candidate
        title = self.TITLE if part == "validation" else "test %"
        self.border_title = panel_title(
            title,
            f"best {best.accuracy:.1f}" if best else "",
            explanation=self.EXPLANATION,
            width=self.size.width,
        )
        references = state.references(part)
        accuracies = state.expert_accuracies
        if part == "validation" and "full" not in references and accuracies:
            references["experts"] = statistics.fmean(accuracies)
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
            unit="iterations",
        )
