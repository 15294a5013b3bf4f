"""What the terminal can do, asked before anything is drawn on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

COLOURS = ("auto", "truecolor", "256", "16", "none")

# Terminals that show 24-bit colour whatever TERM says; tmux takes it and turns it into what the
# terminal around it can do.
_ABLE = ("TMUX", "WT_SESSION", "KITTY_WINDOW_ID", "WEZTERM_PANE", "ALACRITTY_WINDOW_ID")
_ABLE_PROGRAMS = ("iTerm.app", "WezTerm", "vscode", "ghostty", "rio")


def is_interactive(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a full screen can be drawn and typed at: all three streams are a terminal of some
    size that is not dumb, and this is not a CI job."""
    if environ.get("CI") or environ.get("TERM", "dumb") in ("", "dumb"):
        return False
    try:
        if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
            return False
        size = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # closed, replaced or no descriptor at all
        return False
    return size.columns > 0 and size.lines > 0


def set_colours(wanted: str) -> None:
    """Decide the colour depth; to be called before Textual is imported, which asks once."""
    depth = {"256": "256", "16": "standard", "truecolor": "truecolor"}.get(wanted)
    if wanted == "none":
        os.environ["NO_COLOR"] = "1"
    elif depth:
        os.environ.pop("NO_COLOR", None)
        os.environ["TEXTUAL_COLOR_SYSTEM"] = depth
    elif shows_true_colour(os.environ):
        os.environ.setdefault("TEXTUAL_COLOR_SYSTEM", "truecolor")


def shows_true_colour(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is known to show 24-bit colour, though TERM may not say so."""
    if any(environ.get(name) for name in _ABLE):
        return True
    return environ.get("TERM_PROGRAM") in _ABLE_PROGRAMS
