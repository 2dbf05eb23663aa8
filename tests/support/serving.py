"""A predictor that tests can hold up, look at and break, and the server around it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gsa.data.types import Prediction
from gsa.prediction.predictor import Predictor
from gsa.serving.app import Service
from gsa.serving.server import bound
from gsa.serving.shutdown import Server


class Held:
    """Does what a predictor does, but only while `go` is set; notes the queries of each call."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.calls: list[list[Query]] = []
        self.go = threading.Event()
        self.go.set()
        self.before: Callable[[Sequence[Query]], None] = lambda queries: None
        """Called with the queries of each call; may raise."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def predict(self, queries: Sequence[Query]) -> list[Prediction]:
        self.calls.append(list(queries))
        assert self.go.wait(30)
        self.before(queries)
        return self._predictor.predict(queries)


@contextmanager
def listening(
    service: Service, drain: float = 10, end: Callable[[], None] = lambda: None
) -> Iterator[tuple[tuple[str, int], Server]]:
    """Run a server on a socket of its own, in a thread; yields its address and the server.

    `end` is called once it shall stop.
    """
    heard = threading.Event()
    with bound("127.0.0.1", 0) as listener:
        server = Server(service, drain, heard.set)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert heard.wait(60)
            yield listener.getsockname(), server
        finally:
            server.should_exit = True
            end()
            thread.join(30)
        assert not thread.is_alive()


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something; fails if it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)
