"""The one family of errors that a person can correct: what is wrong, and what fixes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """A setting that fixes an error.

    `key` is the name in a preset ("distill.syn_lr") or, without a dot, the name of an argument
    ("device"). With `value` None the setting is to be left out.
    """

    key: str
    value: object = None


# A setting to change, or a command to type. An empty command repeats the one that failed.
Fix = Setting | str


class DatmError(Exception):
    """An error that a person can correct.

    `message` says what is wrong with which path or value. `fix` is what to change or to type next.
    `command` is the whole command that applies `fix`, where a run has recorded one; the command
    line makes it from the words that were typed otherwise. `exit_code` is what a command line
    ends with: 1 failed, 2 usage or configuration.
    """

    exit_code = 1

    def __init__(self, message: str, fix: Fix) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.command = ""


class Stopped(Exception):
    """A stop was requested. Raised at the end of an epoch or an iteration, on all ranks."""


class ConfigError(DatmError):
    """A setting, flag or preset that cannot be used."""

    exit_code = 2


class DataError(DatmError):
    """A dataset that is missing, incomplete or unreadable."""


class FileError(DatmError):
    """A file of datm's own (experts, checkpoint, distilled set) that cannot be read or written.

    `errno` is the system's number of the problem, where it has one.
    """

    def __init__(self, message: str, fix: Fix, errno: int | None = None) -> None:
        super().__init__(message, fix)
        self.errno = errno


class RunError(DatmError):
    """A run directory that cannot be used: missing, locked, or of other settings."""


class MatchingError(DatmError):
    """A distillation that cannot continue: every recent step was skipped."""
