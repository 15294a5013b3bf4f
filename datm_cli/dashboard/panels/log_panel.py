"""The panel of the log: all lines that a run reported, to scroll through, search and filter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, RichLog

from datm_cli.dashboard.panels.panel import panel_title
from datm_cli.text.plots import ACCENT, BAD
from datm_cli.text.sentences import sentence
from datm_engine.runs import events
from datm_engine.runs.state import ADVICE, RunState

RESULTS = (events.ExpertTrained, events.CandidateScored, events.Evaluated)
# What the log is reduced to: a name, and the kinds of events.
FILTERS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("", (events.Event,)),
    ("advice only", ADVICE),
    ("results only", RESULTS),
)


class LogPanel(Vertical):
    """The lines of the log, and at its end why a run ended, if it failed (`problems`).

    It follows the log while its last line is shown, and stays where it is otherwise.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "filter", "filter the log", show=False),
    ]
    DEFAULT_CSS = """
    LogPanel RichLog { background: transparent; scrollbar-size-vertical: 1; }
    LogPanel Input { height: 1; border: none; padding: 0; background: $panel; display: none; }
    LogPanel.-searching Input { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = RunState()
        self.problems: Sequence[str] = ()
        self.wanted = ""  # what lines are searched for, in lower case
        self._filter = 0
        self._written: tuple[object, ...] = ()
        self._set_title()

    def compose(self) -> ComposeResult:
        yield RichLog(wrap=True, markup=False, highlight=False, min_width=1)
        yield Input(placeholder="search the log: enter keeps the lines, esc shows all")

    @property
    def lines(self) -> RichLog:
        return self.query_one(RichLog)

    def show(self, state: RunState) -> None:
        """Write the lines again if they changed."""
        self.state = state
        size = self.lines.scrollable_content_region.size
        if not size.area:
            return
        shown = self._shown()
        # Lines that were written are not wrapped again, so a new width writes all anew.
        key = (size.width, self.wanted, tuple(self.problems), self._filter, len(shown), shown[-1:])
        if key == self._written:
            return
        self._written = key
        is_at_end, at = self.lines.is_vertical_scroll_end, self.lines.scroll_y
        self.lines.clear()
        for event, text in shown:
            self.lines.write(self._line(event, text), width=size.width, scroll_end=False)
        for problem in self.problems:
            self.lines.write(Text(problem, style=BAD), width=size.width, scroll_end=False)
        if is_at_end:
            self.lines.scroll_end(animate=False, immediate=True)
        else:
            self.lines.scroll_to(y=at, animate=False, immediate=True)
        self._set_title(len(shown))

    def redraw(self) -> None:
        self.show(self.state)

    def on_resize(self) -> None:
        self.call_after_refresh(self.redraw)

    def _shown(self) -> list[tuple[events.Event, str]]:
        kinds = FILTERS[self._filter][1]
        sentences = [
            (event, sentence(event)) for event in self.state.log if isinstance(event, kinds)
        ]
        return [(event, text) for event, text in sentences if text and self.wanted in text.lower()]

    def _line(self, event: events.Event, text: str) -> Text:
        line = Text(text)
        if self.wanted:
            line.highlight_words([self.wanted], f"bold {ACCENT}", case_sensitive=False)
        at = time.strftime("%H:%M:%S ", time.localtime(event.time))
        return Text.assemble((at, "dim"), line)

    def _set_title(self, count: int = 0) -> None:
        remarks = [FILTERS[self._filter][0]]
        if self.wanted:
            remarks.append(f"“{self.wanted}” in {count:,}")
        title = "why it ended" if self.problems else "log"
        explanation = "/ to search, f to filter" if not self.wanted else "esc shows all"
        width = self.size.width
        self.border_title = panel_title(title, *remarks, explanation=explanation, width=width)

    # --- search and filter ---

    def search(self) -> None:
        self.add_class("-searching")
        self.query_one(Input).focus()

    @property
    def is_reduced(self) -> bool:
        return bool(self.wanted or self._filter or self.has_class("-searching"))

    def show_all(self) -> None:
        """End the search and the filter."""
        self.remove_class("-searching")
        self.query_one(Input).value = ""
        self.wanted, self._filter = "", 0
        self.lines.focus()
        self.redraw()

    def action_filter(self) -> None:
        self._filter = (self._filter + 1) % len(FILTERS)
        self.redraw()

    @on(Input.Changed)
    def _search_for(self, event: Input.Changed) -> None:
        self.wanted = event.value.strip().lower()
        self.redraw()

    @on(Input.Submitted)
    def _keep_found(self) -> None:
        self.remove_class("-searching")
        self.lines.focus()
