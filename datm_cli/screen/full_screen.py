"""What every full screen of datm shares: leaving it, its colours, its help, its manners.

A screen leaves the terminal as it found it, whatever ends it; comes back whole after ctrl+z; and
draws in luminance where there is to be no colour.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.segment import Segment
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.containers import VerticalScroll
from textual.filter import LineFilter
from textual.screen import ModalScreen, Screen
from textual.theme import Theme
from textual.widgets import Static

from datm_cli.text.escapes import printable
from datm_cli.text.plots import ACCENT, BAD, DATA, GOOD, RAW
from datm_engine.errors import DatmError

DARK = Theme(
    name="datm-dark",
    primary=DATA,
    secondary=RAW,
    accent=ACCENT,
    success=GOOD,
    warning=ACCENT,
    error=BAD,
    foreground="#d8dee9",
    background="#101418",
    surface="#161b21",
    panel="#1e252d",
    dark=True,
    variables={"border": "#5b6a7a", "footer-key-foreground": ACCENT},
)
LIGHT = Theme(
    name="datm-light",
    primary=RAW,
    secondary=RAW,
    accent="#a86500",
    success="#007a59",
    warning="#a86500",
    error=BAD,
    foreground="#20262d",
    background="#fbfbf8",
    surface="#f3f3ee",
    panel="#e8e8e1",
    dark=False,
    variables={"border": "#8a949e", "footer-key-foreground": "#a86500"},
)

GRACE_SECONDS = 3.0  # for leaving in good order once asked to by a signal


class Printable(LineFilter):
    """Escapes control characters in what widgets draw; a line stays as wide as it was."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(control or text.isprintable() for text, _, control in segments):
            return segments
        shown = [
            segment if segment.control else Segment(printable(segment.text), segment.style)
            for segment in segments
        ]
        return Segment.adjust_line_length(shown, Segment.get_line_length(segments))


class FullScreen(App[int]):
    """An app whose result is an exit code.

    Subclasses add bindings; those with a description are what `?` lists.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c,ctrl+q", "leave", "leave", priority=True, key_display="q"),
        Binding("question_mark", "keys", "keys", key_display="?"),
        Binding("s", "save('png')", "save"),
        Binding("S", "save('svg')", "save as SVG", show=False),
        Binding("t", "dark_or_light", "dark or light", show=False),
        Binding("ctrl+z", "suspend_process", "suspend", show=False, priority=True),
        Binding("ctrl+p", "command_palette", "commands", show=False, priority=True),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012
    DEFAULT_CSS = "ToastRack { dock: top; align: right top; margin: 1 0 0 0; }"
    ENABLE_COMMAND_PALETTE = True

    def __init__(self) -> None:
        # Without colour the terminal's own two are used, dark on light or light on dark.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.console.no_color = self.no_color  # what draws itself asks the console
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = DARK.name

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, self._drawn_anew)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            try:
                loop.add_signal_handler(number, self._end, number)
            except (RuntimeError, ValueError):  # not the main thread: a test's, which sends none
                return

    def _end(self, number: int) -> None:
        """Leave in good order; but where the terminal is gone, writing to it may never end."""
        last_resort = threading.Timer(GRACE_SECONDS, os._exit, (128 + number,))
        last_resort.daemon = True
        last_resort.start()
        self.exit(128 + number, return_code=128 + number)

    def _drawn_anew(self, app: App[Any]) -> None:
        self.refresh(repaint=True, layout=True)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's, after the one that every line passes."""
        return [Printable(), *super().get_line_filters()]

    def action_leave(self) -> None:
        self.exit(0)

    @property
    def called(self) -> list[str]:
        """What is on the screen, in the words that name a file of it."""
        raise NotImplementedError

    def action_save(self, kind: str) -> None:
        """Write the screen as it is where datm was called, under a name that is free."""
        from datm_cli.screen.screenshot import capture, save
        from datm_cli.screen.screenshot.naming import free_path

        def save_it() -> None:
            path = free_path(Path(), self.called, kind)
            try:
                save(capture(self), path)
            except DatmError as problem:
                self.notify(printable(problem.message), severity="error", markup=False)
            else:
                self.notify(printable(f"saved {path}"), markup=False)

        self.clear_notifications()  # what was saved before is not part of the view
        self.call_after_refresh(save_it)

    def action_dark_or_light(self) -> None:
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    def action_keys(self) -> None:
        """Every key of datm's own, of what has the focus and of the app, a line each."""
        focused = self.screen.focused
        nodes = focused.ancestors_with_self if focused else [self]
        told = [b for node in nodes for b in _own_bindings(type(node))]
        lines = {b.description: b.key_display or b.key for b in told}
        self.push_screen(Keys(lines))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette: what the keys do, in words that can be searched."""
        for binding in _own_bindings(type(self)):
            if binding.action != "command_palette":
                key = binding.key_display or binding.key
                act = partial(self.run_action, binding.action)
                title = binding.description[0].upper() + binding.description[1:]
                yield SystemCommand(title, f"key {key}", act)


def _own_bindings(kind: type) -> Iterator[Binding]:
    """Those of datm's own classes that say what they do."""
    for cls in kind.__mro__:
        if cls.__module__.startswith("datm_cli."):
            for binding in cls.__dict__.get("BINDINGS", ()):
                if isinstance(binding, Binding) and binding.description:
                    yield binding


class Keys(ModalScreen[None]):
    """What each key does; any of the usual ones closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,space,q,ctrl+c", "dismiss", "close", priority=True)
    ]
    DEFAULT_CSS = """
    Keys { align: center middle; }
    Keys > VerticalScroll {
        width: 56; height: auto; max-height: 90%; padding: 1 2;
        background: $panel; border: round $accent; border-title-color: $accent;
    }
    """

    def __init__(self, lines: dict[str, str]) -> None:
        super().__init__()
        self.lines = lines

    def compose(self) -> Any:
        with VerticalScroll() as box:
            box.border_title = "keys"
            width = max(map(len, self.lines.values()), default=0)
            text = "\n".join(f"{key:>{width}}  {what}" for what, key in self.lines.items())
            yield Static(text, markup=False)
