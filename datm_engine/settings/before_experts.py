"""Rules for settings that no preset has, as far as they can be applied before there are experts:

- how experts are trained, by the number of training images (`derived.expert_training`);
- what a CPU can do in about half an hour (`derived.cpu_settings`);
- M and N, which follow from the number of training images (`derived.window_rules`);
- when experts stop, and which of their epochs labels come from, where images are held out.

`resolved` applies them. What is stated is kept: a rule counts with it, and sets the rest. `tables`
are settings with a value of every key, `stated` those that options and files state.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from datm_engine.settings.choose_preset import ChosenSettings
from datm_engine.settings.config import (
    DatasetConfig,
    DistillConfig,
    EvaluateConfig,
    NetworkConfig,
    Table,
    flattened,
    nested,
    overlay,
)
from datm_engine.settings.derived.cpu_settings import (
    MOST_IMAGES,
    WIDTH,
    cpu_settings,
    most_experts,
)
from datm_engine.settings.derived.expert_training import experts_settings
from datm_engine.settings.derived.values import WINDOW
from datm_engine.settings.derived.window_rules import segment_epochs, student_steps
from datm_engine.settings.image_size import Shape
from datm_engine.settings.origins import Note, SettingOrigin, Source, Tables

_BEST_EPOCH = "later epochs know their own images by heart, and their labels say little of others"
_EARLY_STOP = (
    "experts.epochs are the most: experts end when their held-out loss has risen for a while and "
    "the windows that may be derived are covered"
)


class DatasetDescription(Protocol):
    """What is known of a dataset before its images are decoded."""

    @property
    def name(self) -> str:
        """Of a built-in dataset, or an absolute path."""

    @property
    def shape(self) -> Shape: ...

    @property
    def is_built_in(self) -> bool: ...

    def training_images(self, settings: DatasetConfig) -> int | None:
        """How many images are left to train on; None where only loading the dataset shows it."""

    def has_validation(self) -> bool | None:
        """Whether it has a validation part; None where only loading the dataset shows it."""


def training_images(tables: Tables, described: DatasetDescription | None) -> int | None:
    """How many images there are to train on; None if that is not known, or is wrongly stated."""
    if described is None:
        return None
    if described.is_built_in:  # it may have to be downloaded first
        stated, share = (tables["dataset"][key] for key in ("train_images", "validation"))
        is_known = isinstance(stated, int) and isinstance(share, int | float)
        return max(1, round(stated * (1 - share))) if is_known else None
    try:
        settings = DatasetConfig.model_validate(
            tables["dataset"] | {"name": described.name}, strict=False
        )
    except ValueError:
        return None  # reported with all other problems when the configuration is built
    return described.training_images(settings)


def cpu_rules(
    chosen: ChosenSettings,
    stated: Tables,
    described: DatasetDescription | None,
    shape: Shape | None,
) -> ChosenSettings:
    """With the settings of a family that is made for a GPU reduced to what a CPU can do."""
    tables = overlay(chosen.tables, stated)
    is_for_gpu = chosen.tables["network"]["width"] > WIDTH
    if not is_for_gpu or shape is None or not _has_numbers(tables):
        return chosen
    images = training_images(tables, described)
    # All built-in datasets of such families are large.
    known_as_large = images is None and described is not None and described.is_built_in
    is_large = known_as_large or (images is not None and images > MOST_IMAGES)
    fixed = flattened(stated)
    if _is_imported(tables):
        fixed["network.width"] = tables["network"]["width"]
    changes = []
    for one in cpu_settings(tables, shape, images, fixed, is_large=is_large):
        origin = SettingOrigin(Source.RULE, f"for a CPU: {one.reason}")
        chosen = chosen.over(nested({one.key: one.value}), origin)
        changes.append(f"{one.key} = {one.value} ({one.reason})")
    text = (
        "on a CPU, derived settings aim at a run of about half an hour on four cores, whatever "
        f"this one is: {', '.join(changes)}; --set states others"
    )
    notes = (*chosen.notes, Note(text)) if changes else chosen.notes
    return replace(chosen, notes=notes)


def _has_numbers(tables: Tables) -> bool:
    """Whether settings can be counted by. All problems are reported when the configuration is
    built."""
    kinds: dict[str, type[Table]] = {
        "network": NetworkConfig,
        "distill": DistillConfig,
        "evaluate": EvaluateConfig,
    }
    try:
        for table, kind in kinds.items():
            kind.model_validate(tables[table])
    except ValueError:
        return False
    return True


def _is_imported(tables: Tables) -> bool:
    """Whether the experts were trained by another code."""
    return tables["experts"].get("imported") not in (None, "none")


def expert_rules(chosen: ChosenSettings, images: int | None, iterations: int) -> ChosenSettings:
    """With settings of experts for `images` training images, and a run of so many iterations.

    images None: for those of the family's own dataset.
    """
    experts, distill = chosen.tables["experts"], chosen.tables["distill"]
    if experts["epochs"] == "window":
        last_matched = distill["max_start_epoch"] - 1 + distill["expert_epochs"]  # T⁺ − 1 + M
        epochs = max(chosen.tables["evaluate"]["full_epochs"], last_matched)
        reason = "as many as training on all images takes (evaluate.full_epochs), to derive from"
        return chosen.by_rule("experts.epochs", epochs, reason)
    for one in [] if images is None else experts_settings(images, iterations):
        chosen = chosen.by_rule(f"experts.{one.key}", one.value, one.reason)
    return chosen


def fewer_experts_on_cpu(
    chosen: ChosenSettings, stated: Tables, images: int | None, shape: Shape | None
) -> ChosenSettings:
    """With no more experts of `images` training images than a CPU can train."""
    tables = overlay(chosen.tables, stated)
    if images is None or shape is None or not _has_numbers(tables):
        return chosen
    most = most_experts(tables, shape, images)
    if most.value >= chosen.tables["experts"]["count"]:
        return chosen
    others = tuple(note for note in chosen.notes if note.key != most.key)
    return replace(chosen, notes=others).by_rule(most.key, most.value, most.reason)


def held_out_rules(
    chosen: ChosenSettings,
    stated: Tables,
    described: DatasetDescription | None,
    derive: Collection[str],
) -> ChosenSettings:
    """Let held-out images, where there are any, decide which epoch labels come from; and when
    experts stop, where their number of epochs is not stated, nor follows from anything else.

    derive: the keys of [distill] that calibration derives.
    """
    tables = overlay(chosen.tables, stated)
    has_own = described is None or described.has_validation() is not False
    if not has_own and tables["dataset"]["validation"] == 0:
        return chosen
    chosen = chosen.by_rule("distill.label_epoch", "best", _BEST_EPOCH)
    is_decided = "epochs" in stated.get("experts", {}) or _is_imported(tables)
    order, trajectories = tables["experts"]["order"], tables["distill"]["trajectories"]
    needs_all = order != "random" or trajectories != "real"
    if is_decided or needs_all or not {*WINDOW, "expert_epochs"} <= set(derive):
        return chosen
    return chosen.by_rule("experts.early_stop", True, _EARLY_STOP)


def provisional_steps(
    chosen: ChosenSettings, stated: Tables, images: int | None, derive: Collection[str]
) -> ChosenSettings:
    """With the values of M and N that calibration will derive, where the number of training images
    is known: they follow from it alone, and what a run costs follows from them."""
    tables = overlay(chosen.tables, stated)
    epochs, batch = (tables["experts"][key] for key in ("epochs", "batch"))
    if images is None or not (isinstance(epochs, int) and isinstance(batch, int) and batch > 0):
        return chosen
    steps = -(-images // batch)
    m = segment_epochs(steps, epochs)
    if "expert_epochs" not in derive:
        m = tables["distill"]["expert_epochs"]
    values = {"expert_epochs": m}
    if isinstance(m, int):
        values["syn_steps"] = student_steps(m * steps)
    known = {f"distill.{key}": value for key, value in values.items() if key in derive}
    origin = SettingOrigin(Source.RULE, f"for {steps} steps an epoch")
    return chosen.over(nested(known), origin) if known else chosen
