"""DATM's published YAML files as settings: what each of their names sets here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from reprlib import Repr
from typing import Any, get_args

import yaml

from datm_engine.errors import ConfigError
from datm_engine.hints import command
from datm_engine.settings.config import Augmentation, Config
from datm_engine.settings.messages import fields
from datm_engine.settings.published_names import PUBLISHED, published_name

Keys = dict[str, Any]  # "table.key" → value

_SHORT = Repr()  # a YAML file of aliases may have a repr() too long for memory
_SWITCHES = ("zca", "dsa", "teacher_label", "Sequential_Generation")
# Of the counterparts of a name, those that it sets in a file of the distillation.
_SET = {
    "lr_teacher": ("distill.syn_lr",),
    "batch_train": ("evaluate.batch",),
}
# Names in lower case, without hyphens. Any other name is kept as it is written: it may be a folder.
_DATASETS = {name: name for name in ("cifar10", "cifar100", "svhn", "mnist", "fashionmnist")}
_DATASETS |= {"tiny": "tinyimagenet", "tinyimagenet": "tinyimagenet"}
_IMAGES = {"real": "random", "noise": "noise", "samples_predicted_correctly": "correct"}
_LABEL_EXPERTS = {"real": "one", "samples_predicted_correctly": "all"}
_OPERATIONS = get_args(Augmentation)
_NORMS = {None: "instance", "IN": "instance", "LN": "layer", "NN": "none"}
# DATM's files state it, but its code does not read it.
_IGNORED = {"ema_decay": "DATM's code does not read it (FTD's is distill.averaging)"}


def read_published_yaml(path: Path) -> tuple[dict[str, Keys], tuple[str, ...]]:
    """The tables that the file's names set, and notes of which name became which key and which
    have no counterpart. Raises ConfigError for what is no such file."""
    keys: Keys = {}
    became, without = [], []
    stated, twice = _mapping(path)
    names, unknown = _names(path, stated)
    # Switches come last: they stand above what they switch off.
    for name, known, value in sorted(names, key=lambda one: one[1] in _SWITCHES):
        reason = _IGNORED.get(known, "" if PUBLISHED[known].keys else PUBLISHED[known].meaning)
        found = {} if reason else _converted(path, known, value)
        keys |= found
        if found:
            became.append(f"{name} is {_assigned(found)}")
        else:
            without.append(f"{name} ({reason or f'{_shown(value)} leaves it to the preset'})")
    if keys.get("distill.expansion_iterations") == 0 and "distill.max_start_epoch" in keys:
        keys["distill.initial_max_start_epoch"] = keys["distill.max_start_epoch"]
        became.append("so distill.initial_max_start_epoch = distill.max_start_epoch throughout")
    tables: dict[str, Keys] = {}
    for name, value in keys.items():
        table, _, key = name.partition(".")
        tables.setdefault(table, {})[key] = value
    without += [f"{name} (no name of DATM's published files)" for name in unknown]
    return tables, _notes(path, became, without, twice)


def _notes(path: Path, became: list[str], without: list[str], twice: list[str]) -> tuple[str, ...]:
    notes = {
        "published names": became,
        "published names without a counterpart": without,
        "stated twice, the last value counts": twice,
    }
    return tuple(f"{path.name}: {what}: {'; '.join(each)}" for what, each in notes.items() if each)


def _shown(value: Any) -> str:
    return _SHORT.repr(value)[:80]


def _assigned(keys: Keys) -> str:
    return ", ".join(f"{key} = {value}" for key, value in keys.items())


def _names(path: Path, stated: Mapping[Any, Any]) -> tuple[list[tuple[str, str, Any]], list[str]]:
    """Each name as it is written and as it is published, and its value; and the unknown names.

    Raises ConfigError where two spellings of a name have values, and where no name is known.
    """
    found: list[tuple[str, str, Any]] = []
    unknown = []
    for name, value in stated.items():
        known = published_name(name) if isinstance(name, str) else None
        if known is None:
            unknown.append(_shown(name))
            continue
        if any(known == other for _, other, _ in found):
            raise _wrong(path, f"{name} is stated twice, in two spellings")
        found.append((str(name), known, value))
    if not found:
        raise _wrong(path, f"{', '.join(unknown[:5])}: no name of DATM's published files")
    return found, unknown


def _mapping(path: Path) -> tuple[Mapping[Any, Any], list[str]]:
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
    """What the published `name` sets here; nothing where its value leaves it to the preset."""
    if value is None:
        return {}
    if name in _SWITCHES:
        return _switched(name, _switch(path, name, value))
    if name in _CONVERTERS:
        if not isinstance(value, str):
            raise _wrong(path, f"{name}: {_shown(value)} is not a word")
        return _CONVERTERS[name](path, value)
    keys = _SET.get(name, PUBLISHED[name].keys)
    table, _, key = keys[0].partition(".")
    is_real = fields(Config, table)[key].annotation is float
    return dict.fromkeys(keys, _number(path, name, value, whole=not is_real))


def _switched(name: str, on: bool) -> Keys:
    if name == "zca":
        return {"dataset.preprocessing": "zca" if on else "normalize"}
    if name == "dsa" and not on:
        return {"dataset.augmentation": []}
    if name == "teacher_label" and on:
        return dict(zip(PUBLISHED[name].keys, ("soft", "one", 0.0), strict=True))
    if name == "Sequential_Generation" and not on:
        return {"distill.expansion_iterations": 0}
    return {}


def _dataset(path: Path, value: str) -> Keys:
    return {"dataset.name": _DATASETS.get(value.lower().replace("-", ""), value)}


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


def _pix_init(path: Path, value: str) -> Keys:
    if value not in _IMAGES:
        raise _wrong(path, f"pix_init: {value}: it is one of {', '.join(_IMAGES)}")
    keys = {"distill.images": _IMAGES[value]}
    if value in _LABEL_EXPERTS:
        keys["distill.label_experts"] = _LABEL_EXPERTS[value]
    return keys


def _strategy(path: Path, value: str) -> Keys:
    operations = [] if value.lower() == "none" else value.split("_")
    if unknown := [one for one in operations if one not in _OPERATIONS]:
        raise _wrong(path, f"dsa_strategy: {unknown[0]} is none of {', '.join(_OPERATIONS)}")
    return {"dataset.augmentation": operations}


def _eval_mode(path: Path, value: str) -> Keys:
    pools = {"S": ["convnet"], "M": ["mlp", "convnet", "lenet", "alexnet", "vgg11", "resnet18"]}
    if value not in pools:
        wrong = f"eval_mode: {value}: it is one of {', '.join(pools)} here"
        raise _wrong(path, f"{wrong}; evaluate.networks names any others")
    return {"evaluate.networks": pools[value]}


_CONVERTERS: dict[str, Callable[[Path, str], Keys]] = {
    "dataset": _dataset,
    "model": _model,
    "pix_init": _pix_init,
    "dsa_strategy": _strategy,
    "eval_mode": _eval_mode,
}


def _number(path: Path, name: str, value: Any, *, whole: bool) -> int | float:
    """YAML reads 1e-05 as a text, and 1. as a float."""
    with suppress(ValueError, OverflowError):
        if isinstance(value, str):
            value = float(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not whole:
                return float(value)
            if value == int(value):
                return int(value)
    wanted = "a whole number" if whole else "a number"
    raise _wrong(path, f"{name}: {_shown(value)} is not {wanted}")


def _switch(path: Path, name: str, value: Any) -> bool:
    known = {"true": True, "false": False}
    switch = known.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(switch, bool):
        raise _wrong(path, f"{name}: {_shown(value)} is neither True nor False")
    return switch


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError(f"{path}: {what}", command("ls", "-l", path))
