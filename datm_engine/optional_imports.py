"""Import optional packages where they are used, with an error that says how to install them."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from datm_engine.errors import DatmError
from datm_engine.hints import command


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import a module that `pip install 'datm[EXTRA]'` installs. Raises DatmError if it is missing.
    purpose: the feature that needs it, for the message."""
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        wrong = f"{purpose} takes a package that cannot be imported: {problem}"
        raise DatmError(wrong, command("pip", "install", f"datm[{extra}]")) from None


def is_installed(module: str) -> bool:
    """Whether `require` finds the module."""
    return importlib.util.find_spec(module) is not None
