"""Accuracy at each evaluation, beside real images and below the full data."""

from __future__ import annotations

from datm_cli.dashboard.panels.panel import Region
from datm_cli.text.escapes import printable
from datm_cli.text.plots import GOOD, Curve
from datm_engine.runs.state import RunState


class Accuracy(Region):
    """Candidates are scored on held-out images by one network; the lines across are what real
    images of the same number, random or chosen, and all of them reach there."""

    def __init__(self) -> None:
        super().__init__(id="accuracy", title="held-out %")

    def draw(self, state: RunState) -> Curve:
        part = state.candidates[-1].part if state.candidates else "validation"
        levels = [
            (value, printable(f"{name} {value:.1f}"))
            for name, value in state.references(part).items()
        ]
        best = max(state.candidates, key=lambda event: event.accuracy, default=None)
        self.entitle("held-out %" if part == "validation" else "test %", self._told(state, part))
        return Curve(
            "",
            [event.iteration for event in state.candidates],
            [event.accuracy for event in state.candidates],
            height=max(1, self.size.height - 2),
            smooth=False,
            colour=GOOD,
            marks=[(best.iteration, best.accuracy)] if best else [],
            levels=levels if self.size.height > 4 else (),
            x_range=(1, state.matched[-1].iteration) if state.matched else None,
        )

    def _told(self, state: RunState, part: str) -> str:
        """The best so far and what it lacks to be lossless; in the end, on the test images."""
        tested = {row.set: row.accuracy_mean for row in reversed(state.results)}
        final = next((row for row in state.results if row.set == "distilled"), None)
        if final is not None:
            best, full = final.accuracy_mean, tested.get("full")
            told = f"test {best:.1f}"
        elif state.candidates:
            best, full = (
                max(e.accuracy for e in state.candidates),
                state.references(part).get("full"),
            )
            told = f"best {best:.1f}"
        else:
            return ""
        if full is None:
            return told
        gap = f"{full - best:.1f}"
        at_length = f"{told} · {gap} to lossless"
        return at_length if len(at_length) < self.size.width - 12 else f"{told} · gap {gap}"
