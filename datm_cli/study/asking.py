"""From flags to the plan of a study: settings for every run, by the rules of `datm distill`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datm_cli import settings
from datm_cli.settings import Settings, Tables
from datm_engine.config import parse_assignments
from datm_engine.errors import ConfigError
from datm_engine.study.planning import (
    WINDOWS,
    Plan,
    plan_methods,
    plan_windows,
    study_name,
    with_samples,
)


@dataclass(frozen=True)
class Asked:
    """What every run of the study is settled from, as it was typed."""

    dataset: str | None
    ipcs: str
    preset: str | None
    config_file: Path | None
    assignments: Sequence[str]
    flags: Tables
    name: str | None
    data_dir: Path

    def windows(self) -> tuple[Plan, dict[str, Settings]]:
        """The plan, and where the settings of its runs are from, by their names."""
        settled = {ipc: self._settle(ipc, window=WINDOWS[0]) for ipc in parse_ipcs(self.ipcs)}
        configs = {ipc: one.config for ipc, one in settled.items()}
        if "sample_interval" not in parse_assignments(self.assignments).get("distill", {}):
            configs = {ipc: with_samples(config) for ipc, config in configs.items()}
        plan = plan_windows(self._name(settled), configs)
        return plan, {run.name: self._origin(settled[run.ipc], plan) for run in plan.runs}

    def methods(self, names: str) -> tuple[Plan, dict[str, Settings]]:
        """The same for several methods."""
        ipcs, methods = parse_ipcs(self.ipcs), listed("--methods", names)
        settled = {(m, ipc): self._settle(ipc, method=m) for m in methods for ipc in ipcs}
        plan = plan_methods(
            self._name(settled), {place: one.config for place, one in settled.items()}
        )
        origins = {
            run.name: self._origin(settled[run.variant, run.ipc], plan) for run in plan.runs
        }
        return plan, origins

    def _settle(self, ipc: int, **switch: str) -> Settings:
        """For one ipc. `switch`: the method, or the window."""
        return settings.settle(
            dataset=self.dataset,
            ipc=ipc,
            preset=self.preset,
            config_file=self.config_file,
            flags=self.flags,
            assignments=self.assignments,
            data_dir=self.data_dir,
            **switch,
        )

    def _name(self, settled: dict[Any, Settings]) -> str:
        return self.name or study_name(next(iter(settled.values())).config.dataset.name)

    @staticmethod
    def _origin(one: Settings, plan: Plan) -> Settings:
        return replace(one, notes=(*one.notes, *plan.notes))


def parse_ipcs(text: str) -> list[int]:
    """ "1,10,50" → [1, 10, 50], ascending, each once. Raises ConfigError."""
    parts = listed("--ipc", text)
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(
            f"--ipc {text}: not numbers of images per class with commas between them",
            "--ipc 1,10,50",
        )
    return sorted({int(part) for part in parts})


def listed(option: str, text: str) -> list[str]:
    """ "datm, mtt" → ["datm", "mtt"], each once and in that order. Raises ConfigError for none."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise ConfigError(f"{option} {text!r}: nothing is named", f"{option} ''")
    return names


def flags(**options: Any) -> Tables:
    """The tables of what was given as options of their own: `table__key=value`, None if it was
    not."""
    tables: Tables = {}
    for name, value in options.items():
        table, _, key = name.partition("__")
        if value is not None:
            tables.setdefault(table, {})[key] = value
    return tables
