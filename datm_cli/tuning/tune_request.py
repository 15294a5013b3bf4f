"""From flags to a tune: the settings to begin from, by the rules of `datm distill`, and what is
held as it was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datm_cli.resolve import Settings
from datm_engine.runs.names import made
from datm_engine.settings.config import Config, parse_assignments
from datm_engine.tuning.rungs import Rungs
from datm_engine.tuning.search_space import KEYS, WINDOW, Space
from datm_engine.tuning.trial_settings import shortened


@dataclass(frozen=True)
class Asked:
    """`settled`: the settings as they are; `held`: the keys that stay so; `iterations`: of a trial
    that runs in full."""

    settled: Settings
    held: frozenset[str]
    iterations: int

    @property
    def config(self) -> Config:
        return self.settled.config

    @property
    def first(self) -> Settings:
        """The first trial's."""
        return replace(self.settled, config=shortened(self.config, self.iterations))

    @property
    def rungs(self) -> Rungs:
        return Rungs(self.iterations)

    @property
    def name(self) -> str:
        """What the tune is called where no name is given."""
        dataset = Path(self.config.dataset.name).stem or "images"
        return made(dataset, f"-ipc{self.config.distill.ipc}{self.settled.variant}")

    @property
    def facts(self) -> dict[str, Any]:
        """What the search depends on besides the settings."""
        return {"iterations": self.iterations, "held": sorted(self.held)}

    def notes(self) -> list[str]:
        """What is searched and what is not."""
        space = Space(self.first.config, self.held)
        told = [f"searching {', '.join(_moved(space.dimensions))}"]
        if self.held:
            told.append(f"held as given: {', '.join(sorted(self.held))}")
        if self.config.experts.epochs == "window" and not self.held.intersection(WINDOW):
            epochs = self.config.snapshot_epochs
            told.append(
                f"experts have {epochs} epochs, as the window needs, so none can end later: "
                f"--set experts.epochs={2 * epochs} makes room"
            )
        return told


def ask(
    settled: Settings,
    flags: Mapping[str, Mapping[str, Any]],
    assignments: Iterable[str],
    window: str | None,
    iterations: int | None,
) -> Asked:
    """`flags`, `assignments` and `window` as they were given. Raises ConfigError where no trial can
    be made of these settings, or nothing is left to search."""
    searched = {key for keys in KEYS.values() for key in keys}
    tables = [flags, parse_assignments(assignments)]
    given = {f"{name}.{key}" for one in tables for name, keys in one.items() for key in keys}
    held = frozenset(searched & given) | frozenset(WINDOW if window else ())
    asked = Asked(settled, held, iterations or settled.config.distill.iterations)
    Space(asked.first.config, held).dimensions  # noqa: B018 – before any work
    return asked


def _moved(dimensions: Iterable[str]) -> list[str]:
    """Their keys, the window's as one."""
    told = dict.fromkeys("the window" if KEYS[d] == WINDOW else KEYS[d][0] for d in dimensions)
    return [key.removeprefix("distill.") for key in told]
