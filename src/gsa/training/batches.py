"""Rows of optimizer steps as tensors, built ahead of the model by worker processes of a DataLoader.

Which rows a step has is decided before (`training_data`), so the number of workers changes no number.
"""

import signal
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset, SequentialSampler

from gsa.model.forward import RowFormat
from gsa.model.scoring import PackedBatch
from gsa.signals import SIGNALS
from gsa.training.distributed import Ranks, share
from gsa.trie.packing import PackedRow

GPU_WORKERS = 2
"""Workers of a GPU where the recipe names no number; on CPU they would take the model's cores."""


@dataclass(frozen=True)
class StepBatches(Dataset[list[PackedBatch]]):
    """The rows of each optimizer step that one rank computes, laid out on the CPU."""

    steps: list[list[PackedRow]]
    """Those of all ranks."""
    ranks: Ranks
    row_format: RowFormat
    equal: bool = False
    """Whether all ranks get equally many rows of a step, the shortest one as a filler: ranks that share a
    backbone gather its weights together."""

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.steps)

    def __getitem__(self, index: int) -> list[PackedBatch]:
        """Return this rank's rows of a step, counted from 0, and then the fillers."""
        rows, shares = self.steps[index], self._shares(index)
        numbers = list(shares[self.ranks.rank])
        if self.equal:
            shortest = min(range(len(rows)), key=lambda i: len(rows[i].trie))
            numbers += [shortest] * (max(map(len, shares)) - len(numbers))
        return [PackedBatch.build(rows[i], self.row_format) for i in numbers]

    def row_count(self, index: int) -> int:
        """Return how many of this rank's batches of a step are rows of its own."""
        return len(self._shares(index)[self.ranks.rank])

    def _shares(self, index: int) -> list[list[int]]:
        return share([len(row.trie) for row in self.steps[index]], self.ranks.size)


def step_loader(batches: StepBatches, workers: int, pin_memory: bool) -> Any:
    """Return a DataLoader of the steps in order; with 0 workers each is built when it is needed."""
    return DataLoader(
        batches,
        sampler=SequentialSampler(batches),
        collate_fn=_single,
        num_workers=workers,
        pin_memory=pin_memory,
        worker_init_fn=_ignore_signals,
    )


def _single(steps: list[list[PackedBatch]]) -> list[PackedBatch]:
    """Return the only step of a batch."""
    (rows,) = steps
    return rows


def _ignore_signals(_worker: int) -> None:
    """Leave signals of the terminal to the process that tunes, which ends its workers."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_DFL if signum == signal.SIGTERM else signal.SIG_IGN)
