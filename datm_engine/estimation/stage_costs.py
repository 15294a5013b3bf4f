"""What each stage of a run costs on a machine of a known speed, and what cheaper settings save."""

from __future__ import annotations

from dataclasses import dataclass

from datm_engine.estimation.machine_speed import MachineSpeed
from datm_engine.estimation.workload import Stage, Workload, operations

# What one core, and one GPU, does in a second without compilation, roughly, on small networks:
# enough to separate minutes of work from hours by counting, so that a resumed run counts the same.
CORE, GPU = 2e10, 1e13
# Compiling takes about a minute for a function and saves a third of its time.
PAYS_AFTER = 300.0
COMPILED = 1.5  # times as fast as without
# Seconds of compiling a function; student steps are two, there and back.
COMPILING, COMPILING_STUDENT = 25.0, 60.0


@dataclass(frozen=True)
class StageCost:
    """Of a stage: seconds, of them those of compiling; bytes of memory; bytes on disk."""

    stage: str
    seconds: float
    compiling: float
    memory: int
    disk: int


@dataclass(frozen=True)
class RunCost:
    """Of all stages of a run."""

    stages: tuple[StageCost, ...]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def compiling(self) -> float:
        return sum(stage.compiling for stage in self.stages)

    @property
    def memory(self) -> int:
        return max(stage.memory for stage in self.stages)

    @property
    def disk(self) -> int:
        return sum(stage.disk for stage in self.stages)


def seconds_of_work(flops: float, threads: int, device_kind: str) -> float:
    """Rough seconds of so many operations, by which a run decides what to compile."""
    return flops / (CORE * threads if device_kind == "cpu" else GPU)


def run_cost(workload: Workload, speed: MachineSpeed, compiling: str = "auto") -> RunCost:
    """The cost of a run. compiling: "auto", "on" or "off"."""
    compiled: set[str] = set()
    stages = workload.stages()
    total: dict[str, float] = {}  # operations of each function that may be compiled
    for stage in stages:
        for steps in stage.steps:
            flops = operations(steps, workload.network(steps.network)).flops * steps.count
            total[steps.function] = total.get(steps.function, 0.0) + flops
    for name, flops in total.items():
        work = seconds_of_work(flops, speed.threads, speed.device_kind)
        if name and (compiling == "on" or (compiling == "auto" and work > PAYS_AFTER)):
            compiled.add(name)
    costs = []
    paid: set[str] = set()  # compiled once, in the first stage that uses it
    for stage in stages:
        costs.append(_stage_cost(stage, workload, speed, compiled, paid))
        paid |= compiled & {steps.function for steps in stage.steps}
    return RunCost(tuple(costs))


def _stage_cost(
    stage: Stage, workload: Workload, speed: MachineSpeed, compiled: set[str], paid: set[str]
) -> StageCost:
    seconds, compiling = speed.seconds(stage.other), 0.0
    for steps in stage.steps:
        each = operations(steps, workload.network(steps.network))
        factor = COMPILED if steps.function in compiled else 1.0
        seconds += speed.seconds(each) * steps.count / factor
    for function in compiled & {steps.function for steps in stage.steps} - paid:
        compiling += COMPILING_STUDENT if function == "student steps" else COMPILING
    return StageCost(
        stage.name, seconds + compiling, compiling, round(stage.memory), round(stage.disk)
    )
