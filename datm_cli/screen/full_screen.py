"""The base class of datm's full screens: keys, themes, help, saving the screen, signals.

A screen leaves the terminal as it was, whatever ends it. It is redrawn after ctrl+z and `fg`. With
NO_COLOR it uses the terminal's own two colours.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Group
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult, SystemCommand
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

GRACE_SECONDS = 3.0  # for an orderly exit after a signal


class EscapeFilter(LineFilter):
    """Escape control characters in every line that is drawn, without changing its width.

    This is the last of two guards. Names and messages are escaped where they enter a screen, so
    that they are measured and wrapped as they are shown.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(control or text.isprintable() for text, _, control in segments):
            return segments
        escaped = [
            segment if segment.control else Segment(printable(segment.text), segment.style)
            for segment in segments
        ]
        return Segment.adjust_line_length(escaped, Segment.get_line_length(segments))


class FullScreenApp(App[int]):
    """An app whose result is an exit code. `?` lists the bindings that have a description."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "leave"),
        Binding("ctrl+c,ctrl+q", "leave", show=False, priority=True),
        Binding("question_mark", "keys", "help", key_display="?"),
        Binding("s", "save('png')", "save", show=False),
        Binding("S", "save('svg')", "save as SVG", show=False),
        Binding("t", "dark_or_light", "dark or light", show=False),
        Binding("T", "change_theme", "choose a theme", show=False),
        Binding("ctrl+z", "suspend_process", "suspend", show=False, priority=True),
        Binding("ctrl+p", "command_palette", "commands", show=False, priority=True),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012
    GLOSSARY: ClassVar[dict[str, str]] = {}  # what the words on the screen mean, for `?`
    DEFAULT_CSS = "ToastRack { dock: top; align: right top; margin: 1 0 0 0; }"

    def __init__(self) -> None:
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.console.no_color = self.no_color  # pictures and plots ask the console
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name

    @property
    def file_name_parts(self) -> list[str]:
        """What the screen shows, in words that make up the name of a saved file."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(repaint=True, layout=True))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            try:
                loop.add_signal_handler(number, self._exit_by_signal, number)
            except (RuntimeError, ValueError):  # tests run apps outside the main thread
                return

    def _exit_by_signal(self, number: int) -> None:
        # If the terminal is gone, writing to it may block for ever.
        timer = threading.Timer(GRACE_SECONDS, os._exit, (128 + number,))
        timer.daemon = True
        timer.start()
        self.exit(128 + number, return_code=128 + number)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [EscapeFilter(), *super().get_line_filters()]

    def notify_error(self, error: DatmError) -> None:
        self.notify(printable(error.message), severity="error", markup=False)

    def go_back(self) -> bool:
        """Leave a view of the screen. Returns whether there is one to leave."""
        return False

    def action_leave(self) -> None:
        """Close the top layer: a dialog, else a view, else the screen."""
        if len(self.screen_stack) > 1:
            self.screen.dismiss(None)
        elif not self.go_back():
            self.exit(0)

    def action_save(self, kind: str) -> None:
        """Save the screen in the current folder, as a new .png or .svg file."""
        from datm_cli.screen.screenshot import capture, image_files

        def save() -> None:
            path = image_files.free_path(Path(), self.file_name_parts, kind)
            try:
                image_files.save(capture(self), path)
            except DatmError as error:
                self.notify_error(error)
            else:
                self.notify(f"saved {path}", markup=False)

        self.clear_notifications()  # an earlier "saved …" is no part of the screen
        self.call_after_refresh(save)

    def action_dark_or_light(self) -> None:
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    def action_keys(self) -> None:
        focused = self.screen.focused
        nodes = focused.ancestors_with_self if focused else [self]
        bindings = [binding for node in nodes for binding in _described_bindings(type(node))]
        keys = {b.description: b.key_display or b.key for b in bindings}
        self.push_screen(KeyHelp(keys, self.GLOSSARY))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette lists what the keys do."""
        for binding in _described_bindings(type(self)):
            if binding.action != "command_palette":
                key = binding.key_display or binding.key
                run = partial(self.run_action, binding.action)
                title = binding.description[0].upper() + binding.description[1:]
                yield SystemCommand(title, f"key {key}", run)


def _described_bindings(kind: type) -> Iterator[Binding]:
    """Bindings with a description, of datm's own classes."""
    for cls in kind.__mro__:
        if cls.__module__.startswith("datm_cli."):
            for binding in cls.__dict__.get("BINDINGS", ()):
                if isinstance(binding, Binding) and binding.description:
                    yield binding


def heading(left: Text, facts: Sequence[str], width: int, *, separator: str) -> Text:
    """A line of `width` columns with facts at its right, the most important last.

    The first facts are dropped if there is little room.
    """
    for first in range(len(facts) + 1):
        right = Text(separator.join(facts[first:]), style="dim")
        if left.cell_len + 2 + right.cell_len <= width:
            break
    left.truncate(width, overflow="ellipsis")
    gap = " " * (width - left.cell_len - right.cell_len)
    return Text.assemble(left, gap, right, no_wrap=True)


class KeyHelp(ModalScreen[None]):
    """A list of keys, {description: key}, and of words with their meanings."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,space,q,ctrl+c", "dismiss", "close", priority=True)
    ]
    DEFAULT_CSS = """
    KeyHelp { align: center middle; }
    KeyHelp > VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 90%; padding: 1 2;
        background: $panel; border: round $accent; border-title-color: $accent;
        border-subtitle-color: $text-muted;
    }
    """

    def __init__(self, keys: Mapping[str, str], glossary: Mapping[str, str]) -> None:
        super().__init__()
        self.keys, self.glossary = keys, glossary

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "keys" + (" and words" if self.glossary else "")
            box.border_subtitle = "↑ ↓ scroll   esc closes"
            width = max(map(len, self.keys.values()), default=0)
            lines = (f"{key:>{width}}  {description}" for description, key in self.keys.items())
            yield Static("\n".join(lines), markup=False)
            if self.glossary:
                words = Table.grid(padding=(0, 2))
                for word, meaning in self.glossary.items():
                    words.add_row(Text(word, "bold", no_wrap=True), meaning)
                yield Static(Group("", words))
