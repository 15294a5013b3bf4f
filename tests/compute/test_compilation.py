"""Compilation pays or is left out, is never required, and is logged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo import config as dynamo
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.exc import CppCompileError, InductorError
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from datm_engine.compute import operation_counter
from datm_engine.compute.compilation import compiled, graph_size
from datm_engine.compute.memory_errors import OutOfMemory
from datm_engine.compute.runtime import Compiler, Runtime
from datm_engine.data.augmentation import OPERATIONS, draw
from datm_engine.distillation.batches import Step
from datm_engine.distillation.learned import Learned
from datm_engine.distillation.sharding import build_graph
from datm_engine.networks import convolution
from datm_engine.networks.convolution import Convolution
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import NAMES, build
from datm_engine.training.losses import student_gradient
from datm_engine.training.optimizers import evaluation_step, expert_step
from tests.conftest import ROOT, tiny_config

Finished = Callable[..., tuple[list[Any], Any]]


def square(x: Tensor) -> Tensor:
    return x @ x


def exercise(function: Callable[[Tensor], Tensor]) -> Tensor:
    return function(torch.eye(8))


def runtime(mode: str) -> Runtime:
    return Runtime(torch.device("cpu"), compiler=Compiler(mode))


def test_off_and_little_work_leave_the_function_as_it_is(finished: Finished) -> None:
    assert finished(compiled, runtime("off"), "squares", square, exercise, 10**12) == ([], square)
    on, result = runtime("auto"), []
    on.compiler.record = lambda: result.append(dict(on.compiler.decided))
    (noted,), same = finished(compiled, on, "squares", square, exercise, 10)
    assert same is square
    assert noted.text == "squares: not compiled, about 1 s of work"
    assert result == [{"squares": False}], "what was decided is kept"


def test_much_work_is_compiled_and_a_decision_holds(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def fake(function: Any, **options: Any) -> Any:
        made.append(options)
        return lambda x: function(x)

    monkeypatch.setattr(torch, "compile", fake)
    on = runtime("auto")
    result, faster = finished(compiled, on, "squares", square, exercise, 10**12)
    assert faster is not square
    assert result[0].what.startswith("compiling squares, about a minute")
    assert "squares: compiled in" in result[1].text
    assert made == [{"dynamic": False, "fullgraph": True, "mode": "default"}]
    assert on.compiler.decided == {"squares": True}
    finished(compiled, on, "squares", square, exercise, 1)
    assert len(made) == 2, "less work is left, and the decision stands"


def test_a_graph_is_captured_before_the_stage_begins(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch warms up at the first call, captures at the second, and replays from the third on."""
    calls, modes = [], []

    def fake(function: Any, **options: Any) -> Any:
        modes.append(options["mode"])

        def counted(x: Tensor) -> Tensor:
            calls.append(x)
            return function(x)

        return counted

    monkeypatch.setattr(torch, "compile", fake)
    on_cuda = Runtime(torch.device("cuda"), compiler=Compiler("on"))
    finished(compiled, on_cuda, "squares", square, exercise, 1, small_kernels=True)
    assert (modes, len(calls)) == (["reduce-overhead"], 3)
    finished(compiled, on_cuda, "squares", square, exercise, 1)
    assert (modes[1:], len(calls)) == (["default"], 4)


def test_every_network_and_shape_has_its_code() -> None:
    assert dynamo.recompile_limit >= 64, "which are of one code object, and are all kept"


def test_a_failed_compilation_is_reported_once_and_nothing_stops(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(function: Any, **options: Any) -> Any:
        def fail(x: Tensor) -> Tensor:
            raise RuntimeError("no compiler here\nand more")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    on = runtime("on")
    result, same = finished(compiled, on, "squares", square, exercise, 1)
    assert same is square
    assert [event.text for event in result[1:]] == [  # after the wait
        "squares: compiling failed (no compiler here); continuing without"
    ]
    assert finished(compiled, on, "cubes", square, exercise, 1) == ([], square)


def raising(problem: Exception) -> Callable[..., Any]:
    """A torch.compile whose functions raise `problem`."""

    def fail(*given: Any) -> Any:
        raise problem

    return lambda function, **options: fail


FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    "problem",
    [
        FULL,
        InductorError(FULL, None),
        InductorError(MemoryError(), None),
        BackendCompilerFailed(None, InductorError(FULL, None), None),
    ],
    ids=["called", "compiling", "of the host", "nested"],
)
def test_memory_that_runs_out_is_no_failure_of_the_compiler(
    problem: Exception, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", raising(problem))
    on = runtime("on")
    with pytest.raises(OutOfMemory):
        finished(compiled, on, "squares", square, exercise, 1)
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    (_, noted), _ = finished(compiled, on, "squares", square, exercise, 1)
    assert "squares: compiled in" in noted.text, "compilation stays on"


def test_the_memory_of_the_c_compiler_is_not_that_of_the_exercise(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = InductorError(CppCompileError(["g++"], "cc1plus: out of memory"), None)
    monkeypatch.setattr(torch, "compile", raising(problem))
    (_, noted), same = finished(compiled, runtime("on"), "squares", square, exercise, 1)
    assert "compiling failed" in noted.text
    assert same is square


def test_work_is_counted_without_memory(finished: Finished) -> None:
    """An exercise on fake tensors, of 4 TB each."""
    seen: list[Tensor] = []

    def large(function: Callable[[Tensor], Tensor]) -> None:
        seen.append(function(torch.eye(8).new_empty(10**6, 10**6)))

    on = runtime("auto")
    finished(compiled, on, "squares", square, large, 0)
    assert isinstance(seen[0], FakeTensor)
    assert on.compiler.decided == {"squares": False}


@pytest.mark.parametrize("operation", [None, *OPERATIONS])
@pytest.mark.parametrize("compute", [None, torch.bfloat16], ids=["float32", "bfloat16"])
def test_fake_tensors_count_as_real_ones(
    operation: str | None, compute: torch.dtype | None
) -> None:
    module = build("convnet", channels=3, size=(8, 8), classes=3, width=4, depth=2, seed=0)
    network = FlatNetwork(module, compute)
    images, labels, theta = torch.rand(6, 3, 8, 8), torch.rand(6, 3), network.initial()
    (drawn,) = draw([operation] if operation else [], [4], torch.Generator().manual_seed(0))
    step, learned = Step(torch.arange(4), drawn), Learned(images, labels, torch.tensor(0.01))

    def backward(gradient: Any) -> None:
        graph = build_graph(gradient, theta, learned, step)
        torch.autograd.grad(graph.g, graph.leaves, theta)

    assert counted(student_gradient(network), backward) > 100_000


@pytest.mark.parametrize("name", NAMES)
def test_networks_count_the_same_on_fake_tensors(name: str) -> None:
    module = build(name, channels=3, size=(32, 32), classes=3, width=4, depth=2, seed=0)
    network = FlatNetwork(module)
    theta, images, labels = network.initial(), torch.rand(2, 3, 32, 32), torch.rand(2, 3)
    running = {key: value.clone() for key, value in module.named_buffers()}

    def exercise(step: Any) -> None:
        step(theta, torch.zeros_like(theta), torch.tensor(0.1), images, labels)

    with FakeTensorMode(allow_non_fake_inputs=True):
        exercise(evaluation_step(network, 0.9, 5e-4))
    assert all(torch.equal(running[key], value) for key, value in module.named_buffers())
    assert counted(evaluation_step(network, 0.9, 5e-4), exercise) > 100_000


@pytest.mark.parametrize("optimizer", ["sgd", "gsam"])
def test_steps_of_experts_count_the_same_on_fake_tensors(optimizer: str) -> None:
    settings = tiny_config(experts={"optimizer": optimizer}).experts
    module = build("convnet", channels=3, size=(8, 8), classes=3, width=4, depth=2, seed=0)
    network = FlatNetwork(module)
    theta, images, labels = network.initial(), torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])

    def exercise(step: Any) -> None:
        step(theta, torch.zeros_like(theta), torch.tensor(0.1), images, labels)

    assert counted(expert_step(network, settings), exercise) > 10_000


def counted(function: Any, exercise: Callable[[Any], object]) -> int:
    """The operations of an exercise, which are the same on fake tensors."""
    with operation_counter._Counting() as real:
        exercise(function)
    with FakeTensorMode(allow_non_fake_inputs=True), operation_counter._Counting() as fake:
        exercise(function)
    assert fake.total.flops == real.total.flops
    return fake.total.flops


def test_a_fault_of_the_function_is_no_fault_of_the_compiler(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(x: Tensor) -> Tensor:
        raise ValueError("wrong")

    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    with pytest.raises(ValueError, match="wrong"):
        finished(compiled, runtime("on"), "squares", wrong, exercise, 1)


def test_a_graph_is_as_large_as_what_it_keeps() -> None:
    x = torch.ones(1000, requires_grad=True)
    assert graph_size(x.sin()) == 4000
    assert graph_size((x.sin() * x).exp()) == 3 * 4000  # x once, sin x, and the result


def test_the_compiler_is_loaded_only_to_compile() -> None:
    program = (
        "import sys, datm_engine.pipeline\n"
        "assert 'torch' in sys.modules\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_a_convolution_is_not_compiled_without_its_registration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would lose a derivative without an error."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(convolution, "OPAQUE", [square])
    with pytest.raises(RuntimeError, match="load_compiler"):
        Convolution(1, 1)(torch.zeros(1, 1, 4, 4))
