"""What a run is estimated to cost: steps by stage, seconds by the machine's speed, savings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datm_engine.calibration.machine_probe import measure_speed
from datm_engine.compute.runtime import Runtime
from datm_engine.estimation.machine_speed import FILE, MachineSpeed, SpeedCache
from datm_engine.estimation.savings import savings
from datm_engine.estimation.stage_costs import COMPILED, run_cost
from datm_engine.estimation.workload import Stage, Workload, operations
from datm_engine.settings.config import Config

SPEED = MachineSpeed("cpu (1 thread)", "cpu", 1, flop=1e-11, byte=1e-10, kernel=1e-5)


def workload(config: Config, **over: Any) -> Workload:
    return Workload(config, (1, 8, 8), 10, images=1000, held_out=50, **over)


def stage(work: Workload, name: str) -> Stage:
    return next(stage for stage in work.stages() if stage.name == name)


def counts(of: Stage) -> dict[str, float]:
    return {f"{steps.kind} of {steps.batch}": steps.count for steps in of.steps if steps.count}


def test_the_steps_of_each_stage(make_config: Callable[..., Config]) -> None:
    config = make_config(
        experts={"count": 3, "epochs": 5, "batch": 300, "optimizer": "sgd"},
        distill={
            "ipc": 2,
            "iterations": 7,
            "syn_steps": 4,
            "batch_syn": 100,
            "max_start_epoch": 2,
            "initial_max_start_epoch": 1,
            "expert_epochs": 1,
        },
        evaluate={
            "repeats": 2,
            "epochs": 9,
            "full_repeats": 1,
            "full_epochs": 4,
            "batch": 128,
            "against": ["random", "full"],
            "selection": "last",
        },
    )
    work = workload(config)
    assert [each.name for each in work.stages()] == [
        "dataset", "experts", "distill", "evaluate", "real images"
    ]  # fmt: skip
    # 1,000 images in batches of 300 are 4 steps of 250; 3 experts of 5 epochs.
    experts = counts(stage(work, "experts"))
    assert experts == {"expert of 250": 60, "forward of 1000": pytest.approx(3.15)}
    # Epochs 0 to 9 of two networks on 20 images; epochs 0 to 4 of one on 1,000, in 8 batches.
    assert counts(stage(work, "real images")) == {"evaluation of 20": 20, "evaluation of 125": 40}
    assert counts(stage(work, "distill")) == {"gradient of 20": 28, "pullback of 20": 28}
    assert counts(stage(work, "evaluate")) == {"evaluation of 20": 20}
    # Snapshots of 6 epochs, 3 experts, float32.
    assert stage(work, "experts").disk == 3 * 6 * 4 * work.network().weights


def test_experts_on_disk_and_kept_graphs_cost_nothing_again(
    make_config: Callable[..., Config],
) -> None:
    work = workload(make_config())
    some = replace(work, trained=1)
    assert stage(some, "experts").disk < stage(work, "experts").disk
    assert not stage(replace(work, trained=work.config.experts.count), "experts").disk
    kept = stage(replace(work, graph_memory=1e12), "distill")
    kinds = {steps.kind for steps in kept.steps if steps.count}
    assert "derivatives" in kinds
    assert "pullback" not in kinds


def test_calibration_is_a_stage_where_settings_are_derived(
    make_config: Callable[..., Config],
) -> None:
    work = workload(make_config(), derives=True)
    assert "calibration" in [each.name for each in work.stages()]
    assert run_cost(work, SPEED).seconds > run_cost(replace(work, derives=False), SPEED).seconds


def test_seconds_are_operations_times_the_speed(make_config: Callable[..., Config]) -> None:
    work = workload(make_config())
    cost = run_cost(work, SPEED, "off")
    for of, costs in zip(work.stages(), cost.stages, strict=True):
        total = SPEED.seconds(of.other)
        for steps in of.steps:
            total += steps.count * SPEED.seconds(operations(steps, work.network(steps.network)))
        assert costs.seconds == pytest.approx(total)
        assert costs.compiling == 0
    assert cost.seconds == pytest.approx(sum(stage.seconds for stage in cost.stages))


def test_compiling_is_stated_and_makes_steps_faster(make_config: Callable[..., Config]) -> None:
    work = workload(make_config())
    plain, compiled = run_cost(work, SPEED, "off"), run_cost(work, SPEED, "on")
    assert compiled.compiling > 0
    before, after = (cost.stages[2] for cost in (plain, compiled))
    assert after.stage == "distill"
    assert after.seconds - after.compiling == pytest.approx(before.seconds / COMPILED)
    assert run_cost(work, SPEED, "auto") == plain  # a tiny run compiles nothing


def test_savings_name_what_they_save_and_cost(make_config: Callable[..., Config]) -> None:
    config = make_config(
        experts={"count": 40, "epochs": 60}, evaluate={"against": ["random", "full"]}
    )
    found = {saving.key: saving for saving in savings(workload(config), SPEED)}
    assert found["experts.count"].value == 10
    assert found["experts.epochs"].value == "window"
    seconds = [saving.seconds for saving in found.values()]
    assert seconds == sorted(seconds, reverse=True)
    fewer = config.with_values({"experts": {"count": 10}}, "here")
    now, then = (run_cost(workload(each), SPEED).seconds for each in (config, fewer))
    assert found["experts.count"].seconds == pytest.approx(now - then)
    early = config.with_values({"experts": {"early_stop": True}}, "here")
    assert "experts.epochs" not in {saving.key for saving in savings(workload(early), SPEED)}
    assert run_cost(workload(early), SPEED).seconds < run_cost(workload(config), SPEED).seconds


def test_a_speed_is_kept_under_what_it_depends_on(tmp_path: Path) -> None:
    cache = SpeedCache(tmp_path / "data")
    one, two = (cache.key("auto", "auto", threads) for threads in (1, 2))
    assert cache.read(one) is None
    cache.write(one, SPEED)
    assert cache.read(one) == SPEED
    assert cache.read(two) is None
    (tmp_path / "data" / FILE).write_text("{")  # damaged: measured again
    assert cache.read(one) is None
    cache.write(two, SPEED)
    assert cache.read(two) == SPEED


def test_a_measured_speed_predicts_its_probes(cpu: Runtime) -> None:
    speed = measure_speed(cpu)
    assert (speed.device_kind, speed.device) == ("cpu", cpu.description)
    assert min(speed.flop, speed.byte, speed.kernel) >= 0
    assert speed.flop + speed.byte > 0
