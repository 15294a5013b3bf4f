"""The result of a tune as a preset: every key, below comments that say what speaks for it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from datm_engine.settings.config import Config


def preset_text(config: Config, head: Sequence[str]) -> str:
    """TOML. `head`: lines of comment."""
    lines = [f"# {line}".rstrip() for line in head]
    for table, keys in config.model_dump().items():
        lines += ["", f"[{table}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in keys.items() if value is not None]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no setting")
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # as TOML has it
