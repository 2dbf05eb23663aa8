"""The page's way to the model: the same line, limits and batches as the requests over HTTP.

In: queries of a handler or of a file's labelling. Out: their Predictions, once the worker has them. What is
given up is dropped from the line.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from itertools import groupby
from threading import Event

from gsa.data.types import Prediction
from gsa.serving.limits import Limits
from gsa.serving.scheduler import READ, FullError, Job, Portion, Worker

PAUSE = 0.2
"""Seconds between two looks at whether a file's labelling was given up."""


class GivenUpError(Exception):
    """The labelling of a file was stopped."""


async def answered(worker: Worker, portions: Sequence[Portion], client: str) -> list[list[Prediction]]:
    """Return the Predictions of each portion; raises FullError or ClosedError where the line takes none."""
    job = Job(portions, client)
    worker.submit(job)
    return await asyncio.wrap_future(job.future)


class FilePredict:
    """`Predictor.predict` for a file: in small jobs, waiting for room, so that others get their turn."""

    def __init__(self, worker: Worker, limits: Limits, client: str, gone: Event) -> None:
        """`gone` stops it; to be called in a thread that may wait."""
        self._worker, self._limits, self._client, self._gone = worker, limits, client, gone

    def __call__(
        self, queries: Sequence[Query], progress: Callable[[int], None] | None = None
    ) -> list[Prediction]:
        """Return the Predictions, in order; raises GivenUpError once it is stopped."""
        limits = self._limits
        size = max(1, min(limits.batch // 2, limits.waiting // 2, limits.waiting_bytes // READ))
        found: list[Prediction] = []
        for start in range(0, len(queries), size):
            found += self._part(queries[start : start + size])
            if progress:
                progress(len(found))
        return found

    def _part(self, queries: Sequence[Query]) -> list[Prediction]:
        portions = [list(same) for _, same in groupby(queries, key=lambda query: id(query.dialogue))]
        job = Job(portions, self._client)
        while not self._submitted(job):
            self._look()
            time.sleep(PAUSE)
        try:
            while not wait([job.future], PAUSE).done:
                self._look()
        except GivenUpError:
            job.future.cancel()
            raise
        return [answer for portion in job.future.result() for answer in portion]

    def _submitted(self, job: Job) -> bool:
        try:
            self._worker.submit(job)
        except FullError:
            return False
        return True

    def _look(self) -> None:
        if self._gone.is_set():
            raise GivenUpError
