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

from gsa.inference.prediction import Prediction, Query
from gsa.inference.server.limits import Limits

Predict = Callable[[Sequence[Query]], list[Prediction]]
Portion = Sequence[Query]


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
    def letters(self) -> int:
        """Letters of all portions."""
        return sum(map(letters, self.portions))


def letters(portion: Portion) -> int:
    """Return about how much the model reads for a portion: its turns once, the label list once a query."""
    if not portion:
        return 0
    turns = portion[0].dialogue.turns
    labels = sum(len(portion[0].task.word(label)) + 1 for label in portion[0].task.labels)
    return sum(len(turn.text) + len(turn.speaker) for turn in turns) + labels * len(portion)


class Line:
    """Jobs in the order in which they are served: clients in turn, each client's jobs in turn."""

    def __init__(self) -> None:
        """Begin empty."""
        self._clients: OrderedDict[str, deque[Job]] = OrderedDict()
        self.queries = self.letters = 0
        """What waits, of jobs that may have been given up."""

    def __len__(self) -> int:
        return sum(map(len, self._clients.values()))

    def add(self, job: Job) -> None:
        """Put a job at the end of its client's jobs."""
        self._clients.setdefault(job.client, deque()).append(job)
        self.queries += job.queries
        self.letters += job.letters

    def take(self, most: int, most_letters: int) -> list[tuple[Job, Portion]]:
        """Return the next portions, one of each client in turn, up to a number of queries and letters.

        The first is taken whatever its size. Jobs whose client has gone are dropped.
        """
        batch: list[tuple[Job, Portion]] = []
        queries = read = 0
        while self._clients:
            client, jobs = next(iter(self._clients.items()))
            job = jobs[0]
            gone = job.future.done()
            portion = job.portions[job.taken]
            size, length = len(portion), letters(portion)
            if not gone and batch and (queries + size > most or read + length > most_letters):
                break
            jobs.popleft()
            if gone:
                self._forget(job.portions[job.taken :])
            else:
                job.taken += 1
                self._forget([portion])
                batch.append((job, portion))
                queries, read = queries + size, read + length
                if job.taken < len(job.portions):
                    jobs.append(job)
            del self._clients[client]
            if jobs:
                self._clients[client] = jobs
        return batch

    def _forget(self, portions: Sequence[Portion]) -> None:
        self.queries -= sum(map(len, portions))
        self.letters -= sum(map(letters, portions))


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

        A job is taken into an empty line whatever its size.
        """
        if not job.portions:
            job.future.set_result([])
            return
        with self._changed:
            if self._closed:
                raise ClosedError
            queries, read = self._line.queries, self._line.letters
            limits = self._limits
            beyond = queries + job.queries > limits.waiting or read + job.letters > limits.waiting_letters
            if queries and beyond:
                raise FullError(min(60, max(1, math.ceil(queries * self._pace))))
            self._line.add(job)
            self._changed.notify()

    def close(self) -> None:
        """Take no more jobs; what waits is still answered."""
        with self._changed:
            self._closed = True
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
                batch = self._line.take(self._limits.batch, self._limits.batch_letters)
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
