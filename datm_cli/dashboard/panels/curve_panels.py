"""Panels that draw curves: experts, matching loss, accuracy, learning rate of the student."""

from __future__ import annotations

from rich.console import Group, RenderableType

from datm_cli.dashboard.panels.panel import Panel
from datm_cli.text.plots import ACCENT, DATA, GOOD, Curve
from datm_engine.formatting import number
from datm_engine.runs.state import RunState


class ExpertsPanel(Panel):
    """Training accuracy and loss by epoch. The line is the mean over experts, the range spans
    them."""

    def __init__(self) -> None:
        super().__init__(id="learning", title="experts")

    def draw(self, state: RunState) -> RenderableType:
        epochs = [event for curve in state.epochs.values() for event in curve]
        counts = f"{len(state.epochs)} begun, {len(state.trained)} done"
        self.set_title("experts", counts if epochs else "")
        curves = {
            "training accuracy %": ([event.accuracy for event in epochs], DATA),
            "training loss": ([event.loss for event in epochs], ACCENT),
        }
        return Group(
            *(
                Curve(
                    title,
                    [event.epoch for event in epochs],
                    values,
                    height=max(1, (self.size.height - 6) // 2),
                    smooth=False,
                    colour=colour,
                )
                for title, (values, colour) in curves.items()
            )
        )


class LossPanel(Panel):
    """The matching loss by iteration, smoothed, and the range of its values."""

    def __init__(self) -> None:
        super().__init__(id="loss", title="matching loss")
        self.log_scale = False

    def draw(self, state: RunState) -> Curve:
        last = state.matched[-1] if state.matched else None
        now = "" if last is None else "not finite" if last.loss is None else number(last.loss)
        self.set_title("matching loss", now, "log scale" if self.log_scale else "")
        return Curve(
            "",
            [event.iteration for event in state.matched],
            [event.loss for event in state.matched],
            height=max(1, self.size.height - 2),
            log_scale=self.log_scale,
        )


class RatePanel(Panel):
    """The student's learning rate η, which is learned."""

    def __init__(self) -> None:
        super().__init__(id="rate", title="rate η")

    def draw(self, state: RunState) -> Curve:
        last = state.matched[-1] if state.matched else None
        now = "" if last is None else "not finite" if last.syn_lr is None else number(last.syn_lr)
        self.set_title("rate η", now)
        return Curve(
            "",
            [event.iteration for event in state.matched],
            [event.syn_lr for event in state.matched],
            height=max(1, self.size.height - 2),
            smooth=False,
        )


class AccuracyPanel(Panel):
    """Accuracy of each candidate. Lines across show what real images reach on the same part of
    the data: as many, random or selected, and all of them."""

    def __init__(self) -> None:
        super().__init__(id="accuracy", title="held-out %")

    def draw(self, state: RunState) -> Curve:
        part = state.candidates[-1].part if state.candidates else "validation"
        references = state.references(part)
        title = "held-out %" if part == "validation" else "test %"
        self.set_title(title, self._summary(state, references.get("full")))
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
        gap = f"{full - best:.1f}"
        long = f"{text} · {gap} to lossless"
        return long if len(long) < self.size.width - 12 else f"{text} · gap {gap}"
