"""Several ranks as torchrun starts them, forked from a process that has torch in memory."""

import os
import time
from collections.abc import Callable

import torch
from killing import Child
from torch import distributed


class Launch:
    """Forked ranks on one machine; this process keeps their store, as torchrun's agent does."""

    def __init__(self, work: Callable[[], object], size: int = 2) -> None:
        """`work` is called in each rank; `RANK` of the environment is its number."""
        self.store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self.children = [Child(lambda rank=rank: self._run(work, rank, size)) for rank in range(size)]  # type: ignore[misc]

    def _run(self, work: Callable[[], object], rank: int, size: int) -> None:
        os.environ |= {
            "RANK": str(rank), "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self.store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RUN_ID": "test", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        torch.set_num_threads(1)
        work()

    def end(self) -> tuple[list[int], str]:
        """Wait; return the exit codes by rank, and all that was said."""
        ends = [child.end() for child in self.children]
        return [code for code, _ in ends], "".join(said for _, said in ends)


def timed(launch: Launch) -> tuple[float, list[int], str]:
    """Return how long the ranks took to end, their exit codes, and all that they said."""
    began = time.monotonic()
    codes, said = launch.end()
    return time.monotonic() - began, codes, said
