"""A run's settings, resolved in one call, with the origin of each.

A key takes its value from the first of these that states it:

1. the window that is requested: four keys of [distill];
2. the layers that are stated, the last one first: options above a config file;
3. the method: a few keys of `presets/methods/`;
4. rules for a dataset without a preset (`choose_preset`, `before_experts`);
5. a preset, or two between which the number of images lies (`choose_preset`).

Where no preset is made for the dataset and the number of images, `Resolved.derive` names the keys
of [distill] that nobody has stated. Their values are provisional: `calibration` replaces them once
the experts are trained, by the rules of `derived`, and writes them to the run with their reasons.

For example, `distill.lr_images` of cifar10 at 10 images per class is that of the preset
cifar10-ipc10. At 20 it is provisionally that of the nearest preset, and then follows from the
gradients that `calibration.derivation` measures, by `derived.rates.rate_settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datm_engine.errors import ConfigError, Setting
from datm_engine.hints import HELP
from datm_engine.settings.before_experts import (
    DatasetDescription,
    cpu_rules,
    expert_rules,
    fewer_experts_on_cpu,
    held_out_rules,
    provisional_steps,
    training_images,
)
from datm_engine.settings.choose_preset import ChosenSettings, choose_preset, with_method
from datm_engine.settings.config import Config, build, flattened, overlay
from datm_engine.settings.derived.values import DERIVABLE, WINDOW
from datm_engine.settings.derived.window_rules import THIRDS, third
from datm_engine.settings.image_size import Shape, at_resolution
from datm_engine.settings.messages import shown
from datm_engine.settings.origins import Layer, Note, SettingOrigin, Source, Tables

DEFAULT_DATASET = "digits"
_CALIBRATION_NOTE = (
    "provisional until the experts are trained: {}; calibration derives them from what the experts "
    "learn and when (what an option or a file states is kept)"
)
_ALL_DERIVABLE = "the window, M, N, batch_syn, η, the learning rates and the threshold"


@dataclass(frozen=True)
class Request:
    """What settings are resolved from.

    layers: settings that are stated, the stronger last; `dataset.name` and `distill.ipc` among them
    also choose the preset. no_calibration: the reason why nothing may be derived from the experts,
    if there is one. on_cpu: whether the run computes on a CPU.
    """

    layers: Sequence[Layer] = ()
    preset: str | None = None
    method: str | None = None
    window: str | None = None
    no_calibration: str | None = None
    on_cpu: bool = False

    def value(self, table: str, key: str, kind: Any) -> Any:
        """What the layers set `table.key` to, if they do. Raises ConfigError for another type."""
        value = self.tables.get(table, {}).get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise ConfigError(f"{table}.{key} = {shown(value)} is of the wrong type", HELP)
        return value

    @property
    def tables(self) -> Tables:
        """All layers in one."""
        merged: Tables = {}
        for layer in self.layers:
            merged = overlay(merged, layer.tables)
        return merged


@dataclass(frozen=True)
class Resolved:
    """The configuration of a run and where it comes from.

    origins: of each "table.key". presets: their names. files: those that state settings. derive:
    the keys of [distill] that calibration derives once the experts are trained. shape: of the
    dataset's images after any change of resolution, as far as it is known.
    """

    config: Config
    presets: tuple[str, ...] = ()
    method: str | None = None
    files: tuple[str, ...] = ()
    window: str | None = None
    origins: Mapping[str, SettingOrigin] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    derive: tuple[str, ...] = ()
    shape: Shape | None = None

    @property
    def source(self) -> str:
        """The presets, the method, the files and the window, in words."""
        window = [] if self.window is None else [f"window {self.window}"]
        chosen = ChosenSettings({}, self.presets, method=self.method)
        return ", ".join([chosen.source, *self.files, *window])

    def messages(self) -> tuple[str, ...]:
        """What is reported before the run: where the settings come from, and every note."""
        return (f"settings: {self.source}", *(note.text for note in self.notes))

    @property
    def variant(self) -> str:
        """What a run's name has after the number of images: "-mtt-early"; empty for a plain run."""
        return "".join(f"-{name}" for name in (self.method, self.window) if name is not None)


def resolve(request: Request, describe: Callable[[str], DatasetDescription]) -> Resolved:
    """The settings of a run. `describe` looks at a dataset without decoding it.

    Raises ConfigError for settings that cannot be, and what `describe` raises.
    """
    dataset, ipc = request.value("dataset", "name", str), request.value("distill", "ipc", int)
    if dataset is None and request.preset is None:
        dataset = DEFAULT_DATASET
    described = None if dataset is None else describe(dataset)  # a wrong name raises here
    shape = None
    if described is not None:
        dataset = described.name
        size = request.value("dataset", "resolution", int | str)
        shape = at_resolution(described.shape, size)
    chosen = choose_preset(dataset, ipc, request.preset, shape)
    if chosen.derive and request.on_cpu:
        chosen = cpu_rules(chosen, request.tables, described, shape)
    if request.method is not None:
        iterations = request.value("distill", "iterations", int)
        chosen = with_method(chosen, request.method, iterations)
    if chosen.derive:
        chosen = _before_experts(chosen, request, described, shape)
    for layer in request.layers:
        chosen = chosen.over(layer.tables, layer.origin)
    if dataset is not None:  # a path is absolute in the configuration
        name: Tables = {"dataset": {"name": dataset}}
        chosen = replace(chosen, tables=overlay(chosen.tables, name))
    chosen = replace(chosen, tables=_within_epochs(chosen))

    files = [one.origin.detail for one in request.layers if one.origin.source is Source.FILE]
    source = ", ".join([chosen.source, *files])
    if request.window is not None:
        chosen = chosen.over(
            _window(chosen.tables, source, request), SettingOrigin(Source.WINDOW, request.window)
        )
    config = build(chosen.tables, source)
    origins = dict(chosen.origins)
    if chosen.derive:
        # Experts have one length, whatever window is derived from them.
        config = config.with_values({"experts": {"epochs": config.snapshot_epochs}}, source)
        for key in (f"distill.{key}" for key in chosen.derive):
            detail = f"after the experts; {origins[key]} until then"
            origins[key] = SettingOrigin(Source.CALIBRATION, detail)
    _check_selection(config, described)
    return Resolved(
        config=config,
        presets=chosen.presets,
        method=chosen.method,
        files=tuple(files),
        window=request.window,
        origins=origins,
        notes=tuple(note for note in chosen.notes if note.key not in flattened(request.tables)),
        derive=chosen.derive,
        shape=shape,
    )


def _before_experts(
    chosen: ChosenSettings,
    request: Request,
    described: DatasetDescription | None,
    shape: Shape | None,
) -> ChosenSettings:
    """The experts' own settings, by rules; and which keys are left to calibration."""
    tables = overlay(chosen.tables, request.tables)
    iterations = tables["distill"]["iterations"]  # anything but a number is refused by `build`
    follows_window = tables["experts"]["epochs"] == "window"
    if isinstance(iterations, int) and not (follows_window and request.no_calibration):
        images = training_images(tables, described)
        chosen = expert_rules(chosen, images, iterations)
        if request.on_cpu:
            chosen = fewer_experts_on_cpu(chosen, request.tables, images, shape)
    if request.no_calibration is not None:
        note = Note(request.no_calibration)
        return replace(chosen, derive=(), notes=(*chosen.notes, note))
    stated_keys = {*request.tables.get("distill", {}), *(WINDOW if request.window else ())}
    if tables["distill"]["labels"] == "hard":
        stated_keys.add("lr_labels")  # hard labels are not learned
    derive = tuple(key for key in chosen.derive if key not in stated_keys)
    if derive:
        chosen = held_out_rules(chosen, request.tables, described, derive)
        images = training_images(tables, described)
        chosen = provisional_steps(chosen, request.tables, images, derive)
        keys = _ALL_DERIVABLE if derive == DERIVABLE else ", ".join(f"distill.{k}" for k in derive)
        text = _CALIBRATION_NOTE.format(keys)
        chosen = replace(chosen, notes=(*chosen.notes, Note(text)))
    return replace(chosen, derive=derive)


def _within_epochs(chosen: ChosenSettings) -> Tables:
    """The tables, with provisional values of the window kept within the experts' epochs."""
    tables, derive = chosen.tables, chosen.derive
    epochs, distill = tables["experts"].get("epochs"), tables["distill"]
    m = distill["expert_epochs"]
    if not (derive and isinstance(epochs, int) and isinstance(m, int)):
        return tables  # values of another type are refused when the configuration is built
    latest = max(1, epochs - m + 1)
    bounds: Tables = {
        key: min(distill[key], bound)
        for key, bound in zip(WINDOW[:3], (latest - 1, latest, latest), strict=True)
        if key in derive
    }
    return overlay(tables, {"distill": bounds})


def _window(tables: Tables, source: str, request: Request) -> Tables:
    """The tables of a fixed window over a third of the epochs that the experts are trained for.

    Raises ConfigError for an unknown window, and where an option states part of one too.
    """
    part = next((name for name in THIRDS if name == request.window), None)
    if part is None:
        raise ConfigError(
            f"there is no window {request.window}; there are {', '.join(THIRDS)}",
            Setting("window", THIRDS[0]),
        )
    options = [layer for layer in request.layers if layer.origin.source is Source.OPTION]
    for key in (f"distill.{key}" for key in WINDOW):
        if any(key in flattened(layer.tables) for layer in options):
            raise ConfigError(
                f"{key} is given twice: by itself and by the window {part}", Setting(key)
            )
    follows = tables["experts"].get("epochs") == "window"
    # Where experts have epochs of their own, the preset's window may be beyond them.
    config = build(tables if follows else overlay(tables, fixed_window(0, 1, 1)), source)
    epochs = config.snapshot_epochs
    window = fixed_window(*third(epochs, config.distill.expert_epochs, part))
    return overlay(window, {"experts": {"epochs": epochs}}) if follows else window


def fixed_window(lower: int, initial: int, final: int) -> Tables:
    """The tables of a window [T⁻, T⁺) that does not grow."""
    return {"distill": dict(zip(WINDOW, (lower, initial, final, 0), strict=True))}


def _check_selection(config: Config, described: DatasetDescription | None) -> None:
    """Raises ConfigError where no image can be held out to select by."""
    if config.evaluate.selection != "validation" or config.dataset.validation:
        return
    if described is not None and described.has_validation() is False:
        raise ConfigError(
            f'evaluate.selection = "validation" needs dataset.validation above 0: '
            f"{config.dataset.name} has no validation part",
            Setting("evaluate.selection", "last"),
        )
