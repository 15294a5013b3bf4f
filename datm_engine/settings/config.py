"""The settings of a run: one frozen table for each stage. All problems are reported at once.

There are no defaults: a preset states every key (`presets/`), and everything else overrides it.
The meaning of a key and its unit are beside it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from datm_engine.errors import ConfigError
from datm_engine.hints import HELP, command
from datm_engine.settings.image_size import Resolution
from datm_engine.settings.messages import explain, fields, is_list
from datm_engine.settings.published_names import counterpart

Augmentation = Literal["color", "crop", "cutout", "flip", "scale", "rotate"]
NetworkName = Literal["convnet", "convnetbn", "mlp", "lenet", "alexnet", "vgg11", "resnet18", "vit"]
# Real images to compare a distilled set with: as many of each class, or all (full).
SubsetName = Literal["random", "herding", "kcenter", "forgetting", "el2n", "full"]
Norm = Literal["instance", "layer", "group", "none"]


class Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_long_integers(cls, value: Any) -> Any:
        if type(value) is int and abs(value) >= 2**63:
            raise ValueError("a number of more than 64 bits")
        return value


class DatasetConfig(Table):
    name: str  # digits, cifar10, …, a folder of class folders, or a .safetensors file
    resolution: Resolution  # pixels a side, "32x24" (width x height) or "native"
    train_images: Annotated[int, Field(ge=2)] | Literal["all"]  # the same share of each class
    validation: float = Field(ge=0, lt=0.9)  # share of training images held out for selection
    test: float = Field(gt=0, lt=0.9)  # share held out where there is no labelled test part
    skip_damaged: bool  # skip images that cannot be read, instead of an error
    seed: int = Field(ge=0)  # of the choice of train_images and of the held-out parts
    preprocessing: Literal["zca", "normalize"]
    zca_regularization: float = Field(gt=0)  # added to the eigenvalues; images in [0, 1]
    augmentation: list[Augmentation]  # one is drawn for every batch; may be empty


class NetworkConfig(Table):
    architecture: Literal["convnet"]
    width: int = Field(ge=1)
    depth: int = Field(ge=1)
    norm: Norm  # no batch norm: a student of a few images has no statistics to keep


class ExpertsConfig(Table):
    count: int = Field(ge=1)
    epochs: Annotated[int, Field(ge=1)] | Literal["window"]  # "window": as many as the window needs
    optimizer: Literal["sgd", "gsam"]
    lr: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    batch: int = Field(ge=1)
    rho: float = Field(ge=0)  # GSAM: radius of the perturbation
    alpha: float = Field(ge=0)  # GSAM: share of the orthogonal component that is subtracted
    seed: int = Field(ge=0)
    # The folder of a set of experts made by `datm import`, or "none"; no preset states it.
    imported: str | None = None
    precision: Literal["run", "float32", "bfloat16"]  # "run": as the run's
    snapshots: Literal["float32", "bfloat16"]  # on disk; "bfloat16" takes half the space
    order: Literal["random", "easy-first"]  # of images; easy-first is PAD's
    # Train fewer than `epochs` if the held-out loss rises and what may be matched is covered.
    early_stop: bool

    @field_validator("imported", mode="before")
    @classmethod
    def _read_none(cls, value: Any) -> Any:
        return None if value == "none" else value

    def facts(self) -> dict[str, Any]:
        """What is part of the experts' fingerprint as it is stated: not their number, nor what a
        run decides."""
        decided = {"count", "epochs", "precision", "imported", "early_stop"}
        return self.model_dump(exclude=decided)


class DistillConfig(Table):
    ipc: int = Field(ge=1)
    iterations: int = Field(ge=1)
    seed: int = Field(ge=0)
    syn_steps: int = Field(ge=1)  # N
    expert_epochs: int = Field(ge=1)  # M
    min_start_epoch: int = Field(ge=0)  # T⁻, inclusive
    initial_max_start_epoch: int = Field(ge=1)  # T at iteration 0, exclusive
    max_start_epoch: int = Field(ge=1)  # T⁺, exclusive
    expansion_iterations: int = Field(ge=0)  # over which T grows to T⁺; 0: T = T⁺ throughout
    batch_syn: int = Field(ge=1)  # synthetic images in a student step
    syn_lr: float = Field(gt=0)  # η at iteration 0
    lr_images: float = Field(ge=0)
    lr_labels: float = Field(ge=0)
    lr_lr: float = Field(ge=0)
    momentum_images: float = Field(ge=0, lt=1)
    momentum_labels: float = Field(ge=0, lt=1)
    momentum_lr: float = Field(ge=0, lt=1)
    threshold: float = Field(gt=0)  # the largest matching loss at which a step is taken
    max_skips_in_a_row: int = Field(ge=1)  # skipped iterations in a row that end the run
    images: Literal["correct", "random", "noise"]  # where the images start
    labels: Literal["soft", "hard"]  # learned logits, or fixed one-hot classes (MTT)
    label_experts: Literal["all", "one"]  # whose logits the soft labels start from
    # The experts' epoch that gives soft labels, and that "correct" images are chosen by. "best":
    # that of the lowest held-out loss.
    label_epoch: Annotated[int, Field(ge=1)] | Literal["last", "best"]
    sample_interval: int = Field(ge=1)  # iterations between saved pictures
    checkpoint_seconds: float = Field(ge=0)  # at most this much work is lost
    gradient: Literal["exact", "tesla"]  # "tesla": its approximation, cheaper
    averaging: float = Field(ge=0, lt=1)  # decay of the images' average (FTD); 0: none
    matched_share: float = Field(gt=0, le=1)  # of the weights, the deepest ones (PAD)
    trajectories: Literal["real", "convex"]  # "convex": a line, first to last (MCT)
    mirrored: bool  # students see every image beside its mirror image (FYI)


class EvaluateConfig(Table):
    networks: list[NetworkName] = Field(min_length=1)
    repeats: int = Field(ge=1)
    epochs: int = Field(ge=1)
    full_epochs: int = Field(ge=1)  # epochs for training on the full data
    full_repeats: int = Field(ge=1)
    batch: int = Field(ge=1)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    real_lr: float = Field(gt=0)  # for real images; a distilled set brings its own η
    against: list[SubsetName]
    selection: Literal["validation", "last", "test"]  # "test" is the published rule
    selection_interval: int = Field(ge=1)  # iterations between candidates
    selection_repeats: int = Field(ge=1)
    mirrored: bool  # networks see every image beside its mirror image (FYI)


class Config(Table):
    """The resolved configuration of a run."""

    dataset: DatasetConfig
    network: NetworkConfig
    experts: ExpertsConfig
    distill: DistillConfig
    evaluate: EvaluateConfig

    @property
    def epochs_needed(self) -> int:
        """The last epoch that is ever matched: T⁺ − 1 + M."""
        return self.distill.max_start_epoch - 1 + self.distill.expert_epochs

    @property
    def snapshot_epochs(self) -> int:
        """How many epochs each expert is trained for."""
        epochs = self.experts.epochs
        return self.epochs_needed if epochs == "window" else epochs

    def with_values(self, tables: Mapping[str, Any], source: str) -> Config:
        """With the values of `tables` above its own. Raises ConfigError, which names `source`."""
        return build(overlay(self.model_dump(), tables), source)

    @model_validator(mode="after")
    def _check_window(self) -> Config:
        problems = []
        window = self.distill
        if window.min_start_epoch >= window.initial_max_start_epoch:
            problems.append(
                "distill.initial_max_start_epoch (T) must be above min_start_epoch (T⁻)"
            )
        if window.initial_max_start_epoch > window.max_start_epoch:
            problems.append(
                "distill.max_start_epoch (T⁺) must be at least initial_max_start_epoch (T)"
            )
        if self.snapshot_epochs < self.epochs_needed:
            problems.append(
                f"experts.epochs = {self.experts.epochs} is too short for the window: epoch "
                f'{self.epochs_needed} is matched (T⁺ − 1 + M); set it to that or to "window"'
            )
        label_epoch = window.label_epoch
        if isinstance(label_epoch, int) and label_epoch > self.snapshot_epochs:
            problems.append(
                f"distill.label_epoch = {label_epoch} is beyond the experts' "
                f'{self.snapshot_epochs} epochs; set it to one of them, "last" or "best"'
            )
        # A number of epochs that is known only after the first expert would change these two.
        if self.experts.early_stop and self.experts.epochs == "window":
            problems.append(
                'experts.early_stop needs a number of experts.epochs, the most, and not "window"'
            )
        if self.experts.early_stop and self.experts.order != "random":
            problems.append(
                f'experts.early_stop needs experts.order = "random": {self.experts.order} follows '
                "the number of epochs"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError with the file's name."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        wrong, cause = f"{path}: {problem.strerror}", path.parent
    except (ValueError, RecursionError) as problem:  # also of numbers too long, nesting too deep
        wrong, cause = f"{path}: not TOML: {problem}", path
    raise ConfigError(wrong, command("ls", "-l", cause))


def overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `base` with the keys of `over` on top, tables merged."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = overlay(below, value)
        merged[key] = value
    return merged


def flattened(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Tables as "table.key" → value. What is no table is left out."""
    return {
        f"{table}.{key}": value
        for table, keys in tables.items()
        if isinstance(keys, Mapping)
        for key, value in keys.items()
    }


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of "table.key" → value."""
    tables: dict[str, Any] = {}
    for name, value in values.items():
        table, _, key = name.partition(".")
        tables.setdefault(table, {})[key] = value
    return tables


def changes_text(changed: Mapping[str, tuple[Any, ...]]) -> str:
    """ "distill.ipc was 1, not 10", for differences between two configurations."""
    return ", ".join(f"{key} was {old!r}, not {new!r}" for key, (old, new) in changed.items())


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """The tables that `table.key=value` strings set. Raises ConfigError.

    A value is TOML or a bare word. A list is words with commas, or `none` if empty.
    """
    values: dict[str, Any] = {}
    for text in assignments:
        name, equals, raw = text.partition("=")
        table, dot, key = name.strip().partition(".")
        if not (equals and dot and key):
            wrong = f"{text}: not of the form table.key=value, as distill.syn_steps=40 is"
            known = counterpart(name.strip())
            raise ConfigError(f"{wrong} ({known})" if known else wrong, HELP)
        values[f"{table}.{key}"] = _value(fields(Config, table).get(key), raw)
    return nested(values)


def _value(field: FieldInfo | None, raw: str) -> Any:
    """The TOML value, or else a bare word as the type of the field: a list of words, or a number
    that TOML lacks (.01)."""
    value: Any = raw.strip()
    with suppress(ValueError, RecursionError):
        stated = tomllib.loads(f"value = {raw}")
        if len(stated) == 1:  # `raw` may be several lines
            value = stated["value"]
    if field is None or not isinstance(value, str):
        return value
    if is_list(field):
        words = [word.strip() for word in value.split(",") if word.strip()]
        return [] if words == ["none"] else words or [value]
    if field.annotation is float:
        with suppress(ValueError):
            return float(value)
    return value


def build(tables: Mapping[str, Any], source: str) -> Config:
    """The configuration of `tables`. Raises ConfigError with every problem and its key.

    source: where the tables come from, for the message.
    """
    try:
        return Config.model_validate(tables)
    except ValidationError as problems:
        wrong = explain(problems.errors(), Config)
        raise ConfigError(f"{source}: {wrong} (the presets state every key)", HELP) from None


def differences(*configs: Config) -> dict[str, tuple[Any, ...]]:
    """`table.key` → its value in each configuration, for the keys whose values differ."""
    each = [flattened(config.model_dump()) for config in configs]
    stated = {key: tuple(values[key] for values in each) for key in each[0]}
    return {
        key: values for key, values in stated.items() if any(value != values[0] for value in values)
    }
