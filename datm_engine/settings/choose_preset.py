"""Which preset a dataset and a number of images per class take, and what is changed in it.

A dataset with presets takes the one for its number of images per class. A number between two
presets takes the nearest of them, with a window between the two; one beyond all takes the nearest.
A dataset without presets takes the presets of a family with about as many classes, adapted to its
own image size. In every case but an exact match, and unless the caller names a preset or a family,
the keys in `derive` hold provisional values, which calibration replaces once the experts are
trained. A method overrides a few keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from datm_engine.errors import ConfigError, Setting
from datm_engine.formatting import setting
from datm_engine.settings import presets
from datm_engine.settings.config import flattened, nested, overlay
from datm_engine.settings.derived.values import DERIVABLE
from datm_engine.settings.image_size import Shape
from datm_engine.settings.origins import Note, SettingOrigin, Source, Tables

# The family whose settings fit a dataset of up to so many classes.
FAMILY_FOR_CLASSES = ((20, "cifar10"), (150, "cifar100"), (math.inf, "tinyimagenet"))
UNMIRRORED = ("mnist", "svhn")  # built-in sets of which a mirrored image is another digit or none
LAST_MAP = 4  # approximate side, in pixels, of the ConvNet's last feature map
MAX_DEPTH = 5
AVERAGED_OVER = 5_000  # iterations of the published run that a method's `averaging` is set for


@dataclass(frozen=True)
class ChosenSettings:
    """`tables` state every key that `config.build` requires, and `origins` where each comes from.

    `presets`: their names. `derive`: the keys of [distill] that calibration derives once the
    experts are trained; `tables` hold a provisional value of each.
    """

    tables: Tables
    presets: tuple[str, ...]
    origins: Mapping[str, SettingOrigin] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    derive: tuple[str, ...] = ()
    method: str | None = None

    @classmethod
    def preset(cls, name: str, *notes: str) -> ChosenSettings:
        """A preset as it is."""
        tables = presets.load(name)
        origins = dict.fromkeys(flattened(tables), SettingOrigin(Source.PRESET, name))
        return cls(tables, (name,), origins, tuple(map(Note, notes)))

    def over(
        self, tables: Mapping[str, Any], origin: SettingOrigin, *notes: Note
    ) -> ChosenSettings:
        """With the values of `tables` above its own."""
        return replace(
            self,
            tables=overlay(self.tables, tables),
            origins={**self.origins, **dict.fromkeys(flattened(tables), origin)},
            notes=(*self.notes, *notes),
        )

    def by_rule(self, key: str, value: object, reason: str) -> ChosenSettings:
        """With `key` ("table.key") set by a rule, and a note if that changes its value."""
        note = Note(f"{key} = {setting(value)}: {reason}", key)
        notes = [note] if flattened(self.tables)[key] != value else []
        return self.over(nested({key: value}), SettingOrigin(Source.RULE, reason), *notes)

    @property
    def source(self) -> str:
        names = " and ".join(self.presets)
        method = "" if self.method is None else f", method {self.method}"
        return f"preset{'s' * (len(self.presets) > 1)} {names}{method}"


def choose_preset(
    dataset: str | None, ipc: int | None, preset: str | None, shape: Shape | None
) -> ChosenSettings:
    """The settings for `ipc` images per class of `dataset`.

    preset: the name of a family or of one preset; without it, the dataset's own family is taken or,
    if it has none, the family that fits its `shape` (after any change of resolution).
    dataset: without it, the preset's own.
    ipc: without it, the fewest that the family has a preset for.

    Raises ConfigError for an unknown preset, or if there is nothing to choose by.
    """
    if ipc is not None and not 1 <= ipc < 2**63:  # its logarithm is taken below
        raise ConfigError("ipc: a number from 1 on, of at most 64 bits", Setting("ipc", 1))
    families = presets.families()
    if preset in presets.names():
        chosen = _one_preset(preset, ipc)
    elif preset is not None:
        chosen = _from_family(preset, ipc)
    elif dataset in families:
        chosen = _from_family(dataset, ipc)
        if ipc is not None and ipc not in families[dataset]:
            chosen = replace(chosen, derive=DERIVABLE)
    elif dataset is None or shape is None:
        raise ConfigError("neither a dataset nor a preset is known", Setting("dataset", "digits"))
    else:
        chosen = _for_shape(dataset, ipc, shape)
    if dataset is None:
        return chosen
    return replace(chosen, tables=overlay(chosen.tables, {"dataset": {"name": dataset}}))


def _one_preset(name: str, ipc: int | None) -> ChosenSettings:
    """A preset that is named itself: nothing is derived, and only `ipc` overrides."""
    chosen = ChosenSettings.preset(name)
    own = chosen.tables["distill"]["ipc"]
    if ipc is None or ipc == own:
        return chosen
    note = Note(
        f"all settings are those of {name}, which was made for {own} images per class and not "
        f"{ipc}; its window may be too {'late' if ipc < own else 'early'}"
    )
    return chosen.over({"distill": {"ipc": ipc}}, SettingOrigin(Source.OPTION, "ipc"), note)


def _from_family(family: str, ipc: int | None) -> ChosenSettings:
    """The family's preset for `ipc`, or settings interpolated between two presets, or those of the
    nearest where `ipc` is outside their range."""
    if family not in presets.families():
        raise presets.unknown_preset(family)
    members = presets.families()[family]
    if ipc is None:
        ipc = min(members)
        note = f"ipc = {ipc}, the fewest images per class that {family} has a preset for"
        return ChosenSettings.preset(members[ipc], note)
    if ipc in members:
        return ChosenSettings.preset(members[ipc])

    nearest = members[min(members, key=lambda preset_ipc: abs(math.log(preset_ipc / ipc)))]
    chosen = ChosenSettings.preset(nearest).over(
        {"distill": {"ipc": ipc}}, SettingOrigin(Source.OPTION, "ipc")
    )
    fewer = [known for known in members if known < ipc]
    more = [known for known in members if known > ipc]
    if not (fewer and more):
        note = (
            f"no {family} preset has as {'many' if fewer else 'few'} as {ipc} per class: all "
            f"settings are those of {nearest}, the nearest; {'more' if fewer else 'fewer'} images "
            f"want {'a later' if fewer else 'an earlier'} window, but how much so is not published"
        )
        return replace(chosen, notes=(Note(note),))

    below, above = max(fewer), min(more)
    share = math.log(ipc / below) / math.log(above / below)
    pair = (members[below], members[above])
    window = _between(presets.load(pair[0]), presets.load(pair[1]), share)
    if chosen.tables["distill"]["expansion_iterations"] == 0:  # a fixed window stays fixed
        window["initial_max_start_epoch"] = window["max_start_epoch"]
    lower, initial, final = window.values()
    notes = (
        f"no {family} preset has {ipc} per class: window T⁻ = {lower}, T = {initial}, "
        f"T⁺ = {final} (epochs), between {pair[0]}'s and {pair[1]}'s by log ipc: "
        "fewer images want an earlier window, of easier patterns, and more images a later one",
        f"all other settings are those of {nearest}, the nearest",
    )
    origin = SettingOrigin(Source.PRESETS, f"{pair[0]} and {pair[1]}, between them by log ipc")
    chosen = chosen.over({"distill": window}, origin, *map(Note, notes))
    return replace(chosen, presets=pair)


def _between(below: Tables, above: Tables, share: float) -> dict[str, int]:
    """T⁻, T, T⁺ at `share` of the way from one preset to another, in whole epochs."""
    keys = ("min_start_epoch", "initial_max_start_epoch", "max_start_epoch")
    low, high = below["distill"], above["distill"]
    lower, initial, final = (
        math.floor(low[key] + (high[key] - low[key]) * share + 0.5) for key in keys
    )
    initial = max(initial, lower + 1)  # rounding may not close the window
    return dict(zip(keys, (lower, initial, max(initial, final)), strict=True))


def _for_shape(dataset: str, ipc: int | None, shape: Shape) -> ChosenSettings:
    """A family for a dataset without presets, fitted to its images."""
    family = next(name for most, name in FAMILY_FOR_CLASSES if shape.classes <= most)
    chosen = _from_family(family, ipc)
    notes = chosen.notes
    text = (
        f"{dataset} has no presets: with {shape.classes} classes it takes those of {family} "
        "(cifar10's up to 20 classes, cifar100's up to 150, tinyimagenet's beyond)"
    )
    chosen = replace(chosen, notes=(Note(text),), derive=DERIVABLE)
    if shape.height is not None and shape.width is not None:
        side = min(shape.height, shape.width)
        depth = min(max(round(math.log2(side / LAST_MAP)), 1), MAX_DEPTH)
        if depth != chosen.tables["network"]["depth"]:
            reason = (
                f"{side} pixels, halved {depth} times, give maps of about {LAST_MAP} pixels, "
                "as in the published networks"
            )
            chosen = chosen.by_rule("network.depth", depth, reason)
    operations = chosen.tables["dataset"]["augmentation"]
    if dataset in UNMIRRORED and "flip" in operations:
        kept = [operation for operation in operations if operation != "flip"]
        reason = "without flip: a mirrored digit is another or none"
        chosen = chosen.by_rule("dataset.augmentation", kept, reason)
    return replace(chosen, notes=(*chosen.notes, *notes))


def with_method(
    chosen: ChosenSettings, method: str, iterations: int | None = None
) -> ChosenSettings:
    """The settings with those of `method` above them, and notes of what that changes.

    iterations: of the run, where they are not the preset's. Raises ConfigError for an unknown
    method.
    """
    tables = presets.load_method(method)
    if method == presets.DATM:
        return chosen
    notes: list[Note] = []
    published = tables["distill"].get("averaging", 0.0)
    iterations = chosen.tables["distill"]["iterations"] if iterations is None else iterations
    if published and 0 < iterations < AVERAGED_OVER:
        decay = round(published ** (AVERAGED_OVER / iterations), 4)
        text = (
            f"distill.averaging = {decay}: over {iterations:,} iterations the first images keep "
            f"the weight that {published} gives them over the published {AVERAGED_OVER:,}"
        )
        notes.append(Note(text, "distill.averaging"))
        tables = overlay(tables, {"distill": {"averaging": decay}})
    before = flattened(chosen.tables)
    changed = ", ".join(
        f"{key} = {setting(value)}"
        for key, value in flattened(tables).items()
        if before[key] != value
    )
    if changed:
        notes.insert(0, Note(f"method {method}: {changed}"))
    family = f"{chosen.tables['dataset']['name']}-{method}"
    own = presets.families().get(family, {}).values()
    if own and not set(own) & set(chosen.presets):
        notes.append(Note(f"{method}'s own published settings are another preset: {family}"))
    derive = tuple(key for key in chosen.derive if key not in tables["distill"])
    chosen = chosen.over(tables, SettingOrigin(Source.METHOD, method), *notes)
    return replace(chosen, method=method, derive=derive)
