"""From options to a tune: the settings to start from, resolved as for `datm distill`, and the keys
that are held because the user gave them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from datm_cli.resolve import GivenSettings
from datm_engine.runs.names import dataset_name
from datm_engine.settings.config import Config, flattened
from datm_engine.settings.resolved import Resolved
from datm_engine.tuning.search_space import KEYS, WINDOW, SearchSpace
from datm_engine.tuning.trial_settings import shortened


@dataclass(frozen=True)
class TuneRequest:
    """What to search. resolved: the settings in full length. held: keys that are not searched.
    iterations: of a trial that runs in full."""

    resolved: Resolved
    held: frozenset[str]
    iterations: int

    @property
    def config(self) -> Config:
        return self.resolved.config

    @property
    def first_trial(self) -> Resolved:
        """The settings of trial 0."""
        return replace(self.resolved, config=shortened(self.config, self.iterations))

    @property
    def default_name(self) -> str:
        ending = f"-ipc{self.config.distill.ipc}{self.resolved.variant}"
        return dataset_name(self.config.dataset.name, ending)

    def notes(self) -> list[str]:
        """What is searched and what is not."""
        dimensions = SearchSpace(self.first_trial.config, self.held).dimensions
        names = (
            "the window" if KEYS[name] == WINDOW else KEYS[name][0].removeprefix("distill.")
            for name in dimensions
        )
        notes = [f"searching {', '.join(dict.fromkeys(names))}"]
        if self.held:
            notes.append(f"held as given: {', '.join(sorted(self.held))}")
        if self.config.experts.epochs == "window" and not self.held.intersection(WINDOW):
            epochs = self.config.snapshot_epochs
            notes.append(
                f"experts have {epochs} epochs, as the window needs, so no window can end later: "
                f"--set experts.epochs={2 * epochs} makes room"
            )
        if self.config.experts.early_stop:
            notes.append(
                f"experts train all {self.config.experts.epochs} epochs, without "
                "experts.early_stop: a trial may have any window"
            )
        return notes


def request_tune(given: GivenSettings, iterations: int | None) -> TuneRequest:
    """Resolve the settings; what options and --set give is held. Raises ConfigError if no trial can
    have these settings, or nothing is left to search."""
    resolved = given.resolve()
    searched = {key for keys in KEYS.values() for key in keys}
    stated = flattened(given.overrides()).keys()
    held = frozenset(searched & stated) | frozenset(WINDOW if given.window else ())
    request = TuneRequest(resolved, held, iterations or resolved.config.distill.iterations)
    request.notes()  # checks the search space, before any work
    return request
