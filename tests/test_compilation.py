"""Compilation pays or is left out, is never required, and is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo import config as dynamo

from datm_engine.compilation import compiled, graph_size
from datm_engine.runtime import Compiler, Runtime

Finished = Callable[[Any], tuple[list[Any], Any]]


def square(x: Tensor) -> Tensor:
    return x @ x


def exercise(function: Callable[[Tensor], Tensor]) -> Tensor:
    return function(torch.eye(8))


def runtime(mode: str) -> Runtime:
    return Runtime(torch.device("cpu"), compiler=Compiler(mode))


def test_off_and_little_work_leave_the_function_as_it_is(finished: Finished) -> None:
    assert finished(compiled(runtime("off"), "squares", square, exercise, 10**12)) == ([], square)
    on, told = runtime("auto"), []
    on.compiler.record = told.append
    (noted,), same = finished(compiled(on, "squares", square, exercise, 10))
    assert same is square
    assert noted.text == "squares: not compiled, about 1 s of work"
    assert told == [{"squares": False}], "what was decided is kept"


def test_much_work_is_compiled_and_a_decision_holds(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def fake(function: Any, **options: Any) -> Any:
        made.append(options)
        return lambda x: function(x)

    monkeypatch.setattr(torch, "compile", fake)
    on = runtime("auto")
    told, faster = finished(compiled(on, "squares", square, exercise, 10**12))
    assert faster is not square
    assert "squares: compiled in" in told[0].text
    assert made == [{"dynamic": False, "fullgraph": True, "mode": "default"}]
    assert on.compiler.decided == {"squares": True}
    finished(compiled(on, "squares", square, exercise, 1))
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
    finished(compiled(on_cuda, "squares", square, exercise, 1, small_kernels=True))
    assert (modes, len(calls)) == (["reduce-overhead"], 3)
    finished(compiled(on_cuda, "squares", square, exercise, 1))
    assert (modes[1:], len(calls)) == (["default"], 4)


def test_every_network_and_shape_has_its_code() -> None:
    assert dynamo.recompile_limit >= 64, "which are of one code object, and are all kept"


def test_a_failed_compilation_is_told_once_and_nothing_stops(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(function: Any, **options: Any) -> Any:
        def fail(x: Tensor) -> Tensor:
            raise RuntimeError("no compiler here\nand more")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    on = runtime("on")
    told, same = finished(compiled(on, "squares", square, exercise, 1))
    assert same is square
    assert [event.text for event in told] == [
        "squares: compiling failed (no compiler here); going on without"
    ]
    assert finished(compiled(on, "cubes", square, exercise, 1)) == ([], square)


def test_a_fault_of_the_function_is_no_fault_of_the_compiler(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(x: Tensor) -> Tensor:
        raise ValueError("wrong")

    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    with pytest.raises(ValueError, match="wrong"):
        finished(compiled(runtime("on"), "squares", wrong, exercise, 1))


def test_a_graph_is_as_large_as_what_it_keeps() -> None:
    x = torch.ones(1000, requires_grad=True)
    assert graph_size(x.sin()) == 4000
    assert graph_size((x.sin() * x).exp()) == 3 * 4000  # x once, sin x, and the result
