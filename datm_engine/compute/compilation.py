"""Compile the functions that a run repeats. A run continues without if compilation fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch._functorch import config as functorch
from torch.utils._pytree import tree_leaves, tree_map

from datm_engine.compute.memory_errors import OutOfMemory, is_out_of_memory, translate_oom
from datm_engine.compute.operation_counter import counted
from datm_engine.compute.runtime import Runtime
from datm_engine.estimation.stage_costs import PAYS_AFTER, seconds_of_work
from datm_engine.runs.events import Emit, Noted, WaitBegan

Function = TypeVar("Function", bound=Callable[..., Any])

# torch warns of a CUDA toolkit without a GPU, which does not matter here.
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)

# Functions that the compiler must not trace into, until `load_compiler` has registered them.
OPAQUE: list[Callable[..., Any]] = []


def load_compiler() -> None:
    """Configure torch.compile, before its first call. Importing the compiler takes a second, which
    a command that compiles nothing does not spend."""
    from torch._dynamo import config

    config.recompile_limit = 64  # one code object serves every network and shape
    while OPAQUE:
        torch.compiler.allow_in_graph(OPAQUE.pop())


def compiled(
    runtime: Runtime,
    what: str,
    function: Function,
    exercise: Callable[[Function], object],
    repeats: int,
    *,
    small_kernels: bool = False,
    emit: Emit,
) -> Function:
    """Returns `function` compiled, or itself if the runtime's compiler decides so.

    exercise: calls the function with every shape that the stage uses; compilation happens there and
    not later. repeats: how often the stage does the work of an exercise. small_kernels: on a GPU,
    replay the function as a CUDA graph, because launching its kernels takes longer than they do.

    If compilation fails, a note reports it, and the run compiles nothing more. Raises OutOfMemory
    if the exercise or its compilation runs out of memory: a smaller exercise may be compiled.
    """
    compiler = runtime.compiler
    if compiler.mode == "off" or compiler.broken:
        return function
    if compiler.mode == "auto" and what not in compiler.decided:
        # Run without compilation, the exercise takes several times the memory of a compiled one, so
        # its operations are counted without computing them.
        flops = counted(lambda: exercise(function)).flops * repeats
        work = seconds_of_work(flops, torch.get_num_threads(), runtime.device.type)
        compiler.decide(what, work > PAYS_AFTER)
        if work <= PAYS_AFTER:
            emit(Noted(text=f"{what}: not compiled, about {max(1, round(work))} s of work"))
    if not compiler.decided.get(what, True):
        return function
    emit(WaitBegan(what=f"compiling {what}, about a minute, once per machine and kind of step"))
    load_compiler()
    uses_graphs = small_kernels and runtime.device.type == "cuda"
    mode = "reduce-overhead" if uses_graphs else "default"
    faster: Any = torch.compile(function, dynamic=False, fullgraph=True, mode=mode)
    if uses_graphs:
        faster = _cloning_outputs(faster)
    began = time.monotonic()
    try:
        # Keeping what is cheap to compute again costs more memory, and on a CPU more time, than
        # computing it again.
        with functorch.patch(aggressive_recomputation=True):
            # A CUDA graph is warmed up, then captured, then replayed.
            for _ in range(3 if uses_graphs else 1):
                exercise(faster)
    except Exception as problem:
        if _ran_out(problem):
            raise OutOfMemory(str(problem).strip().partition("\n")[0]) from None
        # Whatever a compiler fails with; what is wrong with the function itself shows again below.
        with translate_oom():
            exercise(function)
        compiler.broken = True
        reason = str(problem).strip().splitlines() or [type(problem).__name__]
        emit(Noted(text=f"{what}: compiling failed ({reason[0][:200]}); continuing without"))
        return function
    emit(Noted(text=f"{what}: compiled in {time.monotonic() - began:.0f} s"))
    return faster


def _cloning_outputs(replayed: Callable[..., Any]) -> Callable[..., Any]:
    """The next replay of a CUDA graph overwrites what this one returns, and later steps use it."""
    return lambda *inputs: tree_map(torch.Tensor.clone, replayed(*inputs))


def _ran_out(problem: BaseException) -> bool:
    """Whether `problem`, or the exception that it wraps, reports that memory ran out. Memory of the
    C++ compiler does not count: a smaller exercise takes as much of it."""
    from torch._inductor.exc import CppCompileError

    while isinstance(inner := getattr(problem, "inner_exception", None), BaseException):
        problem = inner
    return is_out_of_memory(problem) and not isinstance(problem, CppCompileError)


def graph_size(outputs: torch.Tensor) -> int:
    """Bytes that autograd keeps for the backward pass of `outputs`. Each storage counts once."""
    storages: dict[int, int] = {}
    seen: set[Any] = set()
    waiting = [outputs.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [following for following, _ in node.next_functions]
        for name in dir(node):
            if name.startswith("_saved_") or name == "saved_tensors":
                for saved in tree_leaves(getattr(node, name)):
                    if isinstance(saved, torch.Tensor):
                        storage = saved.untyped_storage()
                        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())
