"""The processes of a run, as torchrun or a cluster's scheduler starts them.

Each process is a rank, from 0. All run the same program: sums are over all ranks, independent items
are divided among them and gathered, and rank 0 alone writes the run. A single process does none of
this, at no cost.

Imports torch only when there are several ranks: commands that compute nothing use this module too.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from datm_engine.errors import ConfigError, DatmError, Stopped
from datm_engine.hints import command

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import ProcessGroup
    from torch.distributed.distributed_c10d import Store

Item = TypeVar("Item")
Value = TypeVar("Value")

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # set by what starts ranks
_FAILURE = "failure"  # the key of the first failure in the store
# How long ranks wait for one that still trains experts or evaluates. A rank that died is noticed at
# once, by its connection.
_TIMEOUT = timedelta(days=7)


class RankLost(DatmError):
    """Another rank failed or could not be reached. Without a fix: the same command, or resuming the
    run, continues."""


@dataclass(frozen=True)
class Ranks:
    """This process is number `rank` of `count`, and number `local` of `local_count` on its machine.
    A method that is called on one rank must be called on all, in the same order."""

    rank: int = 0
    count: int = 1
    local: int = 0
    local_count: int = 1
    _store: Store | None = None
    _objects: ProcessGroup | None = None  # for objects; tensors may be on a GPU

    @property
    def leads(self) -> bool:
        """Whether this rank writes the run and reports."""
        return self.rank == 0

    def deal(self, items: Sequence[Value]) -> list[Value]:
        """This rank's share of the items."""
        return list(items[self.rank :: self.count])

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, the same bits on each; `tensor` itself if there is one rank."""
        if self.count == 1:
            return tensor
        import torch.distributed as dist

        total = tensor.detach().clone()
        with self._reporting_lost_ranks():
            dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true on any rank. All ranks get the same answer."""
        return any(self.gather(flag)) if self.count > 1 else flag

    @contextmanager
    def stopping_together(self) -> Iterator[None]:
        """Raise Stopped on all ranks, at the end of the block, if it is raised within on any."""
        stopped = False
        try:
            yield
        except Stopped:
            stopped = True
        if self.any(stopped):
            raise Stopped

    def map(self, function: Callable[[Item], Value], items: Sequence[Item]) -> list[Value]:
        """`function(item)` of every item, in order, on all ranks. A rank computes those that it is
        dealt. Raises Stopped on all ranks if it is raised on any."""
        with self.stopping_together():
            own = [function(item) for item in self.deal(items)]
        shares = self.gather(own)
        return [shares[i % self.count][i // self.count] for i in range(len(items))]

    def first(self, value: Callable[[], Value]) -> Value:
        """The result of `value()` on rank 0. The other ranks do not call it."""
        if self.count == 1:
            return value()
        import torch.distributed as dist

        values: list[Any] = [value() if self.leads else None]
        with self._reporting_lost_ranks():
            dist.broadcast_object_list(values, src=0, group=self._objects)
        return cast(Value, values[0])

    def gather(self, value: Value) -> list[Value]:
        """Every rank's value, in order, on all ranks. Waits for all of them."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.count
        with self._reporting_lost_ranks():
            dist.all_gather_object(values, value, group=self._objects)
        return values

    def reports_failure(self, message: str, hint: str) -> bool:
        """Whether this rank reports its failure: the first rank that fails does."""
        if self._store is None:
            return True
        own = json.dumps({"rank": self.rank, "message": message, "hint": hint})
        try:
            return bool(self._store.compare_set(_FAILURE, "", own) == own.encode())
        except RuntimeError:  # the store is gone with its rank
            return True

    @contextmanager
    def _reporting_lost_ranks(self) -> Iterator[None]:
        """Raise RankLost if another rank does not take part."""
        try:
            yield
        except RuntimeError as problem:
            from datm_engine.compute.memory_errors import is_out_of_memory

            if is_out_of_memory(problem) or "CUDA error" in str(problem):  # this rank's own
                raise
            message, hint = f"another rank was lost: {_first_sentence(problem)}", ""
            with suppress(RuntimeError):
                if self._store is not None and self._store.check([_FAILURE]):
                    first = json.loads(self._store.get(_FAILURE))
                    message, hint = f"rank {first['rank']}: {first['message']}", first["hint"]
            raise RankLost(f"rank {self.rank} of {self.count}: {message}", hint) from None


ALONE = Ranks()
_current = ALONE


def current() -> Ranks:
    """The ranks that this process has joined. Until then it is alone."""
    return _current


def join() -> Ranks:
    """Waits for all ranks that the environment states, and returns them. Raises ConfigError for an
    incomplete environment, RankLost if the others are not reached."""
    global _current
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or _current is not ALONE:
        return _current
    if lacking := [name for name in _VARIABLES if name not in os.environ]:
        raise ConfigError(
            f"WORLD_SIZE is {count}, but {', '.join(lacking)} not stated in the environment",
            command("torchrun", "--help"),
        )
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    try:
        store, rank, _ = next(rendezvous("env://"))
        dist.init_process_group(store=store, rank=rank, world_size=count)
        objects: Any = dist.new_group(backend="gloo", timeout=_TIMEOUT)
    except (RuntimeError, ValueError) as problem:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        this = f"rank {os.environ['RANK']} of {count}"
        message = f"{this} did not meet the others at {address}: {_first_sentence(problem)}"
        raise RankLost(message, "") from None
    joined = Ranks(rank, count, _store=PrefixStore("datm", store), _objects=objects)
    local, local_count = _on_this_machine(rank, joined.gather(platform.node()))
    _current = replace(joined, local=local, local_count=local_count)
    return _current


def _on_this_machine(rank: int, hosts: list[str]) -> tuple[int, int]:
    """The number of this rank among those of its machine, and their count, as torchrun or SLURM
    states them, or by the ranks' hosts."""
    host = hosts[rank]
    local = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID")
    count = os.environ.get("LOCAL_WORLD_SIZE")
    return (
        int(local) if local else hosts[:rank].count(host),
        int(count) if count else hosts.count(host),
    )


def leave() -> None:
    """Close the connections to the other ranks. Not called after a failure."""
    global _current
    if _current.count > 1:
        import torch.distributed as dist

        _current = ALONE
        dist.destroy_process_group()


def _first_sentence(problem: Exception) -> str:
    """The first sentence of the message, without the line of C++ source that raised it."""
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return re.sub(r"^\[\S+:\d+\] ", "", lines[0]).partition(". ")[0][:200]
