"""From flags to a resolved configuration: flag > DATM_* > --config file > preset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datm_engine import presets
from datm_engine.config import Config, build, overlay, parse_assignments, read_toml
from datm_engine.data import datasets
from datm_engine.errors import ConfigError

Tables = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """`source` says which presets the configuration came from; `notes`, what was derived."""

    config: Config
    source: str
    notes: tuple[str, ...]


def settle(
    *,
    dataset: str | None,
    ipc: int | None,
    preset: str | None,
    config_file: Path | None,
    flags: Tables,
    assignments: Sequence[str],
    data_dir: Path,
) -> Settings:
    """`flags` are tables of what else was given on the command line. Raises ConfigError."""
    over = overlay(read_file(config_file) if config_file else {}, flags)
    over = overlay(over, parse_assignments(assignments))
    dataset = dataset or _stated(over, "dataset", "name")
    ipc = ipc or _stated(over, "distill", "ipc")
    if dataset is None and preset is None:
        dataset = "digits"
    shape = None
    if dataset and preset is None and dataset not in presets.families():
        shape = datasets.peek(dataset, data_dir=data_dir)
        if isinstance(resolution := _stated(over, "dataset", "resolution"), int):
            shape = replace(shape, height=resolution, width=resolution)
    chosen = presets.choose(dataset, ipc, preset, shape)
    named: Tables = {"dataset": {"name": dataset}} if dataset else {}
    if ipc is not None:
        named = overlay(named, {"distill": {"ipc": ipc}})
    tables = overlay(overlay(chosen.tables, over), named)
    source = ", ".join([chosen.source, *([str(config_file)] if config_file else [])])
    return Settings(build(tables, source), source, chosen.notes)


def read_file(path: Path) -> Tables:
    """The tables of a TOML file, or of the configuration in a run.json."""
    if path.suffix != ".json":
        return read_toml(path)
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        tables: Tables = stated["config"]
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}", "datm runs") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path} is no run.json", "datm runs") from None
    return tables


def _stated(tables: Tables, table: str, key: str) -> Any:
    keys = tables.get(table)
    return keys.get(key) if isinstance(keys, dict) else None
