"""Several processes on one run, as torchrun or a cluster's scheduler starts them; or one alone.

Each of them is a rank, from 0. All run the same program. What a stage computes together is summed,
what it does apart is dealt out and gathered, and rank 0 alone writes the run. A rank that is
alone does none of this, at no cost.

Comes without torch, for the sake of those who only ask whether they are alone.
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
from typing import TYPE_CHECKING, Any, TypeVar

from datm_engine.errors import ConfigError, DatmError, Stopped
from datm_engine.hints import command

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import ProcessGroup
    from torch.distributed.distributed_c10d import Store

Item = TypeVar("Item")
Value = TypeVar("Value")

_STATED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # by whoever starts ranks
_FAILURE = "failure"
# For a rank that trains experts or evaluates while others have none left. One that died is noticed
# at once, by its connection.
_PATIENCE = timedelta(days=7)


class RankLost(DatmError):
    """Another rank failed or could not be reached. Without a fix: the same command, or resuming the
    run, continues."""


@dataclass(frozen=True)
class Ranks:
    """This process, as number `rank` of `count`, and number `local` of `local_count` on its
    machine. Whatever is called on one rank must be called on all of them, in the same order."""

    rank: int = 0
    count: int = 1
    local: int = 0
    local_count: int = 1
    _store: Store | None = None
    _patient: ProcessGroup | None = None  # for all but tensors, which may be on a GPU

    @property
    def leads(self) -> bool:
        """Whether this rank writes the run and reports."""
        return self.rank == 0

    def deal(self, items: Sequence[Value]) -> list[Value]:
        """This rank's share of what is done apart."""
        return list(items[self.rank :: self.count])

    def sum(self, tensor: Tensor) -> Tensor:
        """Over all ranks, the same bits on each; `tensor` itself where there is one."""
        if self.count == 1:
            return tensor
        import torch.distributed as dist

        total = tensor.detach().clone()
        with self._together():
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
        """What `value()` gives on rank 0, which alone calls it."""
        if self.count == 1:
            return value()
        import torch.distributed as dist

        given: list[Any] = [value() if self.leads else None]
        with self._together():
            dist.broadcast_object_list(given, src=0, group=self._patient)
        found: Value = given[0]
        return found

    def gather(self, value: Value) -> list[Value]:
        """Every rank's value, in their order, on all of them; and so a place to wait."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.count
        with self._together():
            dist.all_gather_object(values, value, group=self._patient)
        return values

    def reports_failure(self, message: str, hint: str) -> bool:
        """Whether this rank reports its failure: the first rank that fails does."""
        if self._store is None:
            return True
        mine = json.dumps({"rank": self.rank, "message": message, "hint": hint})
        with suppress(RuntimeError):  # the store may be gone with its rank
            first = self._store.compare_set(_FAILURE, "", mine)
            return bool(first == mine.encode())
        return True

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Raise RankLost if another rank does not take part."""
        try:
            yield
        except RuntimeError as problem:
            from datm_engine.compute.memory_errors import is_out_of_memory

            if is_out_of_memory(problem) or "CUDA error" in str(problem):  # this rank's own
                raise
            message, hint = f"another rank was lost: {_in_a_line(problem)}", ""
            with suppress(RuntimeError):
                if self._store is not None and self._store.check([_FAILURE]):
                    first = json.loads(self._store.get(_FAILURE))
                    message, hint = f"rank {first['rank']}: {first['message']}", first["hint"]
            raise RankLost(f"rank {self.rank} of {self.count}: {message}", hint) from None


ALONE = Ranks()
_current = ALONE


def current() -> Ranks:
    """Those that this process has joined; it alone until then."""
    return _current


def join() -> Ranks:
    """The ranks that the environment states, once all of them are there. Raises ConfigError for an
    environment that lacks something, RankLost where the others are not reached."""
    global _current
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or _current is not ALONE:
        return _current
    if lacking := [name for name in _STATED if name not in os.environ]:
        raise ConfigError(
            f"WORLD_SIZE is {count}, but {', '.join(lacking)} not stated in the environment",
            command("torchrun", "--help"),
        )
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    here = f"rank {os.environ['RANK']} of {count}"
    try:
        store, rank, _ = next(rendezvous("env://"))
        dist.init_process_group(store=store, rank=rank, world_size=count)
        patient: Any = dist.new_group(backend="gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as problem:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        message = f"{here} did not meet the others at {where}: {_in_a_line(problem)}"
        raise RankLost(message, "") from None
    joined = Ranks(rank, count, _store=PrefixStore("datm", store), _patient=patient)
    local, local_count = _on_this_machine(rank, joined.gather(platform.node()))
    _current = replace(joined, local=local, local_count=local_count)
    return _current


def _on_this_machine(rank: int, hosts: list[str]) -> tuple[int, int]:
    """This rank's number among those of its machine, and how many these are: as torchrun or SLURM
    states them, or else by the ranks' hosts."""
    host = hosts[rank]
    local = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID")
    count = os.environ.get("LOCAL_WORLD_SIZE")
    return (
        int(local) if local else hosts[:rank].count(host),
        int(count) if count else hosts.count(host),
    )


def leave() -> None:
    """When all is done. After a failure there is nobody to part from."""
    global _current
    if _current.count > 1:
        import torch.distributed as dist

        _current = ALONE
        dist.destroy_process_group()


def _in_a_line(problem: Exception) -> str:
    """Its first sentence, without the place in somebody's source."""
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return re.sub(r"^\[\S+:\d+\] ", "", lines[0]).partition(". ")[0][:200]
