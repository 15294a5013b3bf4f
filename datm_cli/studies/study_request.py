"""From options to the plan of a study: the settings of each run are resolved as for
`datm distill`."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

from datm_cli.resolve import GivenSettings, read_config
from datm_engine.errors import ConfigError, Setting
from datm_engine.hints import command
from datm_engine.runs.names import dataset_name, valid_name
from datm_engine.settings import presets
from datm_engine.settings.derived.window_rules import THIRDS
from datm_engine.settings.origins import Note
from datm_engine.settings.resolved import Resolved
from datm_engine.studies.study_plan import (
    EVERY_LOSS,
    MAX_NAME,
    StudyPlan,
    plan_methods,
    plan_windows,
    sample_interval,
    with_settings,
)

# Derived settings would differ from run to run in more than what is studied.
NO_CALIBRATION = (
    "nothing is derived from the experts in a study, so that its runs differ in one thing"
)
KINDS = ("window", "methods")


@dataclass(frozen=True)
class StudyRequest:
    """The options of `datm study` as they were typed. given: those that all runs share."""

    kind: str
    ipcs: str
    methods: str | None
    name: str | None
    given: GivenSettings

    def plan(self) -> tuple[StudyPlan, dict[str, Resolved]]:
        """The plan, and the settings of its runs by the runs' names. Raises ConfigError."""
        if self.kind not in KINDS:
            near = difflib.get_close_matches(self.kind, KINDS, 1) or KINDS
            wrong = f"there is no study of {self.kind}; there are {' and '.join(KINDS)}"
            # The command as it was typed, with the kind that was meant.
            typed = [near[0] if text == self.kind else text for text in sys.argv[1:]]
            raise ConfigError(wrong, command("datm", *typed))
        if self.kind == "methods":
            plan, resolved = self._plan_methods()
        elif self.methods is not None:
            raise ConfigError("--methods is for a study of methods", Setting("methods"))
        else:
            plan, resolved = self._plan_windows()
        notes = tuple(map(Note, plan.notes))
        return plan, {
            run.name: replace(own, config=run.config, notes=(*own.notes, *notes))
            for run, own in zip(plan.runs, resolved, strict=True)
        }

    def _plan_windows(self) -> tuple[StudyPlan, list[Resolved]]:
        """The plan, and for each of its runs the settings that it was planned from."""
        # With any window: the plan replaces it.
        resolved = {ipc: self._resolve(ipc, window=THIRDS[0]) for ipc in parse_ipcs(self.ipcs)}
        typed = self.given.assigned.get("distill", {})
        file = read_config(self.given.config_file)[0] if self.given.config_file else {}
        configs = {}
        for ipc, own in resolved.items():
            over: dict[str, float] = {}
            # As many samples as the strips of images show, whatever the number of iterations.
            if "sample_interval" not in typed:
                over["sample_interval"] = sample_interval(own.config)
            if "threshold" not in {**file.get("distill", {}), **typed}:
                # Late segments are short: images that do not teach them yet begin far above the
                # threshold, and would never be matched.
                over["threshold"] = EVERY_LOSS
            configs[ipc] = with_settings(own.config, distill=over)
        plan = plan_windows(self._study_name(resolved.values()), configs)
        return plan, [replace(resolved[run.ipc], window=run.variant) for run in plan.runs]

    def _plan_methods(self) -> tuple[StudyPlan, list[Resolved]]:
        """As `_plan_windows`."""
        methods = self._known_methods()
        ipcs = parse_ipcs(self.ipcs)
        resolved = {(m, ipc): self._resolve(ipc, method=m) for m in methods for ipc in ipcs}
        mirrored = {key: own.config.evaluate.mirrored for key, own in resolved.items()}
        if self.methods is None:  # all that are tested as the first one is
            alike = mirrored[methods[0], ipcs[0]]
            resolved = {key: own for key, own in resolved.items() if mirrored[key] == alike}
        elif len(set(mirrored.values())) > 1:
            raise ConfigError(
                "--methods: these train networks on a set in two ways, with and without mirror "
                "images, and a table compares what is tested alike",
                Setting("evaluate.mirrored", True),
            )
        configs = {key: own.config for key, own in resolved.items()}
        plan = plan_methods(self._study_name(resolved.values()), configs)
        return plan, [resolved[run.variant, run.ipc] for run in plan.runs]

    def _known_methods(self) -> list[str]:
        known = presets.methods()
        methods = list(known) if self.methods is None else parse_names("--methods", self.methods)
        if unknown := next((name for name in methods if name not in known), None):
            wrong = f"--methods: there is no method {unknown}; there are {', '.join(known)}"
            near = difflib.get_close_matches(unknown, known, 1) or [presets.DATM]
            named = dict.fromkeys(near[0] if name == unknown else name for name in methods)
            raise ConfigError(wrong, Setting("methods", ",".join(named)))
        return methods

    def _resolve(
        self, ipc: int, *, method: str | None = None, window: str | None = None
    ) -> Resolved:
        given = replace(self.given, ipc=ipc, method=method, window=window)
        return given.resolve(no_calibration=NO_CALIBRATION)

    def _study_name(self, resolved: Iterable[Resolved]) -> str:
        if self.name is not None:
            return valid_name(self.name, "my-study", most=MAX_NAME)
        return dataset_name(next(iter(resolved)).config.dataset.name, most=MAX_NAME)


def parse_ipcs(text: str) -> list[int]:
    """ "1,10,50" → [1, 10, 50], ascending, each once. Raises ConfigError."""
    parts = parse_names("--ipc", text)
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(
            f"--ipc {text}: not numbers of images per class with commas between them",
            Setting("ipc", "1,10,50"),
        )
    return sorted({int(part) for part in parts})


def parse_names(option: str, text: str) -> list[str]:
    """ "datm, mtt" → ["datm", "mtt"], each once, in order. Raises ConfigError if there are none."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise ConfigError(f"{option} {text!r}: nothing is named", f"{option} ''")
    return names
