"""Checks what a command states of how to compute, without torch: names, sizes, the run before."""

from __future__ import annotations

from pydantic import ByteSize, TypeAdapter, ValidationError

from datm_engine.compute.device_kind import has_gpu_driver
from datm_engine.compute.threads import parse_threads
from datm_engine.errors import ConfigError, Setting
from datm_engine.runs.manifest import Arithmetic

DEVICES = ("auto", "cuda", "mps", "cpu")
PRECISIONS = ("auto", "float32", "tf32", "bfloat16")
COMPILING = ("auto", "on", "off")
NO_DEVICE = "this machine has no such device"


def check_requested(
    device: str,
    precision: str,
    compiling: str,
    memory: str,
    threads: str,
    before: Arithmetic | None,
) -> None:
    """Raise ConfigError for what `compute.runtime.start` would refuse on any machine, and for a GPU
    where there is no driver of one. The arguments are those of `start`."""
    kind, _, number = device.partition(":")
    if kind not in DEVICES or (number and not number.isdigit()):
        raise wrong_device(device, f"not one of {', '.join(DEVICES)}")
    if kind == "cuda" and not has_gpu_driver():
        raise wrong_device(device, NO_DEVICE)
    check_arithmetic(precision, compiling, memory, before)
    count = parse_threads(threads)
    if before is not None and before.threads is not None:
        check_same("threads", "auto" if count is None else count, before.threads)


def wrong_device(device: str, reason: str) -> ConfigError:
    return ConfigError(f"device {device}: {reason}", Setting("device", "auto"))


def check_arithmetic(
    precision: str, compiling: str, memory: str, before: Arithmetic | None
) -> int | None:
    """The bytes of memory that are stated, None for "auto". Raises ConfigError."""
    _check("precision", precision, PRECISIONS)
    _check("compile", compiling, COMPILING)
    budget = parse_memory(memory)
    if before:
        check_same("precision", precision, before.precision)
        check_same("compile", compiling, before.compile)
        check_same("memory", memory if budget is None else budget, before.memory)
    return budget


def _check(argument: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        wrong = f"{argument} {value}: not one of {', '.join(known)}"
        raise ConfigError(wrong, Setting(argument, "auto"))


def check_same(argument: str, given: str | int, before: str | int) -> None:
    """Raises ConfigError for another arithmetic: a resumed run would differ."""
    if given not in ("auto", before):
        wrong = f"{argument} {given}: the run was begun with {before}, and continues with it"
        raise ConfigError(wrong, Setting(argument, "auto"))


def parse_memory(memory: str) -> int | None:
    """ "8GB" → 8,000,000,000; None for "auto". Raises ConfigError."""
    if memory == "auto":
        return None
    try:
        return int(TypeAdapter(ByteSize).validate_python(memory))
    except ValidationError:
        wrong = f"memory {memory}: not a size like 8GB"
        raise ConfigError(wrong, Setting("memory", "auto")) from None
