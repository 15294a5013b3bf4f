"""The folder of a tune: what was requested, its events, and its trials, each a run directory.

NAME/  tune.json · events.jsonl · preset.toml · trial-000/ · trial-001/ …
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datm_engine.errors import ConfigError, FileError, Setting
from datm_engine.files import make_folder, or_elsewhere, parse_json, save_text
from datm_engine.hints import HELP, command, retyped
from datm_engine.runs.directory import Run
from datm_engine.runs.names import free_name, same_but_for_case, valid_name
from datm_engine.runs.state import RunState
from datm_engine.settings.config import Config, build, changes_text, differences


class TuneLog(Run):
    """The events, process and lock of a tune, stored as those of a run."""

    @property
    def resume_command(self) -> str:
        return str(Tune(self.path).request().get("command") or command("datm", "tune", "--help"))

    def new_run_command(self, change: Setting | None = None) -> str:
        """The command of the tune, with `change`."""
        return retyped(shlex.split(self.resume_command)[1:], change or HELP)


@dataclass(frozen=True)
class Tune:
    """One tune. Reading needs no lock; `log.recording()` takes it."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def log(self) -> TuneLog:
        return TuneLog(self.path)

    @property
    def request_file(self) -> Path:
        return self.path / "tune.json"

    @property
    def preset(self) -> Path:
        """The result."""
        return self.path / "preset.toml"

    @classmethod
    def find(cls, name: str, tunes_dir: Path) -> Tune | None:
        """The tune of that name or in that folder. None if there is none."""
        folders = (tunes_dir / name, Path(name))
        return next((tune for tune in map(cls, folders) if tune.request_file.is_file()), None)

    @classmethod
    def begin(
        cls, tunes_dir: Path, name: str, config: Config, extra: dict[str, Any], typed: str
    ) -> Tune:
        """Create a tune, or open the one of that name if it has the same settings.

        extra: what else the search depends on. typed: the command that resumes it. A
        tune without a score is replaced. Raises ConfigError if the settings differ or the name
        cannot be used, and FileError.
        """
        tune = cls(tunes_dir / valid_name(name, "my-tune"))
        if other := same_but_for_case(tunes_dir, tune.name):
            wrong = f"{tunes_dir / other} differs from the name {tune.name} in letter case only"
            raise ConfigError(wrong, Setting("name", tune._free_name()))
        # As it is read from the file: JSON has lists where settings have tuples.
        stated = json.loads(json.dumps({"config": config.model_dump(), **extra}))
        if tune.request_file.is_file():
            before = tune.request()
            if {key: before.get(key) for key in stated} == stated:
                return tune
            is_alive = tune.log.process_status() in ("running", "stale")
            if is_alive or tune.state().trials.ranked:
                raise tune._name_is_taken(config, extra)
            # Nothing is lost: no trial has a score.
            tune.log.delete()
        content = {"created": time.time(), "command": typed, **stated}
        with or_elsewhere(tunes_dir, "tunes_dir"):
            make_folder(tune.path)
            save_text(tune.request_file, json.dumps(content, indent=2) + "\n")
        return tune

    def request(self) -> dict[str, Any]:
        """The content of tune.json. Raises FileError if it is damaged."""
        try:
            facts = parse_json(self.request_file.read_text(encoding="utf-8"))
            if isinstance(facts, dict) and isinstance(facts.get("config"), dict):
                return facts
            problem: object = "it has no settings"
        except (OSError, ValueError) as error:
            problem = error
        remove = command("mv", self.path, f"{self.path}.aside")
        raise FileError(f"{self.request_file} is damaged: {problem}", remove) from None

    def config(self) -> Config:
        """The settings as they were requested, in full length."""
        return build(self.request()["config"], str(self.request_file))

    def state(self) -> RunState:
        return self.log.state()

    def run(self, number: int) -> Run:
        """The run of a trial."""
        return Run(self.path / f"trial-{number:03d}")

    def held_out_images(self) -> int:
        """The number of images that trials are scored on. 0 until trial 0 has loaded them."""
        dataset = self.run(0).state().dataset
        return dataset.validation if dataset else 0

    def remove_tensors(self, keep: Set[int]) -> None:
        """Delete the images and checkpoints of finished trials but `keep`. Their settings and
        events stay."""
        for trial in self.state().trials.over:
            folder = self.run(trial.number).path
            if trial.number not in keep:
                for path in (*folder.glob("*.safetensors"), *folder.glob("samples/*.safetensors")):
                    with suppress(OSError):  # only disk space is lost
                        path.unlink()

    def _name_is_taken(self, config: Config, extra: dict[str, Any]) -> ConfigError:
        before = self.request()
        changed: dict[str, tuple[Any, ...]] = {**differences(self.config(), config)}
        changed |= {k: (before.get(k), v) for k, v in extra.items() if before.get(k) != v}
        wrong = f"tune {self.name} has other settings: {changes_text(changed)}"
        return ConfigError(wrong, Setting("name", self._free_name()))

    def _free_name(self) -> str:
        return free_name(self.name, lambda name: (self.path.parent / name).exists())
