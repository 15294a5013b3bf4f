"""The one family of errors a person can meet: what is wrong, and the next command to type."""

from __future__ import annotations


class DatmError(Exception):
    """Something a person can put right.

    `message` says what is wrong with which path or value; `hint` is the next command to type, or
    begins with `--` and is what to change in the command that was typed (see `hints.py`).
    `change` keeps such a hint where a run has made a whole command of it.
    `exit_code` is what a command line should end with: 1 failed, 2 usage or configuration.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.change = ""


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

    def __init__(self, message: str, hint: str, errno: int | None = None) -> None:
        super().__init__(message, hint)
        self.errno = errno


class RunError(DatmError):
    """A run directory that cannot be used as asked: missing, locked, or of other settings."""


class MatchingError(DatmError):
    """A distillation that cannot go on: every recent step was refused, and why."""
