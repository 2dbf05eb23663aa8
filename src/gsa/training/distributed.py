"""Tuning on the processes that torchrun or `accelerate launch` started, called ranks.

Every rank holds the model and knows all rows; it computes its share of each step's rows, and the gradients
of all ranks are summed. Rank 0 alone decides about the run folder and writes to it, and sends the others what
it decided. An error in one rank ends all of them, and one rank reports it.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from gsa.errors import InputError
from gsa.signals import SIGNALS, Stopped

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """A process's rank among those of a launch, by default the only one; all must make the same calls."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which owns the run folder."""
        return self.rank == 0

    def broadcast(self, call: Callable[[], T]) -> T:
        """Return what `call` returns in rank 0; the other ranks do not call it."""
        if self.size == 1:
            return call()
        from torch import distributed

        values: list[Any] = [call() if self.is_main else None]
        distributed.broadcast_object_list(values, src=0)
        result: T = values[0]
        return result

    def max(self, number: int) -> int:
        """Return the largest number of all ranks, once all have called this."""
        if self.size == 1:
            return number
        import torch

        tensor = torch.tensor(number)
        torch.distributed.all_reduce(tensor, torch.distributed.ReduceOp.MAX)
        return int(tensor)

    def sum_gradients(self, loss: "Tensor", parameters: "Iterable[Tensor]") -> None:
        """Replace loss and gradients by their sums over all ranks; a rank without gradients adds zeros.

        It is one sum of one flat tensor, in a fixed order, so that a resumed run adds as an undisturbed one.
        DDP reorders its buckets after the first step, and sends the frozen weights as well.
        """
        if self.size == 1:
            return
        import torch

        trained = [p for p in parameters if p.requires_grad]
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        tensors = [loss, *(p.grad for p in trained if p.grad is not None)]
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def check_equal(self, value: str, what: str) -> None:
        """Raise InputError in all ranks unless `value`, a checksum of `what`, is the same in all of them."""
        if self.size == 1:
            return
        from torch import distributed

        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise InputError(
                    f"process {rank} of {self.size} has other {what} than process 0: expected the same files "
                    "on all machines"
                )


def share(costs: Sequence[int], size: int) -> list[list[int]]:
    """Return which rows each rank computes, as indices in ascending order; `costs` are the rows' tokens.

    The longest row first, each goes to the rank that has the fewest tokens so far. A step of fewer rows than
    ranks leaves some without any.
    """
    shares: list[list[int]] = [[] for _ in range(size)]
    tokens = [0] * size
    for row in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        rank = tokens.index(min(tokens))
        shares[rank].append(row)
        tokens[rank] += costs[row]
    return [sorted(rows) for rows in shares]


@contextmanager
def process_group() -> Iterator[Ranks]:
    """Yield this process's Ranks, connected with the others; within another such block, those of that block.

    An error that ends the block in one rank ends it in all of them: one rank raises it, the others exit
    silently. Raises InputError where another process was killed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    import torch
    from torch import distributed

    if distributed.is_initialized():
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
        return
    store, rank, size = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
        if rank:
            logging.getLogger("gsa").setLevel(logging.ERROR)
        yield Ranks(rank, size)
    except BaseException as error:
        _end(error, store)
    distributed.destroy_process_group()


def _end(error: BaseException, store: Any) -> NoReturn:
    """Raise the error that ended this rank's work, or exit silently if another rank has reported one."""
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:  # torchrun ends the ranks that are left with SIGTERM, which is no news
            signal.signal(signum, signal.SIG_IGN)
    errors = 1
    with suppress(RuntimeError):  # the process that kept the store may be the one that was killed
        errors = store.add("gsa/errors", 1)
    if errors > 1:
        raise SystemExit(128 + error.signum if isinstance(error, Stopped) else 2) from error
    if isinstance(error, RuntimeError) and _lost_peer(error):
        raise InputError(
            "another process of this tuning was killed or lost: the same command resumes from the last "
            "checkpoint"
        ) from error
    raise error


def _lost_peer(error: RuntimeError) -> bool:
    """Whether the error says that the connection to another rank broke."""
    from torch import distributed

    words = ("gloo", "connection closed by peer", "connection reset by peer", "broken pipe")
    return isinstance(error, distributed.DistError) or any(word in str(error).lower() for word in words)
