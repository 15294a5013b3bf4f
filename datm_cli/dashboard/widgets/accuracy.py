"""Accuracy at each evaluation, between random real images and the full data."""

from __future__ import annotations

from datm_cli.dashboard.state import State
from datm_cli.dashboard.widgets.region import Region
from datm_cli.plots import GOOD, Curve


class Accuracy(Region):
    """Candidates are scored on held-out images by one network; the lines across are what random
    images of the same number and all images reach there."""

    def __init__(self) -> None:
        super().__init__(id="accuracy", title="accuracy %")

    def draw(self, state: State) -> Curve:
        part = state.candidates[-1].part if state.candidates else "validation"
        levels = []
        for name in ("random", "full"):
            value = state.reference(name, part)
            if value is not None:
                levels.append((value, f"{name} {value:.1f}"))
        best = max(state.candidates, key=lambda event: event.accuracy, default=None)
        images = "held-out images" if part == "validation" else "test images"
        self.entitle(f"accuracy %, {images}", self._told(state, part))
        return Curve(
            "",
            [event.iteration for event in state.candidates],
            [event.accuracy for event in state.candidates],
            height=max(1, self.size.height - 2),
            smooth=False,
            colour=GOOD,
            marks=[(best.iteration, best.accuracy)] if best else [],
            levels=levels,
        )

    def _told(self, state: State, part: str) -> str:
        """The best so far and what it lacks to be lossless; in the end, on the test images."""
        tested = {row.set: row for row in reversed(state.results)}
        if (final := tested.get("distilled")) is not None:
            told = f"test {final.accuracy_mean:.1f} ± {final.accuracy_std:.1f}"
            full = tested.get("full")
            return told + (
                f" · to lossless {full.accuracy_mean - final.accuracy_mean:.1f}" if full else ""
            )
        if not state.candidates:
            return ""
        best = max(event.accuracy for event in state.candidates)
        full_here = state.reference("full", part)
        gap = "" if full_here is None else f" · to lossless {full_here - best:.1f}"
        return f"best {best:.1f}{gap}"
