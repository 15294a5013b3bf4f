"""Packages that few need: imported where they are used, and told of in two lines if missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from datm_engine.errors import DatmError
from datm_engine.hints import command


def require(module: str, *, extra: str, purpose: str) -> Any:
    """The module, which `pip install 'datm[EXTRA]'` brings. Raises DatmError without it;
    `purpose` begins the message: what cannot be done."""
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        wrong = f"{purpose} takes a package that cannot be imported: {problem}"
        raise DatmError(wrong, command("pip", "install", f"datm[{extra}]")) from None


def is_installed(module: str) -> bool:
    """Whether `require` would find the module."""
    return importlib.util.find_spec(module) is not None
