"""The gate before every route: who may enter, how much, for how long; and what is told of each request.

An ASGI middleware. A request to /v1 reaches the application only with the right token, a JSON content
type and a whole body within the limit, which it gets in one piece. Every answer carries the request's id,
every request is counted and logged without its texts, and an unforeseen exception ends as a 500.
"""

import asyncio
import hmac
import json
import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gsa.serving.limits import Limits
from gsa.serving.page_access import BUTTONS, HEADERS, Page, password
from gsa.serving.telemetry import Metrics, log

DISCARD = 4 * 2**20
"""Bytes beyond the limit that are read and dropped, so that most clients hear why before the line closes."""
GONE = 499
"""Status that is counted where the client left before its answer."""
PAGE = "page"
"""What is told instead of the paths of the web page."""
UPLOADS = 4
"""Files that may arrive at a time; each is held in memory until it is whole."""


class RefusedError(Exception):
    """A request that is not let in."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        """`headers` go with the answer."""
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})
        super().__init__(sentence)


class GoneError(Exception):
    """The client left."""


class Gate:
    """Wraps the application."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        metrics: Metrics,
        paths: Collection[str],
        stopping: Callable[[], bool],
        token: str = "",
        page: Page | None = None,
    ) -> None:
        """`paths` are those that may be told; an empty token lets everyone in."""
        self.app, self.limits, self.metrics, self.paths = app, limits, metrics, frozenset(paths)
        self.stopping, self.token, self.page = stopping, token.encode(), page
        self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), 0
        request = scope["gsa.id"] = uuid.uuid4().hex
        shown = self.page is not None and self.page.lets(scope["method"], scope["path"])
        inner = self.page.app if self.page and shown else self.app

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = {"x-request-id": request, **(HEADERS if shown else {})}
                pairs = [(name.encode(), value.encode()) for name, value in more.items()]
                message["headers"] = [*message.get("headers", ()), *pairs]
            await send(message)

        try:
            entered = self._entered_page if shown else self._entered
            await inner(scope, await entered(scope, receive), tell)
        except RefusedError as refused:
            await _say(tell, refused.status, refused.sentence, request, refused.headers)
        except GoneError:
            pass
        except Exception as error:
            log("failed", logging.ERROR, error, id=request)
            if not status:
                await _say(tell, 500, "the server failed; its log has more under this id", request, {})
        finally:
            path = PAGE if shown else scope["path"] if scope["path"] in self.paths else "other"
            seconds = time.monotonic() - began
            self.metrics.answered(path, status or GONE, seconds)
            if not shown or scope["method"] == "POST" or status >= 400:  # a page is a hundred small files
                log(
                    "request", id=request, path=path, method=_known(scope["method"]), status=status or GONE,
                    seconds=round(seconds, 4), **scope.get("gsa.facts", {}),
                )  # fmt: skip

    async def _entered(self, scope: Scope, receive: Receive) -> Receive:
        """Return where the application gets the body from; raises RefusedError or GoneError."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        asks = scope["path"].startswith("/v1/")
        if self.token and (asks or scope["path"] == "/metrics"):
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if not hmac.compare_digest(given, self.token) or scheme.lower() != b"bearer":
                says = "expected the header 'Authorization: Bearer TOKEN' with this server's token"
                raise RefusedError(401, says, {"www-authenticate": "Bearer"})
        if not asks or scope["method"] != "POST":
            return receive
        return await self._whole(headers, receive, b"application/json", self.limits.body, self.limits.seconds)

    async def _entered_page(self, scope: Scope, receive: Receive) -> Receive:
        """Do the same for a request of the page, whose token is the password that browsers ask for."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self.token and not hmac.compare_digest(password(headers.get(b"authorization", b"")), self.token):
            says = "expected this server's token as the password, with any name"
            raise RefusedError(401, says, {"www-authenticate": 'Basic realm="gsa", charset="UTF-8"'})
        if scope["method"] != "POST":
            return receive
        if headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
            raise RefusedError(403, "expected a request of this server's own page, found one of another site")
        limits = self.limits
        if scope["path"] in BUTTONS:
            return await self._whole(headers, receive, b"application/json", limits.body, limits.seconds)
        assert self.page is not None
        kept = await asyncio.to_thread(self.page.size)
        if self._uploads >= UPLOADS or kept + limits.upload > limits.kept:
            raise RefusedError(429, "too many files are here already", {"retry-after": "60"})
        self._uploads += 1
        try:
            return await self._whole(
                headers, receive, b"multipart/form-data", limits.upload, limits.upload_seconds
            )
        finally:
            self._uploads -= 1

    async def _whole(
        self, headers: Mapping[bytes, bytes], receive: Receive, kind: bytes, most: int, seconds: float
    ) -> Receive:
        """Return where the application gets a body from, of a kind and at most so many bytes and seconds."""
        if self.stopping():
            raise RefusedError(503, "the server is stopping", {"retry-after": "5", "connection": "close"})
        if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != kind:
            raise RefusedError(415, f"expected the header 'Content-Type: {kind.decode()}'")
        length = headers.get(b"content-length", b"0")
        if len(length) > 12 or (length.isdigit() and int(length) > most + DISCARD):
            raise _too_large(most)
        body = await self._body(receive, most, seconds)
        sent = False

        async def whole() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return whole

    async def _body(self, receive: Receive, most: int, seconds: float) -> bytes:
        parts, size = [], 0
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more and size <= most + DISCARD:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise GoneError
                    part, more = message.get("body", b""), message.get("more_body", False)
                    size += len(part)
                    if size <= most:
                        parts.append(part)
        except TimeoutError:
            says = f"the body did not arrive within {seconds:g} s"
            raise RefusedError(408, says, {"connection": "close"}) from None
        if size > most:
            raise _too_large(most)
        return b"".join(parts)


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"expected a body of at most {most:,} bytes", {"connection": "close"})


def _known(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


async def _say(send: Send, status: int, sentence: str, request: str, headers: Mapping[str, Any]) -> None:
    body = json.dumps({"error": sentence, "id": request}).encode()
    fixed = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    pairs = [(name.encode(), value.encode()) for name, value in fixed.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
