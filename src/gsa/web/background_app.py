"""An application that is made in a thread while the server answers already.

Importing and building the page takes seconds that the API need not wait for.
In: a function that makes the application. Out: an ASGI application whose requests wait for it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from gsa.serving.telemetry import log


class BackgroundApp:
    """An ASGI application that `make` returns, together with a function that ends its open streams."""

    def __init__(self, make: Callable[[], tuple[Starlette, Callable[[], object]]]) -> None:
        """`make` is called once, in a thread without an event loop, when the lifespan begins."""
        self._make = make
        self._end_streams: Callable[[], object] = lambda: None
        self._made: asyncio.Future[Starlette]
        self._stopped: asyncio.Event

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as soon as the application is made; raises RuntimeError if it could not be."""
        app = await asyncio.shield(self._made)  # a client that leaves does not cancel it for the others
        await app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Make the application and keep it until the end, which waits for one that is still being made."""
        self._made, self._stopped = asyncio.get_running_loop().create_future(), asyncio.Event()
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._stopped.set()
            await task

    def stop(self) -> None:
        """End the responses that go on as long as a client listens."""
        self._end_streams()

    async def _run(self) -> None:
        """Hold the application's own lifespan, which must begin and end in one asyncio task."""
        try:
            app, self._end_streams = await asyncio.to_thread(self._make)
            async with app.router.lifespan_context(app):
                self._made.set_result(app)
                await self._stopped.wait()
        except Exception as error:
            log("the web page failed", logging.ERROR, error)
            if not self._made.done():
                self._made.set_exception(
                    RuntimeError("the web page could not be made; the server's log says why")
                )
                self._made.exception()  # seen, even if nobody asks for the page
