"""The folder of a tune: what was asked, what happened, and its trials, each a run directory.

NAME/  tune.json · events.jsonl · preset.toml · trial-000/ · trial-001/ …
"""

from __future__ import annotations

import json
import time
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datm_engine.errors import ConfigError, FileError
from datm_engine.files import make_folder, or_elsewhere, parse_json, save_text
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.names import checked, numbered, same_but_for_case
from datm_engine.settings.config import Config, build, differences
from datm_engine.tuning.trials import Trials, fold_trials

# Of a trial that is over and is not among the best: what can be made again, and takes room.
_LARGE = ("*.safetensors", "samples/*.safetensors")


@dataclass(frozen=True)
class Tune:
    """One tune. Reading needs no lock; `log.recording()` takes it."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def log(self) -> Run:
        """Its events, its process and its lock, which are kept as a run's are."""
        return Run(self.path)

    @property
    def asked_file(self) -> Path:
        return self.path / "tune.json"

    @property
    def preset(self) -> Path:
        """The result."""
        return self.path / "preset.toml"

    @classmethod
    def find(cls, name: str, tunes_dir: Path) -> Tune | None:
        """The tune of that name, or in that folder, if there is one."""
        places = [cls(tunes_dir / name), cls(Path(name))]
        return next((tune for tune in places if tune.asked_file.is_file()), None)

    @classmethod
    def begin(
        cls, tunes_dir: Path, name: str, asked: Config, facts: dict[str, Any], typed: str
    ) -> Tune:
        """A new one, or the one of that name that was asked the same.

        `facts` are what a search depends on besides `asked`; `typed`, the command that goes on with
        it. One that has not scored anything yet gives its place. Raises ConfigError for one of
        other settings, or for what is no folder's name, and FileError.
        """
        tune = cls(tunes_dir / checked(name, "my-tune"))
        if other := same_but_for_case(tunes_dir, tune.name):
            wrong = f"{tunes_dir / other} differs from the name {tune.name} in letter case only"
            raise ConfigError(wrong, command("--name", tune._free_name()))
        stated = {"config": asked.model_dump(), **facts}
        if tune.asked_file.is_file():
            before = tune.facts()
            alike = {key: before.get(key) for key in facts} == json.loads(json.dumps(facts))
            if alike and tune.asked() == asked:  # also where it is from before a key there is now
                return tune
            if any(trial.scores for trial in tune.trials().all.values()) or tune._is_alive:
                raise tune._taken(asked, facts, before)
            tune.log.discard()
        told = {"created": time.time(), "command": typed, **stated}
        with or_elsewhere(tunes_dir, "--tunes-dir"):
            make_folder(tune.path)
            save_text(tune.asked_file, json.dumps(told, indent=2) + "\n")
        return tune

    def facts(self) -> dict[str, Any]:
        """What tune.json states. Raises FileError if it is damaged."""
        try:
            facts = parse_json(self.asked_file.read_text(encoding="utf-8"))
            if isinstance(facts, dict) and isinstance(facts.get("config"), dict):
                return facts
            problem: object = "it states no settings"
        except (OSError, ValueError) as wrong:
            problem = wrong
        aside = command("mv", self.path, f"{self.path}.aside")
        raise FileError(f"{self.asked_file} is damaged: {problem}", aside) from None

    def asked(self) -> Config:
        return build(self.facts()["config"], str(self.asked_file))

    @property
    def resuming(self) -> str:
        """The command that goes on with it."""
        return str(self.facts().get("command") or command("datm", "tune", "--help"))

    def trials(self) -> Trials:
        return fold_trials(self.log.events())

    def run(self, number: int) -> Run:
        """A trial's."""
        return Run(self.path / f"trial-{number:03d}")

    def shed(self, trials: Trials, kept: Set[int]) -> None:
        """Remove the images of trials that are over, but for the `kept` ones: what they were made
        with and what happened stay."""
        for trial in trials.over:
            if trial.number in kept:
                continue
            folder = self.run(trial.number).path
            for pattern in _LARGE:
                for path in folder.glob(pattern):
                    with suppress(OSError):  # room that is not given back is no fault of the search
                        path.unlink()

    @property
    def _is_alive(self) -> bool:
        return self.log.process_status() in ("running", "stale")

    def _taken(self, asked: Config, facts: dict[str, Any], before: dict[str, Any]) -> Exception:
        try:
            changed = differences(build(before["config"], str(self.asked_file)), asked)
        except ConfigError:
            changed = {}
        others = {k: (before.get(k), v) for k, v in facts.items() if before.get(k) != v}
        told = [f"{k} was {was!r}, not {now!r}" for k, (was, now) in {**changed, **others}.items()]
        wrong = f"tune {self.name} has other settings: {', '.join(told)}"
        return ConfigError(wrong, command("--name", self._free_name()))

    def _free_name(self) -> str:
        number = 2
        while (self.path.parent / numbered(self.name, number)).exists():
            number += 1
        return numbered(self.name, number)
