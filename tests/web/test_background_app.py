"""An application that is made in the background: who waits, who is told, what ends when."""

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gsa.serving.telemetry import configure_json_logging
from gsa.web.background_app import BackgroundApp


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("the page")


class Maker:
    """Makes an application as soon as `go` is set, and notes what happens to it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go, self.error, self.events = threading.Event(), error, list[str]()

    def __call__(self) -> tuple[Starlette, Callable[[], object]]:
        assert self.go.wait(10)
        if self.error:
            raise self.error

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            self.events.append("begins")
            yield
            self.events.append("ends")

        app = Starlette(routes=[Route("/", answer)], lifespan=lifespan)
        return app, lambda: self.events.append("streams end")


def client_of(app: BackgroundApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def test_requests_wait_for_the_application() -> None:
    maker = Maker()

    async def run() -> None:
        app = BackgroundApp(maker)
        async with app.lifespan(), client_of(app) as client:
            app.stop()  # there is no stream to end yet
            early = asyncio.create_task(client.get("/"))
            left = asyncio.create_task(client.get("/"))
            await asyncio.sleep(0.05)
            assert not early.done()
            assert maker.events == []
            left.cancel()  # a client that leaves while it waits changes nothing for the other
            maker.go.set()
            assert (await early).text == (await client.get("/")).text == "the page"
            app.stop()
        assert maker.events == ["begins", "streams end", "ends"]

    asyncio.run(run())


def test_the_end_waits_for_an_application_that_is_being_made() -> None:
    maker = Maker()

    async def run() -> None:
        async with BackgroundApp(maker).lifespan():
            threading.Timer(0.05, maker.go.set).start()
        assert maker.events == ["begins", "ends"]

    asyncio.run(run())


@pytest.mark.usefixtures("restore_loggers")
def test_an_application_that_cannot_be_made_is_logged_and_its_requests_fail() -> None:
    out = io.StringIO()
    configure_json_logging(out)
    maker = Maker(ImportError("no module of this name"))
    maker.go.set()

    async def run() -> None:
        app = BackgroundApp(maker)
        async with app.lifespan(), client_of(app) as client:
            for _ in range(2):
                with pytest.raises(
                    RuntimeError, match="the web page could not be made; the server's log says why"
                ):
                    await client.get("/")

    asyncio.run(run())
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["event"] == "the web page failed"
    assert "ImportError" in line
