"""What experts know after each epoch, and the window, as `datm experts --inspect` prints it.

`report/experts_page.py` writes the same report as a page.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from datm_cli.text.escapes import printable
from datm_cli.text.plots import Curve, Curves, Span
from datm_cli.text.tables import fact_table, plain_table
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.formatting import number, plural
from datm_engine.settings.config import Config

UNKNOWN = "–"
# Images whose accuracy is measured, and the letter on their line.
LETTERS = {"training": "t", "held out": "o", "easy": "e", "hard": "h"}


@dataclass(frozen=True)
class ExpertReport:
    """The experts in `folder`, of which `ready` are on disk, and their learning curves."""

    config: Config
    folder: str
    ready: int
    curves: LearningCurves

    @property
    def window(self) -> tuple[int, int, int]:
        """T⁻ and T⁺ − 1, the first and the last start epoch, and T⁺ − 1 + M, the last epoch that is
        matched."""
        settings = self.config.distill
        return settings.min_start_epoch, settings.max_start_epoch - 1, self.config.epochs_needed

    @property
    def matched(self) -> Span:
        """The epochs from the first start to the last target."""
        first, _, last = self.window
        return first, last, f"window: epochs {first}–{last}"

    @property
    def starts(self) -> Span:
        """The start epochs."""
        first, last, _ = self.window
        return first, last, f"window: starts {first}–{last}"

    @property
    def accuracies(self) -> dict[str, tuple[float, ...]]:
        """Accuracies in percent, [E + 1] each, by the images they are measured on."""
        curves = self.curves
        shown = (curves.accuracy, curves.held_out, curves.easy, curves.hard)
        return {
            name: curve for name, curve in zip(LETTERS, shown, strict=True) if curve is not None
        }

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What was measured: names and values."""
        network, curves, window = self.config.network, self.curves, self.config.distill
        held_out = "" if curves.held_out is None else " and all held-out ones"
        growth = f"T {window.initial_max_start_epoch}, "
        if window.initial_max_start_epoch == window.max_start_epoch:
            growth = ""
        elif not window.expansion_iterations:
            growth = f"T {window.max_start_epoch} throughout, "
        ends = f"T⁺ {window.max_start_epoch}, M {window.expert_epochs}"
        return [
            ("dataset", self.config.dataset.name),
            ("experts", f"{curves.experts} measured, {self.ready} on disk: {self.folder}"),
            ("epochs", f"{curves.epochs}"),
            (
                "network",
                f"{network.architecture}, width {network.width}, depth {network.depth}, "
                f"{network.norm} norm",
            ),
            ("images", f"{curves.images:,} training images{held_out}, without augmentation"),
            ("easy, hard", f"a third of them each, by {curves.by} of the same experts"),
            ("window", f"T⁻ {window.min_start_epoch}, {growth}{ends} (starts are below T⁺)"),
        ]

    @property
    def explanation(self) -> str:
        """What the window means for these experts, in a few sentences."""
        curves, (first, last_start, last) = self.curves, self.window
        starts = f"epoch {first}" if first == last_start else f"epochs {first}–{last_start}"
        lengths = curves.segments[first : last_start + 1]
        target = plural(self.config.distill.expert_epochs, "epoch")
        low, high = _three_digits(min(lengths)), _three_digits(max(lengths))
        return (
            f"Segments start at {starts} and end {target} "
            f"later: the first begins where experts get {curves.accuracy[first]:.0f}% of the "
            f"training images right, the last ends, at epoch {last}, where they get "
            f"{curves.accuracy[last]:.0f}%. "
            f"Of the easy third {curves.easy[first]:.0f}% are right before and "
            f"{curves.easy[last]:.0f}% after, of the hard third "
            f"{curves.hard[first]:.0f}% and {curves.hard[last]:.0f}%. "
            f"A segment is {low if low == high else f'{low} to {high}'} long."
        )

    @property
    def headings(self) -> list[str]:
        """The headings of `rows`."""
        return ["epoch", "loss", *self.accuracies, "step", "segment", ""]

    @property
    def rows(self) -> list[list[str]]:
        """The table of some epochs, among them those where the window begins and ends."""
        first, last_start, last = self.window
        names = {first: "T⁻", last_start: "T⁺ − 1", last: "T⁺ − 1 + M"}
        if first == last_start:
            names[first] = "T⁻ = T⁺ − 1"
        curves = self.curves
        return [
            [
                f"{epoch}",
                _three_digits(curves.loss[epoch]),
                *(f"{curve[epoch]:.1f}" for curve in self.accuracies.values()),
                _value_at(curves.step, epoch),
                _value_at(curves.segments, epoch),
                names.get(epoch, ""),
            ]
            for epoch in shown_epochs(curves.epochs, names)
        ]

    def as_json(self) -> dict[str, Any]:
        """The report of `datm experts --inspect --json`."""
        keys = {
            "min_start_epoch",
            "initial_max_start_epoch",
            "max_start_epoch",
            "expansion_iterations",
            "expert_epochs",
        }
        window = self.config.distill.model_dump(include=keys)
        return {
            "folder": self.folder,
            "dataset": self.config.dataset.name,
            "network": self.config.network.model_dump(),
            "experts": self.ready,
            "epochs": self.curves.epochs,
            "window": window | {"last_epoch": self.window[-1]},
            "words": self.explanation,
            "course": asdict(self.curves),
        }

    def printed(self) -> Iterator[RenderableType]:
        """The parts of the printed report, from top to bottom."""
        yield fact_table([(name, printable(value)) for name, value in self.facts])
        yield ""
        yield Text(self.explanation)
        yield ""
        table = plain_table(
            *self.headings, right=self.headings[:-1], optional=("segment", "step", "hard", "easy")
        )
        for row in self.rows:
            table.add_row(*row, style="bold" if row[-1] else "")
        yield table
        yield ""
        curves, epochs = self.curves, range(self.curves.epochs + 1)
        legend = ", ".join(f"{LETTERS[name]} {name}" for name in self.accuracies)
        yield Curves(
            f"% right after each epoch: {legend}",
            [(LETTERS[name], epochs, curve) for name, curve in self.accuracies.items()],
            span=self.matched,
        )
        yield ""
        yield Curve(
            f"length of the segment over {plural(curves.expert_epochs, 'epoch')} from each",
            range(len(curves.segments)),
            curves.segments,
            smooth=False,
            x_range=(0, curves.epochs),
            span=self.starts,
        )


def shown_epochs(epochs: int, required: Collection[int] = ()) -> list[int]:
    """0, 1, 2, 5, 10, 20, 50 and so on up to the last of `epochs`, and the `required` ones."""
    round_epochs = {factor * 10**power for power in range(len(str(epochs))) for factor in (1, 2, 5)}
    return sorted({0, epochs, *required, *(epoch for epoch in round_epochs if epoch <= epochs)})


def _three_digits(value: float) -> str:
    # `number` writes whole numbers in full.
    return number(float(f"{value:.3g}"))


def _value_at(values: Sequence[float], epoch: int) -> str:
    return _three_digits(values[epoch]) if epoch < len(values) else UNKNOWN
