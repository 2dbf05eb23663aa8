"""Where requests wait, and the one thread that answers them.

In: Jobs of many clients, each a list of portions (the queries of one text or conversation). Out: each
Job's future gets its Predictions. The thread takes portions of all who wait, in turns, up to the size of
a batch, and lays them into one call of the predictor, hence one trie. Knows no HTTP.
"""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from gsa.data.types import Prediction
from gsa.serving.limits import Limits

Predict = Callable[[Sequence[Query]], list[Prediction]]
Portion = Sequence[Query]
READ = 8_000
"""Bytes of a dialogue that count for each query about it: about twice what a prompt of 1,024 tokens holds."""


class FullError(Exception):
    """No room to wait; `seconds` says when there may be."""

    def __init__(self, seconds: int) -> None:
        """`seconds` is a whole number, 1 or more."""
        self.seconds = seconds
        super().__init__(f"too many requests wait: expected another try in {seconds} s")


class ClosedError(Exception):
    """The line takes no more jobs."""


@dataclass(eq=False)
class Job:
    """One request's queries, and the future that holds a list of Predictions a portion."""

    portions: Sequence[Portion]
    client: str = ""
    """Who asks; clients take turns."""
    future: "Future[list[list[Prediction]]]" = field(default_factory=Future)
    taken: int = 0
    """Portions that were handed to the model."""
    found: list[list[Prediction]] = field(default_factory=list)

    @property
    def queries(self) -> int:
        """Queries of all portions."""
        return sum(map(len, self.portions))

    @property
    def size(self) -> int:
        """Bytes of all portions."""
        return sum(map(size_of, self.portions))


def size_of(portion: Portion) -> int:
    """Return about how much the model reads for a portion, in bytes of UTF-8, since letters that a tokenizer
    does not know are a token a byte: its turns once, the label list once a query.
    """
    if not portion:
        return 0
    turns, task = portion[0].dialogue.turns, portion[0].task
    labels = sum(_bytes(task.word(label)) + 1 for label in task.labels)
    said = sum(_bytes(turn.text) + _bytes(turn.speaker) for turn in turns)
    return min(said, READ * len(portion)) + labels * len(portion)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class Line:
    """Jobs in the order in which they are served: clients in turn, each client's jobs in turn."""

    def __init__(self) -> None:
        """Begin empty."""
        self._clients: OrderedDict[str, deque[Job]] = OrderedDict()
        self._waits: dict[str, tuple[int, int]] = {}
        self.queries = self.size = 0
        """What waits, of jobs that may have been given up."""

    def __len__(self) -> int:
        return sum(map(len, self._clients.values()))

    def of(self, client: str) -> tuple[int, int]:
        """Return the queries of one client that wait, and their bytes."""
        return self._waits.get(client, (0, 0))

    def jobs(self) -> list[Job]:
        """Return all jobs that wait."""
        return [job for jobs in self._clients.values() for job in jobs]

    def add(self, job: Job) -> None:
        """Put a job at the end of its client's jobs."""
        self._clients.setdefault(job.client, deque()).append(job)
        self._count(job.client, job.queries, job.size)

    def take(self, most: int, most_bytes: int) -> list[tuple[Job, Portion]]:
        """Return the next portions, one of each client in turn, up to a number of queries and bytes.

        The first is taken whatever its size. Jobs whose client has gone are dropped.
        """
        batch: list[tuple[Job, Portion]] = []
        queries = read = 0
        while self._clients:
            client, jobs = next(iter(self._clients.items()))
            job = jobs[0]
            gone = job.future.done()
            portion = job.portions[job.taken]
            count, size = len(portion), size_of(portion)
            if not gone and batch and (queries + count > most or read + size > most_bytes):
                break
            jobs.popleft()
            if gone:
                for left in job.portions[job.taken :]:
                    self._count(client, -len(left), -size_of(left))
            else:
                job.taken += 1
                self._count(client, -count, -size)
                batch.append((job, portion))
                queries, read = queries + count, read + size
                if job.taken < len(job.portions):
                    jobs.append(job)
            del self._clients[client]
            if jobs:
                self._clients[client] = jobs
        return batch

    def _count(self, client: str, queries: int, size: int) -> None:
        """Take note of what came, or went if negative."""
        self.queries += queries
        self.size += size
        mine = self.of(client)
        self._waits[client] = mine[0] + queries, mine[1] + size
        if self._waits[client] == (0, 0):
            del self._waits[client]


class Worker:
    """The thread at the model. `submit` may be called from any thread."""

    def __init__(
        self,
        predict: Predict,
        limits: Limits,
        told: Callable[[int, float], None] = lambda queries, seconds: None,
    ) -> None:
        """`told` is called after each call of the model, with its number of queries and its seconds."""
        self._predict, self._limits, self._told = predict, limits, told
        self._line = Line()
        self._changed = threading.Condition()
        self._closed = False
        self._taken: list[Job] = []
        """Of the batch that the model has."""
        self._pace = 0.05
        """Seconds a query, a moving average."""
        self._thread = threading.Thread(target=self._work, name="gsa-worker", daemon=True)

    @property
    def waiting(self) -> int:
        """Queries that wait."""
        return self._line.queries

    @property
    def alive(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive() and not self._closed

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Put a job in the line; raises FullError where it has no room, ClosedError after `close`.

        One client's jobs get half of the room, so that others find some; a job alone of its client may be
        larger. A job is taken into an empty line whatever its size.
        """
        if not job.portions:
            job.future.set_result([])
            return
        with self._changed:
            if self._closed:
                raise ClosedError
            if self._line.queries and not self._has_room(job):
                raise FullError(min(60, max(1, math.ceil(self._line.queries * self._pace))))
            self._line.add(job)
            self._changed.notify()

    def _has_room(self, job: Job) -> bool:
        limits, line, (mine, size) = self._limits, self._line, self._line.of(job.client)
        if mine and (mine + job.queries > limits.waiting // 2 or size + job.size > limits.waiting_bytes // 2):
            return False
        return line.queries + job.queries <= limits.waiting and line.size + job.size <= limits.waiting_bytes

    def close(self) -> None:
        """Take no more jobs; what waits is still answered."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def give_up(self) -> None:
        """Close, and end with ClosedError what waits and what the model has; its answer will be dropped."""
        with self._changed:
            self._closed = True
            for job in [*self._line.jobs(), *self._taken]:
                _end(job, ClosedError())
            self._changed.notify()

    def join(self, seconds: float) -> bool:
        """Wait for the last answer; returns whether it came in time."""
        if self._thread.ident:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not len(self._line) and not self._closed:
                    self._changed.wait()
                batch = self._line.take(self._limits.batch, self._limits.batch_bytes)
                self._taken = [job for job, _ in batch]
                if not batch and self._closed:
                    return
            if batch:
                self._answer(batch)

    def _answer(self, batch: Sequence[tuple[Job, Portion]]) -> None:
        """Answer a batch; where the model fails on several jobs, each is tried alone, so one harms none."""
        began = time.monotonic()
        queries = [query for _, portion in batch for query in portion]
        try:
            answers = iter(self._predict(queries))
        except Exception as error:  # whatever it is, the thread lives on
            jobs = list(dict.fromkeys(job for job, _ in batch))
            if len(jobs) == 1:
                _end(jobs[0], error)
                return
            for alone in jobs:
                self._answer([(job, portion) for job, portion in batch if job is alone])
            return
        seconds = time.monotonic() - began
        self._pace += 0.2 * (seconds / len(queries) - self._pace)
        self._told(len(queries), seconds)
        for job, portion in batch:
            job.found.append([next(answers) for _ in portion])
            if len(job.found) == len(job.portions):
                _end(job, None)


def _end(job: Job, error: Exception | None) -> None:
    try:
        if error:
            job.future.set_exception(error)
        else:
            job.future.set_result(job.found)
    except InvalidStateError:  # the client has gone
        pass
