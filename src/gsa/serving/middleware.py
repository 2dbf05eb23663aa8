"""The middleware around all routes: who may ask, how much, for how long, and the log and metrics of it.

A request to /v1 reaches the application only with the right token, a JSON content type and a whole body
within the limit, which it gets in one piece. Every answer carries the request's id, every request is counted
and logged without its texts, and an unforeseen exception ends as a 500.
"""

import asyncio
import contextlib
import hmac
import logging
import time
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from h11 import LocalProtocolError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gsa.serving.limits import Limits
from gsa.serving.page import EVENTS, HEADERS, MountedPage, basic_password
from gsa.serving.telemetry import Metrics, log

DISCARD = 4 * 2**20
"""Bytes beyond the limit that are read and dropped, so that most clients get to see the 413."""
CLIENT_LEFT = 499
"""Status that is counted where the client left before its answer."""
MALFORMED = 400
"""Status that is counted where the body breaks HTTP's rules."""
MAX_HOST = 100
"""Characters of a host name that is refused, as answers and the log show it."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_UPLOADS = 4
"""Files that may arrive at a time; each is held in memory until it is whole."""
SURPLUS = "gsa.surplus"
"""Key of the scope's state that marks a connection beyond the limit."""
STATE_PATHS = ("/health", "/metrics")
"""What is answered on such a connection too."""
STOPPING = HTTPException(503, "the server is stopping", {"retry-after": "5", "connection": "close"})


class RequestMiddleware:
    """Wraps the application, and the page's application beside it."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        metrics: Metrics,
        paths: Collection[str],
        token: str = "",
        page: MountedPage | None = None,
        hosts: Sequence[str] = ("*",),
    ) -> None:
        """`paths` are those that may be logged; an empty token lets everyone in, a host ``*`` any name."""
        self._trusted_host = TrustedHostMiddleware(_trust_host, list(hosts), www_redirect=False)
        self.app, self.limits, self.metrics, self.paths = app, limits, metrics, frozenset(paths)
        self.token, self.page = token.encode(), page
        self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 0
        request_id = scope["gsa.id"] = uuid.uuid4().hex
        page = self.page if self.page and self.page.allows(scope["method"], scope["path"]) else None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update({"x-request-id": request_id, **(HEADERS if page else {})})
                if _is_surplus(scope):
                    headers["connection"] = "close"
            try:
                await send(message)
            except LocalProtocolError:  # uvicorn has answered a malformed body with 400 by itself
                status = MALFORMED
                raise ClientDisconnect from None

        async def refuse(error: HTTPException) -> None:
            if not status:
                response = JSONResponse(
                    {"error": error.detail, "id": request_id}, error.status_code, error.headers
                )
                with contextlib.suppress(ClientDisconnect):
                    await response(scope, receive, send_with_id)

        try:
            await self._check_host(scope, receive)
            self._check_connections(scope)
            if page:
                await page.app(scope, await self._admit_to_page(page, scope, receive), send_with_id)
            else:
                await self.app(scope, await self._admit(scope, receive), send_with_id)
        except HTTPException as error:
            await refuse(error)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:  # a stop that waits no longer
            await refuse(STOPPING)
        except Exception as error:
            log("failed", logging.ERROR, error, id=request_id)
            await refuse(HTTPException(500, "the server failed; its log has more under this id"))
        finally:
            self._record(scope, "page" if page else "", status or CLIENT_LEFT, time.monotonic() - started)

    async def _check_host(self, scope: Scope, receive: Receive) -> None:
        """Raise HTTPException for a request to a host name that is not this server's."""
        await self._trusted_host(scope, receive, _discard)
        if not scope.get("gsa.trusted_host"):
            host = Headers(scope=scope).get("host", "")[:MAX_HOST]
            scope["gsa.fields"] = {"host": host}
            expected = "expected a name of this server (gsa serve --allowed-host NAME adds one)"
            raise HTTPException(400, f"host '{host}': {expected}")

    def _check_connections(self, scope: Scope) -> None:
        """Raise HTTPException for a request on a connection beyond the limit, except for STATE_PATHS."""
        if _is_surplus(scope) and scope["path"] not in STATE_PATHS:
            message = f"the server has {self.limits.connections:,} open connections already: try again later"
            raise HTTPException(503, message, {"retry-after": "5"})

    def _record(self, scope: Scope, path: str, status: int, seconds: float) -> None:
        """Count and log a request; `path` is what is shown instead of the request's own, if not empty."""
        path = path or (scope["path"] if scope["path"] in self.paths else "other")
        self.metrics.count_request(path, status, seconds)
        if path != "page" or scope["method"] == "POST" or status >= 400:  # a page is a hundred small files
            method = scope["method"] if scope["method"] in METHODS else "other"
            log("request", id=scope["gsa.id"], path=path, method=method, status=status,
                seconds=round(seconds, 4), **scope.get("gsa.fields", {}))  # fmt: skip

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """Return where the API gets a request's body from; raises HTTPException or ClientDisconnect."""
        headers = Headers(scope=scope)
        api = scope["path"].startswith("/v1/")
        if self.token and (api or scope["path"] == "/metrics"):
            scheme, _, credentials = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not self._is_token(credentials.encode("latin-1")):
                message = "expected the header 'Authorization: Bearer TOKEN' with this server's token"
                raise HTTPException(401, message, {"www-authenticate": "Bearer"})
        if not api or scope["method"] != "POST":
            return receive
        return await self._buffer(headers, receive, "application/json", self.limits.body)

    async def _admit_to_page(self, page: MountedPage, scope: Scope, receive: Receive) -> Receive:
        """Do the same for the page, whose token is the password that browsers ask for."""
        headers, limits = Headers(scope=scope), self.limits
        password = basic_password(headers.get("authorization", "").encode("latin-1"))
        if self.token and not self._is_token(password):
            message = "expected this server's token as the password, with any name"
            raise HTTPException(401, message, {"www-authenticate": 'Basic realm="gsa", charset="UTF-8"'})
        if scope["method"] != "POST":
            return receive
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise HTTPException(403, "expected a request of this server's own page, found another site's")
        if scope["path"] in EVENTS:
            return await self._buffer(headers, receive, "application/json", limits.body)
        stored = await asyncio.to_thread(page.stored_bytes)
        if self._uploads >= MAX_UPLOADS or stored + limits.upload > limits.storage:
            raise HTTPException(
                429, "the server holds too many files: try again later", {"retry-after": "60"}
            )
        self._uploads += 1
        try:
            return await self._buffer(headers, receive, "multipart/form-data", limits.upload)
        finally:
            self._uploads -= 1

    def _is_token(self, credentials: bytes) -> bool:
        return hmac.compare_digest(credentials, self.token)

    async def _buffer(self, headers: Headers, receive: Receive, kind: str, limit: int) -> Receive:
        """Read a body of a content type and at most `limit` bytes; return what hands it on in one piece."""
        if headers.get("content-type", "").split(";")[0].strip().lower() != kind:
            raise HTTPException(415, f"expected the header 'Content-Type: {kind}'")
        too_large = HTTPException(413, f"expected a body of at most {limit:,} bytes", {"connection": "close"})
        length = headers.get("content-length", "0")
        if len(length) > 12 or (length.isdecimal() and int(length) > limit + DISCARD):
            raise too_large
        try:
            body = await asyncio.wait_for(_read(receive, limit), self.limits.timeout)
        except TimeoutError:
            message = f"the body did not arrive within {self.limits.timeout} s"
            raise HTTPException(408, message, {"connection": "close"}) from None
        if body is None:
            raise too_large
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        return replay


def _is_surplus(scope: Scope) -> bool:
    return bool(scope.get("state", {}).get(SURPLUS))


async def _trust_host(scope: Scope, receive: Receive, send: Send) -> None:
    """Mark a request that Starlette's check of host names lets through."""
    scope["gsa.trusted_host"] = True


async def _discard(message: Message) -> None:
    """Send nothing: the refusal of Starlette's check has no request id."""


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Return a body, None where it has more than `limit` bytes, of which at most DISCARD are read."""
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= limit + DISCARD:
        message: dict[str, Any] = dict(await receive())
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= limit:
            parts.append(part)
    return b"".join(parts) if size <= limit else None
