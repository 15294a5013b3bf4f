"""The number of threads that torch computes with on a CPU, and how they wait for each other.

The number follows from the work of a step and the cores that this process may use, not from the
load of the machine. So a run repeats bit for bit, whatever else the machine does.
`python -m benchmarks.threads` measures both choices.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

from datm_engine.errors import ConfigError, Setting
from datm_engine.runs.manifest import MAX_THREADS
from datm_engine.settings.config import Config, NetworkConfig
from datm_engine.settings.convnet_sizes import Size, convnet_multiply_adds
from datm_engine.settings.image_size import Shape

# Below this many multiply-adds of a forward pass, a second thread costs as much as it computes.
# Two threads beside one, forward and backward, on two cores: 0.9 times as fast at 2 million, 1.3
# at 20, 1.5 at 40, 1.8 at 500.
WORK_OF_A_THREAD = 20e6
HEAVY = frozenset({"resnet18", "vgg11", "alexnet", "vit"})  # at any size of image

# OpenMP's threads spin while they wait for each other. A waiting thread that spins for long
# takes the core that the thread it waits for needs, as soon as another process is busy.
SPIN_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# Rounds of spinning, chosen on two cores with two threads. A student's step, how many times as fast
# as with libgomp's default, quiet and beside one and two busy processes: 1,000 rounds 0.9 to 1.0,
# 1.0 to 1.6, 1.2 to 1.4; 10,000 rounds 1.1 to 1.2, 0.6 to 0.9, 0.7 to 1.6; none 0.6 to 0.8, 1.3 to
# 1.8, 1.2 to 1.9.
SPIN_COUNT = 1_000


def limit_spinning(environment: MutableMapping[str, str]) -> None:
    """Set how long OpenMP's threads spin, unless the user has set it.

    libgomp reads it when it is loaded: torch and scikit-learn must not be imported yet.
    """
    if not any(name in environment for name in SPIN_VARIABLES) and "torch" not in sys.modules:
        environment["GOMP_SPINCOUNT"] = str(SPIN_COUNT)


def core_numbers() -> list[int]:
    """The cores of the affinity mask; all of the machine's where the system has no masks."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_cores() -> int:
    """Cores that this process may use, by its affinity mask and its control group's quota."""
    import joblib

    return int(joblib.cpu_count())


def run_work(config: Config, shape: Shape | None) -> float:
    """Multiply-adds of the forward pass of a student's step, or of a step of evaluation where
    these are more; for colour images of 32×32 where their size is not known yet."""
    size, classes = _size(shape)
    evaluation = evaluation_work(config, size, config.distill.ipc * classes)
    return max(student_work(config, size, classes), evaluation)


def expert_work(config: Config, shape: Shape | None) -> float:
    """Multiply-adds of the forward pass of an expert's step."""
    size, _ = _size(shape)
    return convnet_work(config.network, size, config.experts.batch)


def _size(shape: Shape | None) -> tuple[Size, int]:
    known = shape or Shape(10, None, None, None)
    return known.assumed_size, known.classes


def student_work(config: Config, size: Size, classes: int) -> float:
    """Multiply-adds of the forward pass of a student's step."""
    settings = config.distill
    batch = min(settings.batch_syn, settings.ipc * classes)
    return convnet_work(config.network, size, 2 * batch if settings.mirrored else batch)


def evaluation_work(config: Config, size: Size, images: int) -> float:
    """Multiply-adds of the forward pass of a step that trains on a set of so many images, or on
    all; infinite where a heavy network is evaluated."""
    settings = config.evaluate
    if HEAVY & set(settings.networks):
        return float("inf")
    batch = settings.batch if "full" in settings.against else min(settings.batch, images)
    return convnet_work(config.network, size, 2 * batch if settings.mirrored else batch)


def convnet_work(network: NetworkConfig, size: Size, batch: int) -> float:
    """Multiply-adds of the ConvNet's forward pass over a batch, by its convolutions."""
    return float(convnet_multiply_adds(network.width, network.depth, size) * batch)


def threads_for(work: float, cores: int) -> int:
    """Threads that a step of so many multiply-adds keeps busy: at least one, at most `cores`."""
    return max(1, round(min(work / WORK_OF_A_THREAD, cores)))


def thread_count(work: float, sharing: int = 1) -> int:
    """Threads of a run that states none: OMP_NUM_THREADS where that is set, else as many as its
    work keeps busy. sharing: processes that share the cores."""
    # Not torch's number, which an earlier run of this process may have set.
    stated = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if stated.isdecimal() and int(stated) > 0:
        return int(stated)
    return threads_for(work, max(1, available_cores() // sharing))


def parse_threads(text: str) -> int | None:
    """A number of threads as text; None for "auto". Raises ConfigError."""
    if text == "auto":
        return None
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MAX_THREADS:
        raise ConfigError(
            f"threads {text}: not auto or a number from 1 on", Setting("threads", "auto")
        )
    return int(text)
