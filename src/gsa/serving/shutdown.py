"""A uvicorn server that tells when it listens, and stops in two steps: the queue, then the connections."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn

from gsa.serving.app import Service
from gsa.serving.telemetry import log

LAST = 10
"""Seconds for the last answers to reach their clients."""


class Server(uvicorn.Server):
    """Serves one Service."""

    def __init__(self, service: Service, drain: float, listening: Callable[[], None]) -> None:
        """`drain` is how many seconds a stop waits for the queue; `listening` is called once it listens."""
        self._worker, self._page = service.worker, service.page
        self._drain, self._listening = drain, listening
        config = uvicorn.Config(
            service.app, http="h11", ws="none", loop="asyncio", lifespan="on", log_config=None,
            access_log=False, server_header=False, timeout_keep_alive=30, timeout_graceful_shutdown=LAST,
        )  # fmt: skip
        super().__init__(config)

    async def startup(self, sockets: Any = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self._listening()

    async def shutdown(self, sockets: Any = None) -> None:
        """Refuse new requests with 503, answer those that wait while `drain` lasts, then close."""
        log("stopping", waiting=self._worker.waiting)
        self._worker.close()
        end = time.monotonic() + self._drain
        while not self._worker.join(0) and time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(0.02)
        self._worker.give_up()
        if self._page:
            self._page.end()
        await super().shutdown(sockets)
        log("stopped", waiting=self._worker.waiting)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Heed SIGHUP too, unless it is ignored, as nohup leaves it."""
        with super().capture_signals():
            heeds = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGHUP")
            before = signal.getsignal(signal.SIGHUP) if heeds else signal.SIG_IGN
            if before is not signal.SIG_IGN:
                signal.signal(signal.SIGHUP, self.handle_exit)
            try:
                yield
            finally:
                if before is not signal.SIG_IGN:
                    signal.signal(signal.SIGHUP, before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Heed a signal: the first stops gracefully, the second at once."""
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)
