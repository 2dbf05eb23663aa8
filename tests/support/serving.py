"""A predictor that tests can hold up, inspect and break, the server around it, and fixtures of both."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from tiny import byte_tokenizer, tiny_llama

from gsa.data.layout import Layout
from gsa.data.types import Example, Prediction
from gsa.model import hf_attention  # noqa: F401, registers the attention
from gsa.model.backbone import LoadedModel
from gsa.prediction.predictor import Predictor
from gsa.serving.app import Service
from gsa.serving.limits import Limits
from gsa.serving.server import bind
from gsa.serving.shutdown import Server
from gsa.trie import attention


class ControlledPredictor:
    """Does what a predictor does, but only while `go` is set; records the examples of each call."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.calls: list[list[Example]] = []
        self.go = threading.Event()
        self.go.set()
        self.before: Callable[[Sequence[Example]], None] = lambda examples: None
        """Called with the examples of each call; may raise."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def predict(self, examples: Sequence[Example], tasks: Any) -> list[Prediction]:
        self.calls.append(list(examples))
        assert self.go.wait(30)
        self.before(examples)
        return self._predictor.predict(examples, tasks)


@contextmanager
def listening(
    service: Service, drain: float = 10, end: Callable[[], None] = lambda: None, **bounds: Any
) -> Iterator[tuple[tuple[str, int], Server]]:
    """Run a server on a socket of its own, in a thread; yields its address and the server.

    `end` is called when it is to stop. `bounds` are those of the server's connections.
    """
    is_listening = threading.Event()
    with bind("127.0.0.1", 0) as listener:
        server = Server(service, drain, is_listening.set, **bounds)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert is_listening.wait(60)
            yield listener.getsockname(), server
        finally:
            server.should_exit = True
            end()
            thread.join(30)
        assert not thread.is_alive()


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until a condition holds; fails if it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.005)


def tiny_random_predictor(layout: Layout) -> Predictor:
    """Return a predictor on a tiny random Llama."""
    model = tiny_llama().requires_grad_(False)
    model.set_attn_implementation(attention.NAME)
    return Predictor(LoadedModel(model, byte_tokenizer(), "tiny"), layout, max_row_tokens=800)


@pytest.fixture(scope="session")
def tiny_predictor() -> Predictor:
    return tiny_random_predictor(Layout(max_tokens=700))


@pytest.fixture
def predictor(tiny_predictor: Predictor) -> ControlledPredictor:
    return ControlledPredictor(tiny_predictor)


@pytest.fixture
def limits() -> Limits:
    """Return small limits, so that tests can reach them."""
    return Limits(body=20_000, waiting=40, batch=32)


@pytest.fixture(autouse=True)
def restore_loggers() -> Iterator[None]:
    """Restore the loggers that a test configures."""
    loggers = [logging.getLogger(name) for name in ("gsa", "gsa.serving", "uvicorn")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
