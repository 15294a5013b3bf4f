"""DATM's published YAML files as settings: what each of their names sets here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from reprlib import Repr
from typing import Any, get_args

import yaml
from pydantic import TypeAdapter

from datm_engine.errors import ConfigError
from datm_engine.hints import command
from datm_engine.settings.config import Augmentation, Config, nested
from datm_engine.settings.messages import fields, form
from datm_engine.settings.origins import Tables
from datm_engine.settings.published_names import PUBLISHED, published_name

Keys = dict[str, Any]  # "table.key" → value

_SHORT = Repr()  # a YAML file of aliases may have a repr() too long for memory
# Names with few values, and what each value sets; nothing where it leaves all to the preset.
_CHOICES: dict[str, dict[bool | str, Keys]] = {
    "zca": {True: {"dataset.preprocessing": "zca"}, False: {"dataset.preprocessing": "normalize"}},
    "dsa": {True: {}, False: {"dataset.augmentation": []}},
    "teacher_label": {
        True: {
            "distill.labels": "soft",
            "distill.label_experts": "one",
            "distill.lr_labels": 0.0,
        },
        False: {},
    },
    "Sequential_Generation": {True: {}, False: {"distill.expansion_iterations": 0}},
    "pix_init": {
        "real": {"distill.images": "random", "distill.label_experts": "one"},
        "noise": {"distill.images": "noise"},
        "samples_predicted_correctly": {
            "distill.images": "correct",
            "distill.label_experts": "all",
        },
    },
    "eval_mode": {
        "S": {"evaluate.networks": ["convnet"]},
        "M": {
            "evaluate.networks": ["mlp", "convnet", "lenet", "alexnet", "vgg11", "resnet18"],
        },
    },
}
# Of the counterparts of a name, those that it sets in a file of the distillation.
_SET = {"lr_teacher": ("distill.syn_lr",), "batch_train": ("evaluate.batch",)}
# Names in lower case, without hyphens. Any other name is kept as it is written: it may be a folder.
_DATASETS = {name: name for name in ("cifar10", "cifar100", "svhn", "mnist", "fashionmnist")}
_DATASETS |= {"tiny": "tinyimagenet", "tinyimagenet": "tinyimagenet"}
_NORMS = {None: "instance", "IN": "instance", "LN": "layer", "NN": "none"}
# DATM's files state it, but its code does not read it.
_IGNORED = {"ema_decay": "DATM's code does not read it (FTD's is distill.averaging)"}


def read_published_yaml(path: Path) -> tuple[Tables, tuple[str, ...]]:
    """The tables that the file's names set, and notes of which name became which key and which
    have no counterpart. Raises ConfigError for what is no such file."""
    stated, twice = _read(path)
    spelled: dict[str, str] = {}  # published name → as the file spells it
    unknown = []
    for name in stated:
        known = published_name(name) if isinstance(name, str) else None
        if known is None:
            unknown.append(_SHORT.repr(name)[:80])
        elif known in spelled:
            raise _wrong(path, f"{name} is stated twice, in two spellings")
        else:
            spelled[known] = name
    if not spelled:
        raise _wrong(path, f"{', '.join(unknown[:5])}: no name of DATM's published files")

    keys: Keys = {}
    became, without = [], []
    # Switches come last: they stand above what they switch off.
    for known in sorted(spelled, key=lambda known: True in _CHOICES.get(known, {})):
        name, value = spelled[known], stated[spelled[known]]
        reason = _IGNORED.get(known, "" if PUBLISHED[known].keys else PUBLISHED[known].meaning)
        found = {} if reason or value is None else _converted(path, known, value)
        keys |= found
        if found:
            assigned = ", ".join(f"{key} = {value}" for key, value in found.items())
            became.append(f"{name} is {assigned}")
        else:
            left = f"{_SHORT.repr(value)[:80]} leaves it to the preset"
            without.append(f"{name} ({reason or left})")
    if keys.get("distill.expansion_iterations") == 0 and "distill.max_start_epoch" in keys:
        keys["distill.initial_max_start_epoch"] = keys["distill.max_start_epoch"]
        became.append("so distill.initial_max_start_epoch = distill.max_start_epoch throughout")
    notes = {
        "published names": became,
        "published names without a counterpart": [
            *without,
            *(f"{name} (no name of DATM's published files)" for name in unknown),
        ],
        "stated twice, the last value counts": twice,
    }
    texts = (f"{path.name}: {what}: {'; '.join(each)}" for what, each in notes.items() if each)
    return nested(keys), tuple(texts)


def _read(path: Path) -> tuple[Mapping[Any, Any], list[str]]:
    """The file's names with their values, the last one of a name that is stated twice, as in DATM's
    code; and those names."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        read = yaml.safe_load(text)
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}", command("ls", "-l", path.parent)) from None
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError) as problem:
        raise _wrong(path, f"not YAML: {' '.join(str(problem).split())[:300]}") from None
    if not isinstance(read, dict) or not isinstance(root, yaml.MappingNode):
        raise _wrong(path, "no settings: DATM's published files have lines such as ipc: 10")
    names = [key.value for key, _ in root.value if isinstance(key, yaml.ScalarNode)]
    return read, sorted({name for name in names if names.count(name) > 1})


def _converted(path: Path, name: str, value: Any) -> Keys:
    """What a published name sets here; nothing where its value leaves it to the preset."""
    shown = _SHORT.repr(value)[:80]
    if name in _CHOICES:
        choices = _CHOICES[name]
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.lower(), value)
        if not isinstance(value, bool | str) or value not in choices:
            raise _wrong(path, f"{name}: {shown} is none of {', '.join(map(str, choices))}")
        return choices[value]
    if name in ("dataset", "model", "dsa_strategy"):
        if not isinstance(value, str):
            raise _wrong(path, f"{name}: {shown} is not a word")
        if name == "dataset":
            return {"dataset.name": _DATASETS.get(value.lower().replace("-", ""), value)}
        return _model(path, value) if name == "model" else _strategy(path, value)
    keys = _SET.get(name, PUBLISHED[name].keys)
    table, _, key = keys[0].partition(".")
    field = fields(Config, table)[key]
    kind: Any = field.annotation
    try:
        if isinstance(value, bool):  # pydantic takes True for 1
            raise ValueError
        # YAML reads 1e-05 as a text, and 1. as a float.
        return dict.fromkeys(keys, TypeAdapter(kind).validate_python(value))
    except ValueError:
        raise _wrong(path, f"{name}: {shown} is not {form(keys[0], field)}") from None


def _model(path: Path, value: str) -> Keys:
    parts = re.fullmatch(r"ConvNet(?:D(\d+))?(?:W(\d+))?(IN|LN|NN)?", value)
    if parts is None:
        raise _wrong(path, f"model: {value}: experts here are ConvNets (ConvNet, ConvNetD4, …)")
    depth, width, norm = parts.groups()
    return {
        "network.depth": int(depth or 3),
        "network.width": int(width or 128),
        "network.norm": _NORMS[norm],
    }


def _strategy(path: Path, value: str) -> Keys:
    operations = [] if value.lower() == "none" else value.split("_")
    if unknown := [one for one in operations if one not in get_args(Augmentation)]:
        known = ", ".join(get_args(Augmentation))
        raise _wrong(path, f"dsa_strategy: {unknown[0]} is none of {known}")
    return {"dataset.augmentation": operations}


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError(f"{path}: {what}", command("ls", "-l", path))
