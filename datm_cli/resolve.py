"""From a command's options to settings: options and --set above variables above a --config file.

`datm_engine.settings.resolved` chooses the preset below them, and names the origin of each setting.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import typer

from datm_cli.options import SettingOptions, tables
from datm_cli.text.waiting import waiting
from datm_engine.compute.device_kind import is_cpu
from datm_engine.data.description import describe, full_name
from datm_engine.errors import ConfigError, Setting
from datm_engine.files import parse_json
from datm_engine.hints import command
from datm_engine.settings.config import overlay, parse_assignments
from datm_engine.settings.origins import Layer, Note, SettingOrigin, Source, Tables
from datm_engine.settings.presets import read_preset
from datm_engine.settings.published_names import counterpart
from datm_engine.settings.published_yaml import read_published_yaml
from datm_engine.settings.resolved import Request, Resolved, resolve


@dataclass(frozen=True, kw_only=True)
class GivenSettings(SettingOptions):
    """What the options of a command state of the settings.

    flags: tables of the options that set one key each. device: the option, if the command has one;
    derived settings depend on its kind. context: Typer's, which knows whether an option was typed
    or came from a variable.
    """

    data_dir: Path
    flags: Tables = field(default_factory=dict)
    device: str | None = None
    context: typer.Context | None = None

    def resolve(self, no_calibration: str | None = None) -> Resolved:
        """The settings of a new run. `no_calibration`: why none may be derived from the experts.

        Raises ConfigError, and DataError for a dataset that cannot be read.
        """
        flags, assigned = self.named_flags(), self.assigned
        overrides(flags, assigned)  # refuses a key that is given twice
        layers: list[Layer] = []  # the weakest first
        notes: tuple[str, ...] = ()
        if self.config_file:
            read, notes = read_config(self.config_file)
            layers.append(Layer(read, SettingOrigin(Source.FILE, str(self.config_file))))
        layers += [
            Layer({table: {key: value}}, SettingOrigin(Source.OPTION, self._option(key)))
            for table, keys in flags.items()
            for key, value in keys.items()
        ]
        # Beside the options, as no key is in both.
        layers.append(Layer(assigned, SettingOrigin(Source.OPTION, "--set")))
        request = Request(
            layers,
            self.preset,
            self.method,
            self.window,
            no_calibration,
            on_cpu=is_cpu(self.device),
        )
        with waiting(f"reading {self.dataset}") if self.dataset else nullcontext():
            found = resolve(request, lambda name: describe(name, self.data_dir))
        return replace(found, notes=(*map(Note, notes), *found.notes))

    def overrides(self) -> Tables:
        """What the options state above a --config file, with the dataset's full name."""
        dataset = None if self.dataset is None else full_name(self.dataset)
        return overrides(replace(self, dataset=dataset).named_flags(), self.assigned)

    @property
    def assigned(self) -> Tables:
        """What --set states."""
        return parse_assignments(self.assignments or ())

    def named_flags(self) -> Tables:
        """The flags, with the dataset's name and the number of images."""
        return overlay(self.flags, tables(dataset__name=self.dataset, distill__ipc=self.ipc))

    def _option(self, key: str) -> str:
        """The option that set `key`, or the variable that stood for it."""
        name = "dataset" if key == "name" else key
        if self.context is not None:
            for parameter in self.context.command.params:
                if parameter.name == name:
                    source = self.context.get_parameter_source(name)
                    from_variable = source is not None and source.name == "ENVIRONMENT"
                    return str(parameter.envvar if from_variable else parameter.opts[0])
        return f"--{name.replace('_', '-')}"


def overrides(flags: Tables, assigned: Tables) -> Tables:
    """The tables of options and of --set together. Raises ConfigError where both set a key."""
    for table, keys in assigned.items():
        if twice := sorted(keys.keys() & flags.get(table, {}).keys()):
            raise ConfigError(
                f"{table}.{twice[0]} is given twice: by --set and by an option (or its DATM_ "
                "variable) of its own",
                Setting(f"{table}.{twice[0]}"),
            )
    return overlay(flags, assigned)


def read_config(path: Path) -> tuple[Tables, tuple[str, ...]]:
    """The settings in a file, and notes of what was converted in it.

    path: a TOML file, DATM's published YAML, a run.json or a distilled set. Raises ConfigError.
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_published_yaml(path)
    readers = {".json": _read_json, ".safetensors": _read_set}
    read = readers.get(path.suffix, read_preset)(path)
    outside = [name for name, table in read.items() if not isinstance(table, dict)]
    if outside:
        known = "".join(f"; {clause}" for clause in map(counterpart, outside) if clause)
        raise ConfigError(
            f"{path}: {', '.join(outside)} stands outside the tables [dataset], [network], "
            f"[experts], [distill] and [evaluate]{known}",
            command("ls", "-l", path),
        )
    return read, ()


def _read_json(path: Path) -> Tables:
    try:
        config: Any = parse_json(path.read_text(encoding="utf-8"))["config"]
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}", command("ls", "-l", path.parent)) from None
    except (ValueError, KeyError, TypeError):
        config = None
    if not isinstance(config, dict):
        raise ConfigError(f"{path} is no run.json", command("ls", "-l", path))
    return config


def _read_set(path: Path) -> Tables:
    from datm_engine.synthetic import SyntheticSet

    config = SyntheticSet.load(path).config
    if not config:
        raise ConfigError(f"{path} states no settings", command("datm", "inspect", path))
    return config
