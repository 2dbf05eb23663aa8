"""A uvicorn server that reports when it listens, bounds connections, and stops once all are answered."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from gsa.serving.app import Service
from gsa.serving.middleware import SURPLUS
from gsa.serving.telemetry import log

SPARE_CONNECTIONS = 64
"""Connections beyond the limit whose requests are refused in a sentence; more are closed at once."""
SPARE_SECONDS = 5.0
"""How long the head of a request may take on one of them."""


class Connection(H11Protocol):
    """A connection that is closed where the head of a request does not arrive in time, or there are too many.

    uvicorn bounds only how long a connection may be silent after an answer. Its `limit_concurrency` answers a
    plain 503 to every request, that for the server's health too, and lets idle connections be.
    """

    head_seconds: float = 60
    """How long the head of a request may take."""
    max_connections: int = 512
    """Open connections, this one among them, beyond which requests are refused."""
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head; mark the requests of a connection beyond the limit in their scope."""
        super().connection_made(transport)
        surplus = len(self.connections) - self.max_connections
        if surplus > SPARE_CONNECTIONS:
            transport.abort()
            return
        if surplus > 0:
            self.app_state = {**self.app_state, SURPLUS: True}
            self.head_seconds = min(self.head_seconds, SPARE_SECONDS)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Wait for the next head from its first byte on."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()
        else:
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_timer()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Server(uvicorn.Server):
    """Serves one Service."""

    def __init__(
        self,
        service: Service,
        drain: float,
        on_listening: Callable[[], None],
        head_seconds: float = Connection.head_seconds,
        max_connections: int = Connection.max_connections,
    ) -> None:
        """`drain` is how many seconds a stop waits for unanswered requests, before they get a 503.

        `head_seconds` is how long the head of a request may take to arrive, `max_connections` how many
        connections may be open before requests on further ones get a 503.
        """
        self._service, self._on_listening = service, on_listening
        bounds = {"head_seconds": head_seconds, "max_connections": max_connections}
        protocol = type("BoundedConnection", (Connection,), bounds)
        config = uvicorn.Config(
            service.app, http=protocol, ws="none", loop="asyncio", lifespan="on", log_config=None,
            access_log=False, server_header=False, timeout_keep_alive=30,
            timeout_graceful_shutdown=drain,  # type: ignore[arg-type]  # asyncio takes fractions too
        )  # fmt: skip
        super().__init__(config)

    async def startup(self, sockets: Any = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self._on_listening()

    async def shutdown(self, sockets: Any = None) -> None:
        """Take no more requests, answer those that wait, close; uvicorn cancels what `drain` does not see."""
        log("stopping", waiting=self._service.scheduler.waiting)
        self._service.scheduler.close()
        page = asyncio.create_task(self._stop_page())
        await super().shutdown(sockets)
        page.cancel()
        log("stopped", waiting=self._service.scheduler.waiting)

    async def _stop_page(self) -> None:
        """End the page's streams, which never end by themselves, once all its questions are answered."""
        while not self._service.scheduler.join(0):
            await asyncio.sleep(0.05)
        if self._service.page:
            self._service.page.stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGHUP too, unless it is ignored, as nohup leaves it."""
        with super().capture_signals():
            main = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGHUP")
            before = signal.getsignal(signal.SIGHUP) if main else signal.SIG_IGN
            if before is not signal.SIG_IGN:
                signal.signal(signal.SIGHUP, self.handle_exit)
            try:
                yield
            finally:
                if before is not signal.SIG_IGN:
                    signal.signal(signal.SIGHUP, before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully on the first signal, at once on the second."""
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)
