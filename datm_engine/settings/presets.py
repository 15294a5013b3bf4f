"""Finding the presets, and choosing settings from them for any dataset and number of images.

A family is the set of presets with one name before `-ipc`: cifar10-ipc1, cifar10-ipc10, … are
cifar10. What no preset states is derived, and every derived value is said with its reason: here
what is known from the dataset's shape; `Chosen.derive` names what its experts will tell.

A method that DATM grew from, or that came after it, is a file of the few keys in which it differs,
above any preset.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_engine.errors import ConfigError, FileError
from datm_engine.hints import command
from datm_engine.settings.config import Config, overlay, read_toml
from datm_engine.settings.derived import DERIVABLE
from datm_engine.settings.messages import shown

if TYPE_CHECKING:
    from datm_engine.data.datasets import Shape

Tables = dict[str, Any]

# The family whose settings fit a dataset of up to so many classes.
FAMILY_FOR_CLASSES = ((20, "cifar10"), (150, "cifar100"), (math.inf, "tinyimagenet"))
UNMIRRORED = ("mnist", "svhn")  # built-in sets in which a mirrored image is another or none
LAST_MAP = 4  # pixels a side that the ConvNet's last feature map should have, about
DEEPEST = 5

AS_IT_IS = "datm"  # the method of the presets themselves
# What is said wherever distill.gradient is "tesla".
APPROXIMATE = (
    "the gradient is TESLA's approximation: as if a student's later weights did not depend on the "
    "images of its earlier steps (distill.gradient)"
)
AVERAGED_OVER = 5_000  # iterations of the published run whose decay a method states


@dataclass(frozen=True)
class Chosen:
    """`tables` state every key that `config.build` asks for; `source` names the presets they
    came from; `notes` say what was decided for the person, and why. `derive`: the keys of [distill]
    that hold until the experts are there to derive them by."""

    tables: Tables
    source: str
    notes: tuple[str, ...]
    derive: tuple[str, ...] = ()


def folder() -> Path:
    """Where the presets are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / "presets", package.parent / "presets"):
        if place.is_dir():
            return place
    raise FileError(
        f"{package} was installed without its presets", "pip install --force-reinstall datm"
    )


def names() -> tuple[str, ...]:
    """Every preset, families in alphabetical order, few images per class first."""
    return tuple(name for members in families().values() for name in members.values())


def families() -> dict[str, dict[int, str]]:
    """Family → images per class → preset, both in ascending order."""
    found: list[tuple[str, int, str]] = []
    for path in folder().glob("*.toml"):
        parts = re.fullmatch(r"(.+)-ipc(\d+)", path.stem)
        if parts:
            found.append((parts[1], int(parts[2]), path.stem))
    members: dict[str, dict[int, str]] = {}
    for family, ipc, name in sorted(found):
        members.setdefault(family, {})[ipc] = name
    return members


def load(name: str) -> Tables:
    """The tables of the preset `name`. Raises ConfigError if there is none."""
    if name not in names():
        raise _unknown(name)
    return read_preset(folder() / f"{name}.toml")


def read_preset(path: Path) -> Tables:
    """The tables of a TOML file, over those of the file that its key `extends` names, if any.

    `extends`: a file of the presets' folder without its suffix ("common/datm", "cifar10-ipc10").
    Raises ConfigError.
    """
    tables = read_toml(path)
    extended = tables.pop("extends", None)
    if extended is None:
        return tables
    known = [file.relative_to(folder()).with_suffix("") for file in folder().rglob("*.toml")]
    if extended not in map(str, known):
        wrong = f"{path}: extends = {shown(extended)}: there is no such file in {folder()}"
        raise ConfigError(wrong, command("ls", "-l", path))
    return overlay(read_preset(folder() / f"{extended}.toml"), tables)


def choose(dataset: str | None, ipc: int | None, preset: str | None, shape: Shape | None) -> Chosen:
    """The settings for `ipc` images per class of `dataset`.

    `preset` names a family or one preset; None means the family of the dataset's own name, or
    else the one that fits its `shape` (as it will be used, after any change of resolution).
    dataset None means the preset's own; ipc None the fewest of the family.

    Raises ConfigError for an unknown preset, or if there is nothing to choose by.
    """
    if ipc is not None and ipc < 1:
        raise ConfigError(f"--ipc {ipc}: at least 1 image per class", "--ipc 1")
    if ipc is not None and ipc >= 2**63:
        raise ConfigError("--ipc: a number of more than 64 bits", "--ipc 1")
    known = families()
    if preset in names():
        chosen = _as_it_stands(preset, ipc)
    elif preset is not None and preset not in known:
        raise _unknown(preset)
    elif preset is not None:
        chosen = _from_family(preset, ipc)
    elif dataset is None:
        raise ConfigError("neither a dataset nor a preset is named", "--dataset digits")
    elif dataset in known:
        chosen = _from_family(dataset, ipc)
        if ipc is not None and ipc not in known[dataset]:
            chosen = replace(chosen, derive=DERIVABLE)
    elif shape is None:
        raise ConfigError(
            f"{dataset} has no preset, and its shape is not known to choose one by",
            "--preset cifar10",
        )
    else:
        chosen = _for_shape(dataset, ipc, shape)
    if dataset is None:
        return chosen
    return replace(chosen, tables=overlay(chosen.tables, {"dataset": {"name": dataset}}))


def methods() -> tuple[str, ...]:
    """Every method that a preset can be run as; DATM is what the presets themselves are."""
    return (AS_IT_IS, *sorted(path.stem for path in (folder() / "methods").glob("*.toml")))


def with_method(chosen: Chosen, method: str, iterations: int | None = None) -> Chosen:
    """The settings as `method` has them; what that changes is told as a note. `iterations`: of
    the run, where they are not the preset's.

    Raises ConfigError for an unknown method.
    """
    if method not in methods():
        raise _unknown_method(method)
    if method == AS_IT_IS:
        return chosen
    over = read_toml(folder() / "methods" / f"{method}.toml")
    published, notes = over["distill"].get("averaging", 0.0), []
    iterations = chosen.tables["distill"]["iterations"] if iterations is None else iterations
    if published and 0 < iterations < AVERAGED_OVER:
        decay = round(published ** (AVERAGED_OVER / iterations), 4)
        notes.append(
            f"distill.averaging = {decay}: over {iterations:,} iterations the first images weigh "
            f"as much in the average as by {published} over the published {AVERAGED_OVER:,}"
        )
        over = overlay(over, {"distill": {"averaging": decay}})
    told = [f"method {method}: {text}" for text in _changes(chosen.tables, over)]
    tables = overlay(chosen.tables, over)
    family = f"{tables['dataset']['name']}-{method}"
    if family in families() and family not in chosen.source:
        notes.append(f"{method}'s own published settings are another preset: --preset {family}")
    source = f"{chosen.source}, method {method}"
    derive = tuple(key for key in chosen.derive if key not in over["distill"])
    return Chosen(tables, source, (*chosen.notes, *told, *notes), derive)


def _changes(tables: Tables, over: Tables) -> list[str]:
    """The keys of `over` that are otherwise in `tables`, in one line; none, if none are."""
    changed = [
        f"{table}.{key} = {value:g}" if isinstance(value, float) else f"{table}.{key} = {value}"
        for table, keys in over.items()
        for key, value in keys.items()
        if tables[table][key] != value
    ]
    return [", ".join(changed)] if changed else []


def _as_it_stands(name: str, ipc: int | None) -> Chosen:
    """One preset, asked for by its whole name: nothing is derived, only `ipc` overrides."""
    tables = load(name)
    own = tables["distill"]["ipc"]
    if ipc is None or ipc == own:
        return Chosen(tables, f"preset {name}", ())
    note = (
        f"all settings are those of {name}, as asked, though it was made for {own} per class and "
        f"not {ipc}; its window may be too {'late' if ipc < own else 'early'}"
    )
    return Chosen(overlay(tables, {"distill": {"ipc": ipc}}), f"preset {name}", (note,))


def _from_family(family: str, ipc: int | None) -> Chosen:
    """The family's preset for `ipc`, or settings between and beside those it has."""
    members = families()[family]
    if ipc is None:
        ipc = min(members)
        note = f"ipc = {ipc}, the fewest images per class that {family} has a preset for"
        return Chosen(load(members[ipc]), f"preset {members[ipc]}", (note,))
    if ipc in members:
        return Chosen(load(members[ipc]), f"preset {members[ipc]}", ())

    wanted = ipc
    nearest = members[min(members, key=lambda known: abs(math.log(known / wanted)))]
    tables = overlay(load(nearest), {"distill": {"ipc": ipc}})
    fewer = [known for known in members if known < ipc]
    more = [known for known in members if known > ipc]
    if not (fewer and more):
        few = not fewer
        note = (
            f"no {family} preset has as {'few' if few else 'many'} as {ipc} per class: all "
            f"settings are those of {nearest}, the nearest; {'fewer' if few else 'more'} images "
            f"want {'an earlier' if few else 'a later'} window, but how much so is not published"
        )
        return Chosen(tables, f"preset {nearest}", (note,))

    below, above = max(fewer), min(more)
    share = math.log(ipc / below) / math.log(above / below)
    window = _between(load(members[below]), load(members[above]), share)
    if tables["distill"]["expansion_iterations"] == 0:  # a fixed window stays one
        window["initial_max_start_epoch"] = window["max_start_epoch"]
    lower, initial, final = window.values()
    notes = (
        f"no {family} preset has {ipc} per class: window T⁻ = {lower}, T = {initial}, "
        f"T⁺ = {final} (epochs), between {members[below]}'s and {members[above]}'s by log ipc: "
        "fewer images want an earlier window, of easier patterns, and more images a later one",
        f"all other settings are those of {nearest}, the nearest",
    )
    source = f"presets {members[below]} and {members[above]}"
    return Chosen(overlay(tables, {"distill": window}), source, notes)


def _between(below: Tables, above: Tables, share: float) -> dict[str, int]:
    """T⁻, T, T⁺ at `share` of the way from one preset to another, in whole epochs."""
    keys = ("min_start_epoch", "initial_max_start_epoch", "max_start_epoch")
    low, high = below["distill"], above["distill"]
    lower, initial, final = (
        math.floor(low[key] + (high[key] - low[key]) * share + 0.5) for key in keys
    )
    initial = max(initial, lower + 1)  # rounding may not close the window
    return dict(zip(keys, (lower, initial, max(initial, final)), strict=True))


def _for_shape(dataset: str, ipc: int | None, shape: Shape) -> Chosen:
    """A family for a dataset without presets, fitted to its images."""
    family = next(name for most, name in FAMILY_FOR_CLASSES if shape.classes <= most)
    chosen = _from_family(family, ipc)
    notes = [
        f"{dataset} has no presets: with {shape.classes} classes it takes those of {family} "
        "(cifar10's up to 20 classes, cifar100's up to 150, tinyimagenet's beyond)"
    ]
    tables = chosen.tables
    if shape.height is not None and shape.width is not None:
        side = min(shape.height, shape.width)
        depth = min(max(round(math.log2(side / LAST_MAP)), 1), DEEPEST)
        if depth != tables["network"]["depth"]:
            notes.append(
                f"network.depth = {depth}: {side} pixels halved so often end in feature maps of "
                f"about {LAST_MAP}, as the published networks' do"
            )
        tables = overlay(tables, {"network": {"depth": depth}})
    operations = tables["dataset"]["augmentation"]
    if dataset in UNMIRRORED and "flip" in operations:
        kept = [operation for operation in operations if operation != "flip"]
        tables = overlay(tables, {"dataset": {"augmentation": kept}})
        notes.append("dataset.augmentation without flip: a mirrored digit is another or none")
    return Chosen(tables, chosen.source, (*notes, *chosen.notes), DERIVABLE)


def _unknown(name: str) -> ConfigError:
    known = families()
    near = difflib.get_close_matches(name, [*known, *names()], 1)
    if near:
        return ConfigError(
            f"there is no preset {name} (did you mean {near[0]}?)",
            f"--preset {near[0]}",
        )
    return ConfigError(
        f"there is no preset {name}; there are {', '.join(known)}, each with -ipcN or without",
        f"--preset {next(iter(known))}",
    )


def _unknown_method(name: str) -> ConfigError:
    known = methods()
    near = difflib.get_close_matches(name.lower(), known, 1)
    guess = f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(known)}"
    return ConfigError(
        f"there is no method {name}{guess}", f"--method {near[0] if near else AS_IT_IS}"
    )


def preset_text(config: Config, head: Sequence[str]) -> str:
    """TOML. `head`: lines of comment."""
    lines = [f"# {line}".rstrip() for line in head]
    for table, keys in config.model_dump().items():
        lines += ["", f"[{table}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in keys.items() if value is not None]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no setting")
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # as TOML has it
