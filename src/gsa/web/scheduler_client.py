"""The page's way to the model: the same queue, limits and batches as the requests over HTTP."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from itertools import groupby
from threading import Event

from gsa.data.task import Task
from gsa.data.types import Example, Prediction
from gsa.serving.limits import Limits
from gsa.serving.scheduler import DIALOGUE_BYTES, QueryGroup, QueueFullError, Request, Scheduler

INTERVAL = 0.2
"""Seconds between two checks whether the labelling of a file was cancelled."""


class CancelledLabellingError(Exception):
    """The labelling of a file was stopped."""


async def predict(scheduler: Scheduler, groups: Sequence[QueryGroup], client: str) -> list[list[Prediction]]:
    """Return the Predictions of each group; raises QueueFullError or SchedulerClosedError."""
    request = Request(groups, client)
    scheduler.submit(request)
    return await asyncio.wrap_future(request.future)


class FilePredictor:
    """Stands in for `Predictor` when a file is labelled: small requests that wait for room in the queue."""

    def __init__(self, scheduler: Scheduler, limits: Limits, client: str, cancelled: Event) -> None:
        """`cancelled` stops it; `predict` is called in a thread that may wait."""
        self._scheduler, self._client, self._cancelled = scheduler, client, cancelled
        self._size = max(
            1, min(limits.batch, limits.waiting, 2 * limits.waiting_bytes // DIALOGUE_BYTES) // 2
        )

    def predict(
        self,
        examples: Sequence[Example],
        tasks: Task | Sequence[Task],
        progress: Callable[[int], None] | None = None,
    ) -> list[Prediction]:
        """Return the Predictions, in order; raises CancelledLabellingError once it is stopped."""
        self._check_cancelled()  # also where every row of a chunk was rejected
        task_of = [tasks] * len(examples) if isinstance(tasks, Task) else tasks
        predictions: list[Prediction] = []
        size = max(1, self._size // max((task.queries for task in task_of), default=1))
        for start in range(0, len(examples), size):
            part = slice(start, start + size)
            predictions += self._predict_part(examples[part], task_of[part])
            if progress:
                progress(len(predictions))
        return predictions

    def _predict_part(self, examples: Sequence[Example], tasks: Sequence[Task]) -> list[Prediction]:
        pairs = groupby(
            zip(examples, tasks, strict=True), key=lambda pair: (id(pair[0].dialogue), id(pair[1]))
        )
        groups = [list(group) for _, group in pairs]
        queries = [QueryGroup(group[0][1], [example for example, _ in group]) for group in groups]
        request = Request(queries, self._client)
        while not self._submitted(request):
            self._check_cancelled()
            time.sleep(INTERVAL)
        try:
            while not wait([request.future], INTERVAL).done:
                self._check_cancelled()
        except CancelledLabellingError:
            request.future.cancel()
            raise
        return [prediction for group in request.future.result() for prediction in group]

    def _submitted(self, request: Request) -> bool:
        try:
            self._scheduler.submit(request)
        except QueueFullError:
            return False
        return True

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CancelledLabellingError
