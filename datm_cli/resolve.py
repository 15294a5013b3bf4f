"""From flags to a resolved configuration: flag > DATM_* > --config file > preset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datm_engine.compute import threads
from datm_engine.data import datasets
from datm_engine.data.arrays import Shape
from datm_engine.data.class_sizes import remaining
from datm_engine.errors import ConfigError
from datm_engine.files import parse_json
from datm_engine.hints import HELP, command
from datm_engine.settings import image_size, presets
from datm_engine.settings.config import (
    Config,
    DatasetConfig,
    build,
    overlay,
    parse_assignments,
)
from datm_engine.settings.derived import provisional
from datm_engine.settings.derived.window import THIRDS, third
from datm_engine.settings.messages import shown
from datm_engine.settings.presets import Chosen
from datm_engine.settings.published_names import counterpart
from datm_engine.settings.published_yaml import read_published_yaml

Tables = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """The resolved configuration of a run, and where it comes from.

    `source`: the presets it comes from. `notes`: what was derived. `variant`: the switches that
    make it another than the preset, for the run's name: "-mtt". `derive`: the keys of [distill]
    that hold until they are derived from the experts. `shape`: of the dataset's images as they are
    used, where reading its files has shown it.
    """

    config: Config
    source: str
    notes: tuple[str, ...]
    variant: str = ""
    derive: tuple[str, ...] = ()
    shape: Shape | None = None

    @property
    def run_work(self) -> float:
        """Multiply-adds of the forward pass of a student's step, or of a step of evaluation where
        these are more; for colour images of 32×32 where their size is not known yet."""
        size, classes = self._size
        images = self.config.distill.ipc * classes
        evaluation = threads.evaluation_work(self.config, size, images)
        return max(threads.student_work(self.config, size, classes), evaluation)

    @property
    def expert_work(self) -> float:
        """The same of an expert's step."""
        size, _ = self._size
        return threads.convnet_work(self.config.network, size, self.config.experts.batch)

    @property
    def _size(self) -> tuple[threads.Size, int]:
        known = self.shape or Shape(10, None, None, None)
        return (known.channels or 3, known.height or 32, known.width or 32), known.classes


def settle(
    *,
    dataset: str | None,
    ipc: int | None,
    preset: str | None,
    config_file: Path | None,
    flags: Tables,
    assignments: Sequence[str],
    data_dir: Path,
    method: str | None = None,
    window: str | None = None,
    not_derived: str | None = None,
) -> Settings:
    """`flags` are tables of what else was given on the command line; `method` stands above the
    preset and below all else, and `window` above all else. `not_derived`: nothing is left for
    experts to tell, and this is the note of why. Raises ConfigError."""
    given = overrides(with_names(flags, dataset, ipc), assignments)
    stated, told = read_config(config_file) if config_file else ({}, ())
    over = overlay(stated, given)
    dataset = _stated(over, "dataset", "name", str) if dataset is None else dataset
    ipc = _stated(over, "distill", "ipc", int) if ipc is None else ipc
    if dataset is None and preset is None:
        dataset = "digits"
    shape = None
    if dataset is not None:
        dataset = full_name(dataset)
        shape = datasets.peek(dataset, data_dir=data_dir)  # a bad name or folder shows at once
        resolution = _stated(over, "dataset", "resolution", int | str)
        shape = at_resolution(shape, resolution)
    chosen = presets.choose(dataset, ipc, preset, shape)
    if method is not None:
        iterations = _stated(over, "distill", "iterations", int)
        chosen = presets.with_method(chosen, method, iterations)
    if chosen.derive:
        chosen = _experts_settings(
            chosen, over, dataset, data_dir, to_derive_by=not_derived is None
        )
        if not_derived is not None:
            chosen = replace(chosen, derive=(), notes=(*chosen.notes, not_derived))
        else:
            chosen = _awaiting_experts(chosen, over, is_window_stated=window is not None)
    tables = overlay(overlay(chosen.tables, over), with_names({}, dataset, ipc))
    tables = provisional.within_epochs(tables, chosen.derive)
    source = ", ".join([chosen.source, *([str(config_file)] if config_file else [])])
    if window is not None:
        tables = overlay(tables, _window(tables, source, window, assignments))
        source = f"{source}, window {window}"
    switches = (None if method == presets.AS_IT_IS else method, window)
    variant = "".join(f"-{switch}" for switch in switches if switch is not None)
    notes = (*told, *(note for note in chosen.notes if not _is_moot(note, over)))
    config = build(tables, source)
    if chosen.derive:  # for experts of one length, whatever window is then derived from them
        epochs = {"experts": {"epochs": config.snapshot_epochs}}
        config = build(overlay(config.model_dump(), epochs), source)
    _check_selection(config, data_dir)
    return Settings(config, source, notes, variant, chosen.derive, shape)


def at_resolution(shape: Shape, resolution: int | str | None) -> Shape:
    """The shape after images are resized; a resolution that is none is refused in a moment."""
    try:
        size = None if resolution is None else image_size.size(resolution)
    except ValueError:
        return shape
    return shape if size is None else replace(shape, width=size[0], height=size[1])


def _experts_settings(
    chosen: Chosen, over: Tables, dataset: str | None, data_dir: Path, *, to_derive_by: bool
) -> Chosen:
    """The experts' own that no preset states, by the number of images."""
    stated = overlay(chosen.tables, over)
    if stated["experts"]["epochs"] == "window" and not to_derive_by:
        return chosen
    images = None if dataset is None else _images_used(dataset, stated["dataset"], data_dir)
    iterations = stated["distill"]["iterations"]
    if not isinstance(iterations, int):  # it is refused in a moment
        return chosen
    return provisional.with_experts(chosen, images, iterations)


def _check_selection(config: Config, data_dir: Path) -> None:
    """Raises ConfigError where it is known without loading the dataset that no image can be held
    out to select by."""
    if config.evaluate.selection != "validation" or config.dataset.validation:
        return
    name = config.dataset.name
    known = datasets.training_labels(name, data_dir=data_dir)
    if known is not None and not known.has_validation:
        raise ConfigError(
            f'evaluate.selection = "validation" needs dataset.validation above 0: {name} has no '
            "validation part",
            "--set evaluate.selection=last",
        )


def _images_used(name: str, stated: Tables, data_dir: Path) -> int | None:
    """The training images of a path by these settings; None for a named set, and where a setting is
    wrong, which is refused in a moment."""
    if name in datasets.NAMES:
        return None
    try:
        dataset = DatasetConfig.model_validate(stated | {"name": name}, strict=False)
    except ValueError:
        return None
    known = datasets.training_labels(name, data_dir=data_dir)
    return None if known is None else max(1, remaining(known, dataset).total)


def _awaiting_experts(chosen: Chosen, over: Tables, *, is_window_stated: bool) -> Chosen:
    """The keys of [distill] that nobody states are told by the experts."""
    keys = [*over.get("distill", {})]
    if overlay(chosen.tables, over)["distill"]["labels"] == "hard":
        keys.append("lr_labels")  # these are not learned
    return provisional.still_to_derive(chosen, keys, is_window_stated=is_window_stated)


def _is_moot(note: str, over: Tables) -> bool:
    """Whether it tells of a value that was derived, and is stated otherwise."""
    return any(note.startswith(f"{table}.{key} = ") for table, keys in over.items() for key in keys)


def with_names(flags: Tables, dataset: str | None, ipc: int | None) -> Tables:
    """The tables of flags with the two that have options everywhere, if they are given."""
    if dataset is not None:
        flags = overlay(flags, {"dataset": {"name": dataset}})
    return flags if ipc is None else overlay(flags, {"distill": {"ipc": ipc}})


def overrides(flags: Tables, assignments: Sequence[str]) -> Tables:
    """Both together. Raises ConfigError where they state the same key."""
    assigned = parse_assignments(assignments)
    for table, keys in assigned.items():
        if twice := sorted(keys.keys() & flags.get(table, {}).keys()):
            raise ConfigError(
                f"{table}.{twice[0]} is given twice: by --set and by an option (or its DATM_ "
                "variable) of its own",
                f"--set {table}.{twice[0]}=",
            )
    return overlay(flags, assigned)


def _window(tables: Tables, source: str, which: str, assignments: Sequence[str]) -> Tables:
    """The tables of a fixed window over a third of the epochs that the experts are trained for.
    Raises ConfigError for an unknown `which`, and where `assignments` state a window too."""
    named = [name for name in THIRDS if name == which]
    if not named:
        raise ConfigError(
            f"there is no window {which}; there are {', '.join(THIRDS)}", f"--window {THIRDS[0]}"
        )
    anywhere = _fixed(0, 1, 1)
    overrides(anywhere, assignments)
    follows = tables["experts"].get("epochs") == "window"
    # Where experts have epochs of their own, the preset's window may be beyond them.
    config = build(tables if follows else overlay(tables, anywhere), source)
    epochs = config.snapshot_epochs
    thirds = _fixed(*third(epochs, config.distill.expert_epochs, named[0]))
    return overlay(thirds, {"experts": {"epochs": epochs}}) if follows else thirds


def _fixed(lower: int, initial: int, final: int) -> Tables:
    """The tables of a window [T⁻, T⁺) that does not grow."""
    window = {
        "min_start_epoch": lower,
        "initial_max_start_epoch": initial,
        "max_start_epoch": final,
        "expansion_iterations": 0,
    }
    return {"distill": window}


def full_name(dataset: str) -> str:
    """A built-in set's name as it is; a path made absolute, so that it holds from anywhere."""
    if not dataset.strip():
        raise ConfigError("the dataset's name is empty", HELP)
    if dataset in datasets.NAMES or not os.path.exists(dataset):
        return dataset
    return str(Path(dataset).resolve())


def read_file(path: Path) -> Tables:
    """The tables that a --config file states."""
    return read_config(path)[0]


def read_config(path: Path) -> tuple[Tables, tuple[str, ...]]:
    """The tables of a TOML file, of DATM's published YAML, or of the configuration in a run.json or
    a distilled set; with notes of what was converted. Raises ConfigError."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_published_yaml(path)
    readers = {".json": _read_json, ".safetensors": _read_set}
    tables = readers.get(path.suffix, presets.read_preset)(path)
    loose = [name for name, table in tables.items() if not isinstance(table, dict)]
    if loose:
        known = "".join(f"; {told}" for told in map(counterpart, loose) if told)
        raise ConfigError(
            f"{path}: {', '.join(loose)} stands outside the tables [dataset], [network], "
            f"[experts], [distill] and [evaluate]{known}",
            command("ls", "-l", path),
        )
    return tables, ()


def _read_json(path: Path) -> Tables:
    try:
        stated = parse_json(path.read_text(encoding="utf-8"))
        tables = stated["config"]
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}", command("ls", "-l", path.parent)) from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path} is no run.json", command("ls", "-l", path)) from None
    if not isinstance(tables, dict):
        raise ConfigError(f"{path} is no run.json", command("ls", "-l", path))
    return tables


def _read_set(path: Path) -> Tables:
    from datm_engine.synthetic import SyntheticSet

    tables = SyntheticSet.load(path).config
    if not tables:
        raise ConfigError(f"{path} states no settings", command("datm", "inspect", path))
    return tables


def _stated(tables: Tables, table: str, key: str, kind: Any) -> Any:
    """What `table.key` is set to, if it is; it decides which preset is chosen."""
    value = tables.get(table, {}).get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ConfigError(f"{table}.{key} = {shown(value)} is of the wrong type", HELP)
    return value
