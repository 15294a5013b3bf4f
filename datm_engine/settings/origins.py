"""Where a setting comes from, and what is decided on the way to a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Tables = dict[str, Any]  # table → key → value, as in a preset


class Source(Enum):
    """What sets a value, the weakest first."""

    PRESET = "preset"
    PRESETS = "presets"  # a value between those of two presets
    RULE = "rule"  # for a dataset without a preset, before there are experts
    METHOD = "method"
    FILE = "file"
    OPTION = "option"  # of the command line, an environment variable or an argument in Python
    WINDOW = "window"
    CALIBRATION = "calibration"  # derived once the experts are trained; another value until then


@dataclass(frozen=True)
class SettingOrigin:
    """`detail`: the preset's name, the file, the option, or a rule's reason."""

    source: Source
    detail: str

    def __str__(self) -> str:
        if self.source in (Source.OPTION, Source.FILE, Source.RULE):
            return self.detail
        return f"{self.source.value} {self.detail}"


@dataclass(frozen=True)
class Note:
    """What was decided for the user, and why.

    key: the "table.key" that it is about; where the user sets that key, the note is dropped.
    """

    text: str
    key: str | None = None


@dataclass(frozen=True)
class Layer:
    """Settings that were stated together, and where."""

    tables: Mapping[str, Any]
    origin: SettingOrigin
