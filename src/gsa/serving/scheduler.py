"""The queue of requests and the thread that answers them in batches.

In: Requests of many clients, each a list of QueryGroups. Out: each Request's future gets its Predictions. The
thread takes groups of all waiting requests in turn, up to the size of a batch, and hands them to the model in
one call, hence in shared tries. Knows no HTTP.
"""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from gsa.data.task import Task
from gsa.data.types import Example, Prediction
from gsa.serving.limits import Limits

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

DIALOGUE_BYTES = 8_000
"""Most bytes of a dialogue that count per example: about twice what a prompt of 1,024 tokens holds."""


@dataclass(frozen=True)
class QueryGroup:
    """The examples of one text or conversation under one task; batches split only what exceeds one."""

    task: Task
    examples: Sequence[Example]
    level: int | None = None
    """How many links are merged; None is the model as it is served."""

    def __len__(self) -> int:
        """Return the number of queries: one an example, of a multi-label task one for each of its labels."""
        return len(self.examples) * self.task.queries

    @cached_property
    def size(self) -> int:
        """Roughly what the model reads, in bytes of UTF-8: the turns once, the label list once a query.

        A query of a multi-label task names one label and has yes and no as its list.
        Bytes, because characters that a tokenizer does not know take one token a byte.
        """
        if not self.examples:
            return 0
        labels = _list_bytes(self.task.yes_or_no()) * len(self)
        if self.task.multilabel:
            labels += _list_bytes(self.task) * len(self.examples)
        turns = self.examples[0].dialogue.turns
        dialogue = sum(_bytes(turn.text) + _bytes(turn.speaker) for turn in turns)
        return min(dialogue, DIALOGUE_BYTES * len(self.examples)) + labels

    def split(self, max_queries: int, max_bytes: int) -> "tuple[QueryGroup, QueryGroup | None]":
        """Return the first examples, as many as fit but at least one, and the group of the others."""
        count = min(len(self.examples), max(1, max_queries // self.task.queries))
        while count > 1 and replace(self, examples=self.examples[:count]).size > max_bytes:
            count = count * 3 // 4
        if count == len(self.examples):
            return self, None
        return replace(self, examples=self.examples[:count]), replace(self, examples=self.examples[count:])


Predict = Callable[[Sequence[QueryGroup]], list[list[Prediction]]]
"""Returns the Predictions of each group."""


def predict_groups(predictor: "Predictor", groups: Sequence[QueryGroup]) -> list[list[Prediction]]:
    """Return the Predictions of each group, all made in one call of the predictor."""
    tasks = [group.task for group in groups for _ in group.examples]
    answers = iter(predictor.predict([example for group in groups for example in group.examples], tasks))
    return [[next(answers) for _ in group.examples] for group in groups]


class QueueFullError(Exception):
    """The queue has no room; `retry_after` is in seconds, 1 or more."""

    def __init__(self, retry_after: int) -> None:
        """Say when to try again."""
        self.retry_after = retry_after
        super().__init__(f"too many requests are waiting: expected another try in {retry_after} s")


class SchedulerClosedError(Exception):
    """The scheduler takes no more requests."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("the server is stopping")


@dataclass(eq=False)
class Request:
    """Groups of one client, and the future of their Predictions, a list for each group."""

    groups: Sequence[QueryGroup]
    client: str = ""
    """Who asks; clients take turns."""
    future: "Future[list[list[Prediction]]]" = field(default_factory=Future)
    pending: deque[QueryGroup] = field(init=False)
    """Groups, or the rest of one, that the model has not got yet."""
    predictions: list[Prediction] = field(default_factory=list)
    """Of all examples that are answered, in order."""

    def __post_init__(self) -> None:
        self.pending = deque(self.groups)

    def pending_load(self) -> tuple[int, int]:
        """Return the queries and the bytes of the pending groups."""
        return sum(map(len, self.pending)), sum(group.size for group in self.pending)

    def answer(self, predictions: Sequence[Prediction]) -> None:
        """Add the predictions of the next examples; those of the last one finish the request."""
        self.predictions += predictions
        if len(self.predictions) == sum(len(group.examples) for group in self.groups):
            self.finish()

    def finish(self, error: Exception | None = None) -> None:
        """Set the future's result or exception, unless the client has cancelled it."""
        try:
            if error:
                self.future.set_exception(error)
            else:
                answers = iter(self.predictions)
                self.future.set_result([[next(answers) for _ in group.examples] for group in self.groups])
        except InvalidStateError:
            pass


class RequestQueue:
    """Requests in the order in which they are served: clients in turn, each client's requests in turn."""

    def __init__(self) -> None:
        """Make an empty queue."""
        self._clients: OrderedDict[str, deque[Request]] = OrderedDict()

    def add(self, request: Request) -> None:
        """Put a request behind its client's other requests."""
        self._clients.setdefault(request.client, deque()).append(request)

    def load(self, client: str | None = None) -> tuple[int, int]:
        """Return the queries and bytes that wait, of one client or of all."""
        queues = self._clients.values() if client is None else [self._clients.get(client, ())]
        loads = [request.pending_load() for requests in queues for request in requests]
        return sum(queries for queries, _ in loads), sum(size for _, size in loads)

    def take(self, max_queries: int, max_bytes: int) -> list[tuple[Request, QueryGroup]]:
        """Remove and return the next groups, one of each client in turn, up to a number of queries and bytes.

        Of a group that no batch could hold, such as a conversation of many long turns, a part is taken, at
        least of one example, and where others wait it fills half of the batch at most. Cancelled requests
        are dropped.
        """
        batch: list[tuple[Request, QueryGroup]] = []
        queries = size = 0
        while self._clients:
            client, requests = next(iter(self._clients.items()))
            request = requests[0]
            cancelled = request.future.done()
            group, rest = request.pending[0], None
            if not batch and (len(group) > max_queries or group.size > max_bytes):
                share = 2 if len(self._clients) > 1 or len(requests) > 1 else 1
                group, rest = group.split(max_queries // share, max_bytes // share)
            fits = queries + len(group) <= max_queries and size + group.size <= max_bytes
            if batch and not fits and not cancelled:
                break
            requests.popleft()
            if not cancelled:
                batch.append((request, group))
                request.pending.popleft()
                if rest:
                    request.pending.appendleft(rest)
                queries, size = queries + len(group), size + group.size
                if request.pending:
                    requests.append(request)
            del self._clients[client]
            if requests:
                self._clients[client] = requests
        return batch


class Scheduler:
    """The thread that calls the model. `submit` may be called from any thread."""

    def __init__(
        self, predict: Predict, limits: Limits, on_batch: Callable[[int, float], None] | None = None
    ) -> None:
        """`on_batch` is called after each call of the model with its number of queries and its seconds."""
        self._predict, self._limits, self._on_batch = predict, limits, on_batch
        self._queue = RequestQueue()
        self._changed = threading.Condition()
        self._closed = False
        self._seconds_per_query = 0.05
        """A moving average."""
        self._thread = threading.Thread(target=self._run, name="gsa-scheduler", daemon=True)

    @property
    def waiting(self) -> int:
        """Queries in the queue."""
        with self._changed:
            return self._queue.load()[0]

    @property
    def alive(self) -> bool:
        """Whether requests are taken and answered."""
        return self._thread.is_alive() and not self._closed

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Queue a request; raises QueueFullError where there is no room, SchedulerClosedError after `close`.

        One client's requests get half of the room; a request that is its client's only one may be larger.
        An empty queue takes a request whatever its size.
        """
        if not request.groups:
            request.finish()
            return
        with self._changed:
            if self._closed:
                raise SchedulerClosedError
            waiting = self._queue.load()
            if waiting[0] and not self._has_room(request, waiting):
                raise QueueFullError(min(60, max(1, math.ceil(waiting[0] * self._seconds_per_query))))
            self._queue.add(request)
            self._changed.notify()

    def _has_room(self, request: Request, waiting: tuple[int, int]) -> bool:
        queries, size = request.pending_load()
        room, room_bytes = self._limits.waiting, self._limits.waiting_bytes
        client_queries, client_bytes = self._queue.load(request.client)
        if client_queries and (client_queries + queries > room // 2 or client_bytes + size > room_bytes // 2):
            return False
        return waiting[0] + queries <= room and waiting[1] + size <= room_bytes

    def close(self) -> None:
        """Take no more requests; those in the queue are still answered."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the last answer; returns whether it came in time."""
        if self._thread.ident:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (batch := self._take()):
                    if self._closed:
                        return
                    self._changed.wait()
            self._answer(batch)

    def _take(self) -> list[tuple[Request, QueryGroup]]:
        return self._queue.take(self._limits.batch, self._limits.batch_bytes)

    def _answer(self, batch: Sequence[tuple[Request, QueryGroup]]) -> None:
        """Answer a batch; if the model fails on several requests, each is tried alone, so one harms none."""
        started = time.monotonic()
        try:
            answers = self._predict([group for _, group in batch])
        except Exception as error:  # the thread must survive whatever the model raises
            requests = list(dict.fromkeys(request for request, _ in batch))
            if len(requests) == 1:
                requests[0].finish(error)
                return
            for failing in requests:
                self._answer([(request, group) for request, group in batch if request is failing])
            return
        seconds, queries = time.monotonic() - started, sum(len(group) for _, group in batch)
        self._seconds_per_query += 0.2 * (seconds / queries - self._seconds_per_query)
        if self._on_batch:
            self._on_batch(queries, seconds)
        for (request, _), predictions in zip(batch, answers, strict=True):
            request.answer(predictions)


def _list_bytes(task: Task) -> int:
    return sum(_bytes(task.word(label)) + 1 for label in task.labels)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
