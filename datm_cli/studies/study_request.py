"""From flags to the plan of a study: settings for every run, by the rules of `datm distill`."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from datm_cli.resolve import GivenSettings, read_config
from datm_engine.errors import ConfigError
from datm_engine.hints import command
from datm_engine.runs.names import checked
from datm_engine.settings import presets
from datm_engine.settings.config import parse_assignments
from datm_engine.settings.origins import Note, Tables
from datm_engine.settings.resolved import Resolved
from datm_engine.studies.study_plan import (
    LONGEST,
    WINDOWS,
    Plan,
    plan_methods,
    plan_windows,
    study_name,
    with_every_step,
    with_samples,
)

# Each run would derive its own, and so differ from the others in more than what is studied.
NOT_DERIVED = "nothing is derived from the experts in a study, so that its runs differ in one thing"
KINDS = ("window", "methods")


@dataclass(frozen=True)
class Asked:
    """What every run of the study is settled from, as it was typed."""

    kind: str
    dataset: str | None
    ipcs: str
    methods: str | None
    preset: str | None
    config_file: Path | None
    assignments: Sequence[str]
    flags: Tables
    name: str | None
    data_dir: Path

    def plan(self) -> tuple[Plan, dict[str, Resolved]]:
        """The plan, and where the settings of its runs are from, by their names. Raises
        ConfigError."""
        if self.kind not in KINDS:
            near = difflib.get_close_matches(self.kind, KINDS, 1) or KINDS
            wrong = f"there is no study of {self.kind}; there are {' and '.join(KINDS)}"
            typed = sys.argv[1:]
            typed[typed.index(self.kind)] = near[0]
            raise ConfigError(wrong, command("datm", *typed))
        if self.kind == "methods":
            return self._of_methods()
        if self.methods is not None:
            raise ConfigError("--methods is for a study of methods", "--methods ''")
        return self._of_windows()

    def _of_windows(self) -> tuple[Plan, dict[str, Resolved]]:
        settled = {ipc: self._settle(ipc, window=WINDOWS[0]) for ipc in parse_ipcs(self.ipcs)}
        configs = {ipc: one.config for ipc, one in settled.items()}
        typed = parse_assignments(self.assignments).get("distill", {})
        if "sample_interval" not in typed:
            configs = {ipc: with_samples(config) for ipc, config in configs.items()}
        file = read_config(self.config_file)[0] if self.config_file else {}
        if "threshold" not in {**file.get("distill", {}), **typed}:
            configs = {ipc: with_every_step(config) for ipc, config in configs.items()}
        plan = plan_windows(self._name(settled.values()), configs)
        origins = {}
        for run in plan.runs:
            one = settled[run.ipc]
            notes = (*one.notes, *map(Note, plan.notes))
            origins[run.name] = replace(one, window=run.variant, notes=notes)
        return plan, origins

    def _of_methods(self) -> tuple[Plan, dict[str, Resolved]]:
        known = presets.methods()
        methods = list(known) if self.methods is None else listed("--methods", self.methods)
        if unknown := [name for name in methods if name not in known]:
            wrong = f"--methods: there is no method {unknown[0]}; there are {', '.join(known)}"
            near = difflib.get_close_matches(unknown[0], known, 1) or [presets.DATM]
            named = dict.fromkeys(near[0] if name == unknown[0] else name for name in methods)
            raise ConfigError(wrong, f"--methods {','.join(named)}")
        ipcs = parse_ipcs(self.ipcs)
        settled = {(m, ipc): self._settle(ipc, method=m) for m in methods for ipc in ipcs}
        if self.methods is None:
            alike = settled[methods[0], ipcs[0]].config.evaluate.mirrored
            settled = {
                place: one
                for place, one in settled.items()
                if one.config.evaluate.mirrored == alike
            }
        configs = {place: one.config for place, one in settled.items()}
        if len({config.evaluate.mirrored for config in configs.values()}) > 1:
            raise ConfigError(
                "--methods: these train networks on a set in two ways, with and without mirror "
                "images, and a table compares what is tested alike",
                "--set evaluate.mirrored=true",
            )
        plan = plan_methods(self._name(settled.values()), configs)
        origins = {}
        for run in plan.runs:
            one = settled[run.variant, run.ipc]
            origins[run.name] = replace(one, notes=(*one.notes, *map(Note, plan.notes)))
        return plan, origins

    def _settle(
        self, ipc: int, *, method: str | None = None, window: str | None = None
    ) -> Resolved:
        return GivenSettings(
            dataset=self.dataset,
            ipc=ipc,
            preset=self.preset,
            config_file=self.config_file,
            flags=self.flags,
            assignments=self.assignments,
            data_dir=self.data_dir,
            method=method,
            window=window,
        ).resolve(NOT_DERIVED)

    def _name(self, settled: Iterable[Resolved]) -> str:
        if self.name is not None:
            return checked(self.name, "my-study", most=LONGEST)
        return study_name(next(iter(settled)).config.dataset.name)


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
