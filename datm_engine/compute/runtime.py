"""The device, precision, memory and number of threads of a run, and its random draws."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from datm_engine.compute.ranks import ALONE, Ranks
from datm_engine.compute.requested import (
    DEVICES,
    NO_DEVICE,
    check_arithmetic,
    check_same,
    wrong_device,
)
from datm_engine.compute.threads import core_numbers, parse_threads, thread_count
from datm_engine.errors import ConfigError, Setting, Stopped
from datm_engine.formatting import plural
from datm_engine.runs.manifest import Arithmetic

# Where a CPU's library has no kernels for bfloat16, it takes ten times as long as in float32.
CPU_HAS_BFLOAT16 = torch.backends.mkldnn.is_available() and bool(
    torch.ops.mkldnn._is_mkldnn_bf16_supported()
)


@dataclass
class Compiler:
    """When to compile: "on", "off", or "auto", which decides once for each function, by its work.

    decided: the decisions so far. record: called whenever one is added. broken: a compilation
    failed, and no other is tried.
    """

    mode: str = "off"
    decided: dict[str, bool] = field(default_factory=dict)
    record: Callable[[], object] | None = None
    broken: bool = False

    def decide(self, what: str, pays: bool) -> None:
        self.decided[what] = pays
        if self.record is not None:
            self.record()


def never() -> bool:
    return False


@dataclass(frozen=True)
class Runtime:
    """Where and how a run computes.

    dtype: of weights, images, labels and sums. precision: of products in layers: "float32", "tf32"
    (on CUDA, 10 bits of mantissa) or "bfloat16" (7 bits). memory: bytes that may be spent on
    keeping graphs instead of building them twice. ranks: the processes that share the work.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    precision: str = "float32"
    memory: int = 0
    compiler: Compiler = field(default_factory=Compiler)
    ranks: Ranks = ALONE
    stop: Callable[[], bool] = never  # whether a stop is requested, on this rank
    save_now: Callable[[], bool] = never  # whether a checkpoint is requested; True once a request

    def check_stop(self) -> None:
        """Raise Stopped if a stop is requested on any rank. All ranks call it at the same point."""
        if self.ranks.any(self.stop()):
            raise Stopped

    def check_stop_here(self) -> None:
        """Raise Stopped if a stop is requested on this rank, within `Ranks.stopping_together`."""
        if self.stop():
            raise Stopped

    @property
    def compute(self) -> torch.dtype | None:
        """The dtype that layers compute in, if it is not `dtype`."""
        return torch.bfloat16 if self.precision == "bfloat16" else None

    def using(self, precision: str) -> Runtime:
        """The same with another precision. On a GPU it applies to the whole process."""
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
            torch.backends.cudnn.allow_tf32 = precision == "tf32"
        return replace(self, precision=precision)

    @contextmanager
    def exact(self) -> Iterator[None]:
        """A context in which products are exact, on a GPU too, whatever the precision."""
        self.using("float32")
        try:
            yield
        finally:
            self.using(self.precision)

    @property
    def choices(self) -> str:
        """The precision and the compilation in words."""
        exact = {
            "float32": "float32, the exact one",
            "tf32": "tf32: float32 with 10 bits of mantissa in products",
            "bfloat16": "bfloat16, with weights, gradients and sums in float32",
        }[self.precision]
        compiling = {
            "auto": "steps are compiled where they take minutes",
            "on": "steps are compiled",
            "off": "nothing is compiled",
        }[self.compiler.mode]
        if self.precision == "bfloat16" and self.device.type == "cpu" and not CPU_HAS_BFLOAT16:
            exact += " (this CPU has no kernels for it: the ConvNet rounds, hardly faster for it)"
        return f"precision {exact}; {compiling}"

    @property
    def arithmetic(self) -> Arithmetic:
        """What a run keeps to resume with the same arithmetic."""
        stated = {
            "precision": self.precision,
            "memory": self.memory,
            "threads": torch.get_num_threads(),
            "compile": self.compiler.mode,
            "compiled": self.compiler.decided,
        }
        return Arithmetic.model_validate(stated)

    def place(self, tensor: Tensor) -> Tensor:
        """The tensor on the device. Floating point numbers get the run's dtype."""
        dtype = self.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(self.device, dtype)

    @property
    def description(self) -> str:
        several = f"{self.ranks.count} ranks on " if self.ranks.count > 1 else ""
        if self.device.type == "cuda":
            name = torch.cuda.get_device_name(self.device)
            return f"{several}cuda ({name})" if several else f"{self.device} ({name})"
        if self.device.type == "mps":
            return "mps (Apple GPU)"
        threads = torch.get_num_threads()
        return f"{several}cpu ({plural(threads, 'thread')}{several and ' each'})"

    @property
    def peak_memory(self) -> int:
        """The most bytes that this process has used so far, of the GPU if it uses one."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def start(
    device: str = "auto",
    precision: str = "auto",
    compiling: str = "auto",
    memory: str = "auto",
    before: Arithmetic | None = None,
    ranks: Ranks = ALONE,
    threads: str = "auto",
    work: float = math.inf,
) -> Runtime:
    """Returns the runtime, and sets torch's number of threads, for the whole process.

    device: "auto" (the best there is), "cuda", "cuda:1", "mps" or "cpu". precision, compiling: one
    of `PRECISIONS`, one of `COMPILING` in requested.py. memory: "8GB", or "auto": a quarter of what
    there is, at most half of what is free. before: of a run that resumes, whose choices hold.
    ranks: each of several has a GPU of its own, and a share of its machine's memory and cores.
    threads: a number, or "auto": `OMP_NUM_THREADS`, or by `work`, the multiply-adds of a step's
    forward pass.

    Raises ConfigError for what is unknown, does not exist here, or differs from `before`.
    """
    on = _device(device, ranks)
    budget = check_arithmetic(precision, compiling, memory, before)
    if before:
        precision, budget = before.precision, before.memory
        compiler = Compiler(before.compile, dict(before.compiled))
    else:
        compiler = Compiler(compiling)
    _set_threads(threads, work, before.threads if before else None, ranks)
    takes_tf32 = on.type == "cuda" and torch.cuda.get_device_capability(on) >= (8, 0)
    if precision == "auto":
        precision = "tf32" if takes_tf32 else "float32"
    if precision == "tf32" and not takes_tf32:
        takes = "an NVIDIA GPU from Ampere on"
        if before:
            wrong = f"the run was begun with tf32, and resumes where there is {takes}; this is {on}"
            raise ConfigError(wrong, "datm doctor")
        wrong = f"precision tf32: {on} has none, it takes {takes}"
        raise ConfigError(wrong, Setting("precision", "float32"))
    if budget is None:
        # Mostly by what the machine has: what is free differs from run to run.
        sharing = 1 if on.type == "cuda" else ranks.local_count
        budget = min(total_memory(on) // 4, free_memory(on) // 2) // sharing
    return Runtime(on, memory=budget, compiler=compiler, ranks=ranks).using(precision)


def _set_threads(given: str, work: float, before: int | None, ranks: Ranks) -> None:
    """Runs before the first parallel region: OpenMP's team has this size from its start."""
    count = parse_threads(given)
    if before is not None:
        check_same("threads", "auto" if count is None else count, before)
        count = before
    # Ranks that may use the cores of this one, itself included. A scheduler may separate them.
    host, cores = platform.node(), set(core_numbers())
    others = ranks.gather((host, cores))
    sharing = sum(other == host and bool(theirs & cores) for other, theirs in others)
    torch.set_num_threads(count or thread_count(work, sharing))


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the GPU, or that this machine could give a process."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            stated = dict(line.split(":", 1) for line in lines)
        return int(stated["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux: all there is, of which half is as good a guess
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def total_memory(device: torch.device) -> int:
    """Bytes that the GPU has, or this machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _device(name: str, ranks: Ranks) -> torch.device:
    kind, _, number = name.partition(":")
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = kind = next(kind for kind in available if available[kind])
    count = torch.cuda.device_count() if kind == "cuda" else 1
    wrong = ""
    if kind not in available or (number and not number.isdigit()):
        wrong = f"not one of {', '.join(DEVICES)}"
    elif not available[kind] or int(number or 0) >= count:
        wrong = NO_DEVICE
    if wrong:
        raise wrong_device(name, wrong)
    if ranks.count > 1:
        return _device_of_rank(kind, number, ranks)
    if kind == "cuda" and number:
        torch.cuda.set_device(int(number))  # for code that names no device
    return torch.device(name)


def _device_of_rank(kind: str, number: str, ranks: Ranks) -> torch.device:
    """A GPU of its own for each rank, or the CPU for all. Raises ConfigError, on all ranks, if two
    have the same GPU or devices of different kinds."""
    if number:
        wrong = f"device {kind}:{number}: of {ranks.count} ranks each takes a GPU of its own"
        raise ConfigError(wrong, Setting("device", kind))
    if kind == "mps":
        wrong = f"{ranks.count} ranks cannot share the one GPU here"
        raise ConfigError(wrong, Setting("device", "cpu"))
    own, gpu = torch.device("cpu"), ""
    if kind == "cuda":
        # All GPUs of the machine are visible to each rank, or only those of its own task.
        own = torch.device("cuda", ranks.local % torch.cuda.device_count())
        gpu = str(torch.cuda.get_device_properties(own).uuid)
    _check_devices(ranks.gather((platform.node(), kind, gpu)))
    if kind == "cuda":
        torch.cuda.set_device(own)
    return own


def _check_devices(devices: list[tuple[str, str, str]]) -> None:
    """devices: the host, the kind of device and the GPU's uuid of each rank."""
    for rank, (host, kind, gpu) in enumerate(devices):
        first = devices.index((host, kind, gpu))
        wrong = ""
        if kind != devices[0][1]:
            wrong = f"rank 0 computes on {devices[0][1]} ({devices[0][0]}), "
            wrong += f"rank {rank} on {kind} ({host})"
        elif gpu and first != rank:
            wrong = (
                f"ranks {first} and {rank} have the same GPU ({gpu} of {host}), and need one each"
            )
        if wrong:
            raise ConfigError(wrong, Setting("device", "cpu"))


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose. Each draw can be repeated without the others."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A generator on the CPU for one purpose; the same arguments give the same draws."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def environment() -> dict[str, str | int]:
    """The versions and the process, as run.json records them."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "host": platform.node(),
        "process": os.getpid(),
    }
