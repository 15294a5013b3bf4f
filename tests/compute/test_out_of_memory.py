"""Memory that runs out becomes smaller pieces, and where that does not help, two lines."""

from __future__ import annotations

import pkgutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datm_engine.compute.memory_errors import (
    OutOfMemory,
    is_out_of_memory,
    oom_as_error,
    translate_oom,
)
from datm_engine.compute.runtime import Compiler, Runtime
from datm_engine.data.prepared import PreparedData
from datm_engine.distillation import out_of_memory
from datm_engine.distillation.initialization import initial_set
from datm_engine.distillation.iteration import Distillation
from datm_engine.distillation.loop import first_checkpoint
from datm_engine.errors import DatmError, Setting
from datm_engine.experts.train import expert_network, train_experts
from datm_engine.hints import fix_text
from datm_engine.pipeline import make_distilled_set
from datm_engine.runs.checkpoint import Checkpoint
from datm_engine.runs.directory import Folders, Run
from datm_engine.runs.events import Matched, Noted, ignore
from datm_engine.settings.config import Config
from datm_engine.training.losses import Gradient
from tests.distillation.test_sharding import short_of_memory

Make = Callable[..., Config]
Finished = Callable[..., tuple[list[Any], Any]]
SAID = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to …"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError(),
]


@pytest.mark.parametrize("problem", SAID, ids=["CUDA", "CPU", "cuBLAS", "Python"])
def test_whoever_notices_it_is_the_same(problem: Exception) -> None:
    assert is_out_of_memory(problem)
    with pytest.raises(OutOfMemory), translate_oom():
        raise problem
    with (
        pytest.raises(DatmError, match="out of memory for this") as raised,
        oom_as_error("this", "-x"),
    ):
        raise problem
    assert fix_text(raised.value.fix) == "-x"


def test_other_problems_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), translate_oom():
        raise RuntimeError("shapes cannot be multiplied")
    with pytest.raises(ZeroDivisionError), oom_as_error("this", "-x"):
        raise ZeroDivisionError


@pytest.fixture
def road(
    folders: Folders, cpu: Runtime, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Run, list[Any]]]:
    """The road, or on with it, where student steps have room for so many images."""
    plainly = out_of_memory.student_gradient

    def walk(
        config: Config, name: str, most: int, make: Callable[[Gradient, int], Gradient]
    ) -> tuple[Run, list[Any]]:
        monkeypatch.setattr(
            out_of_memory, "student_gradient", lambda net, **how: make(plainly(net, **how), most)
        )
        made = (folders.runs / name).exists()
        run = Run(folders.runs / name) if made else Run.create(folders.runs, name, config, {})
        with run.recording() as record:
            seen: list[Any] = []
            with record.recorded(seen.append) as emit:
                make_distilled_set(config, run, folders, cpu, emit=emit)
            return run, seen

    return walk


def notes(seen: list[Any]) -> list[str]:
    return [e.text for e in seen if isinstance(e, Noted) and "out of memory" in e.text]


def test_a_run_that_runs_out_goes_on_in_pieces(make_config: Make, road: Any) -> None:
    over = {"batch_syn": 10, "iterations": 3}
    config = make_config(distill=over, evaluate={"selection": "last"})
    whole, _ = road(config, "whole", 10, short_of_memory)
    run, seen = road(config, "pieces", 3, short_of_memory)
    assert notes(seen) == [
        f"out of memory: student steps' batches of 10 are computed in pieces of at most {most} "
        "images from here on; the gradient stays the same"
        for most in (5, 3)
    ]
    matched = [event.iteration for event in seen if isinstance(event, Matched)]
    assert matched == [1, 2, 3], "the iteration that ran out was tried again"
    ours, theirs = Checkpoint.load(run.checkpoint), Checkpoint.load(whole.checkpoint)
    assert (ours.progress.piece_size, theirs.progress.piece_size) == (3, None)
    for name, learned in theirs.learned.items():
        assert torch.allclose(ours.learned[name], learned, rtol=1e-3, atol=1e-4)
    more = make_config(distill={**over, "iterations": 4}, evaluate={"selection": "last"})
    _, seen = road(more, "pieces", 3, short_of_memory)
    assert not notes(seen), "a resumed run knows what fits"


def test_kept_graphs_go_first(make_config: Make, road: Any, cpu: Runtime) -> None:
    """Room for two graphs at a time, though the budget says otherwise."""
    alive: list[Any] = []

    def two_graphs(gradient: Gradient, most: int) -> Gradient:
        def tight(theta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
            graphs = [ref for ref in alive if ref() is not None]
            if torch.is_grad_enabled() and len(graphs) >= most:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            g = gradient(theta, images, labels)
            if torch.is_grad_enabled():
                alive.append(weakref.ref(g))
            return g

        return tight

    object.__setattr__(cpu, "memory", 10**9)
    _, seen = road(make_config(distill={"iterations": 2}), "kept", 2, two_graphs)
    assert notes(seen) == ["out of memory: graphs of 1 student steps are kept now"]
    assert [event.iteration for event in seen if isinstance(event, Matched)] == [1, 2]


@pytest.mark.parametrize(
    "place",
    [
        "datm_engine.distillation.segment_reader.Segments.__call__",
        "datm_engine.distillation.matching._squared_distance",
        "datm_engine.distillation.learned.sgd_step",
    ],
)
def test_what_is_no_students_step_makes_room_too(
    place: str, make_config: Make, road: Any, cpu: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is left half changed: what has descended before is undone."""
    object.__setattr__(cpu, "memory", 10**9)
    config = make_config(distill={"iterations": 3}, evaluate={"selection": "last"})
    whole, _ = road(config, "whole", 10, short_of_memory)
    plainly, calls = pkgutil.resolve_name(place), 0

    def full_once(*given: Any, **how: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return plainly(*given, **how)

    monkeypatch.setattr(place, full_once)
    run, seen = road(config, "tight", 10, short_of_memory)
    assert len(notes(seen)) == 1
    assert [event.iteration for event in seen if isinstance(event, Matched)] == [1, 2, 3]
    ours, theirs = Checkpoint.load(run.checkpoint), Checkpoint.load(whole.checkpoint)
    for name in theirs.learned:
        assert torch.allclose(ours.learned[name], theirs.learned[name], rtol=1e-4)
        assert torch.allclose(ours.velocities[name], theirs.velocities[name], rtol=1e-3, atol=1e-7)


def test_not_even_one_image(make_config: Make, road: Any, folders: Folders) -> None:
    with pytest.raises(DatmError, match="no room for a student step on a single image") as raised:
        road(make_config(), "none", 0, short_of_memory)
    assert "--set distill.syn_steps=1" in fix_text(raised.value.fix)
    assert Checkpoint.load(folders.runs / "none" / "checkpoint.safetensors").progress.iteration == 0


@pytest.mark.parametrize(
    ("module", "function", "hint"),
    [
        ("datm_engine.experts.train", "expert_step", "--set experts.batch=32"),
        ("datm_engine.evaluation.evaluate", "evaluation_step", "--set evaluate.batch=64"),
    ],
)
def test_other_stages_name_the_setting(
    module: str,
    function: str,
    hint: str,
    make_config: Make,
    folders: Folders,
    cpu: Runtime,
    finished: Finished,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def full(*given: object, **how: object) -> Any:
        def step(*tensors: Tensor) -> Any:
            raise SAID[0]

        return step

    monkeypatch.setattr(f"{module}.{function}", full)
    run = Run.create(folders.runs, "run", make_config(), {})
    with pytest.raises(DatmError, match="out of memory for training") as raised:
        finished(make_distilled_set, make_config(), run, folders, cpu)
    assert fix_text(raised.value.fix) == hint


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Runtime]:
    """A runtime that compiles every function, where compiled steps have room for so many images."""

    def make(most: int) -> Runtime:
        def compile_(function: Any, **options: Any) -> Any:
            def tight(*given: Tensor) -> Any:
                if max(len(tensor) for tensor in given if tensor.ndim == 4) > most:
                    raise SAID[0]
                return function(*given)

            return tight

        monkeypatch.setattr(torch, "compile", compile_)
        return Runtime(torch.device("cpu"), compiler=Compiler("on"))

    return make


def test_a_compiled_step_of_experts_that_runs_out_names_the_setting(
    compiling: Callable[[int], Runtime], make_config: Make, folders: Folders, finished: Finished
) -> None:
    on = compiling(63)  # of 64
    run = Run.create(folders.runs, "run", make_config(), {})
    with pytest.raises(DatmError, match="out of memory for training experts") as raised:
        finished(make_distilled_set, make_config(), run, folders, on)
    assert raised.value.fix == Setting("experts.batch", 32)
    assert not on.compiler.broken


def test_compiled_student_steps_that_run_out_are_compiled_in_pieces(
    compiling: Callable[[int], Runtime],
    make_config: Make,
    digits: PreparedData,
    cpu: Runtime,
    finished: Finished,
    tmp_path: Path,
) -> None:
    config = make_config(distill={"batch_syn": 10})
    _, experts = finished(train_experts, config, digits, tmp_path, cpu)
    on = compiling(5)
    network = expert_network(config, digits, 0, on)
    start = initial_set(config, digits, experts, network, on, emit=ignore)
    checkpoint = first_checkpoint(start, experts)
    distillation = Distillation(config, experts, network, on, checkpoint)
    seen, _ = finished(distillation.prepare)
    texts = [event.text for event in seen if isinstance(event, Noted)]
    assert "in pieces of at most 5 images" in texts[0]
    assert texts[1].startswith("student steps: compiled in")
    assert not on.compiler.broken
    assert distillation.memory_plan.loss_gradient is not distillation.memory_plan._uncompiled
