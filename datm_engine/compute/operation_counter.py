"""Counts the operations that a function dispatches, without computing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from datm_engine.estimation.operations import Operations


def counted(function: Callable[[], object]) -> Operations:
    """The operations of a call, on fake tensors, which have shapes and no memory."""
    with FakeTensorMode(allow_non_fake_inputs=True), _Counting() as counter:
        function()
    return counter.total


class _Counting(TorchDispatchMode):
    """torch's own counter hooks modules, which a gradient within a gradient does not allow."""

    total = Operations()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.is_view or func.namespace == "prim" or func is torch.ops.aten.detach.default:
            return out
        count = flop_registry.get(func._overloadpacket)
        flops = 0 if count is None else count(*args, **(kwargs or {}), out_val=out)
        tensors = (t for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor))
        self.total += Operations(flops, sum(t.numel() * t.element_size() for t in tensors), 1)
        return out
