"""The middleware in ASGI: bodies in pieces, too large, too slow, and clients that leave."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from gsa.serving import middleware as module
from gsa.serving.limits import Limits
from gsa.serving.middleware import CLIENT_LEFT, RequestMiddleware
from gsa.serving.telemetry import Metrics

JSON = (b"content-type", b"application/json")


class Inner:
    """An application that answers with the body that it got."""

    body = b""
    fails = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.fails == "before":
            raise ValueError("before")
        message = await receive()
        assert not message["more_body"]
        self.body = message["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if self.fails == "after":
            raise ValueError("after")
        await send({"type": "http.response.body", "body": self.body})
        self.next = await receive()


def ask(
    messages: Sequence[dict[str, Any] | float],
    headers: Sequence[tuple[bytes, bytes]] = (JSON,),
    inner: Inner | None = None,
    path: str = "/v1/x",
    **limits: Any,
) -> tuple[int, bytes, Metrics]:
    """Send ASGI messages through the middleware; a number is a wait.

    Returns the status (0 for none), the body and the metrics.
    """
    left, sent = list(messages), []

    async def receive() -> dict[str, Any]:
        if left and isinstance(left[0], float):
            await asyncio.sleep(left.pop(0))
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    metrics = Metrics(lambda: 0)
    middleware = RequestMiddleware(inner or Inner(), Limits(**limits), metrics, {"/v1/x"})
    scope = {"type": "http", "path": path, "method": "POST", "headers": list(headers)}
    asyncio.run(middleware(scope, receive, send))
    status = sent[0]["status"] if sent else 0
    return status, b"".join(message.get("body", b"") for message in sent), metrics


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def counted(metrics: Metrics, status: int, path: str = "/v1/x") -> float | None:
    return metrics.registry.get_sample_value("gsa_requests_total", {"path": path, "status": str(status)})


def test_a_body_in_pieces_arrives_whole() -> None:
    inner = Inner()
    assert ask([part(b"ab"), part(b""), part(b"c", False)], inner=inner)[:2] == (200, b"abc")
    assert inner.next["type"] == "http.disconnect", "after the body come the client's own messages"


@pytest.mark.parametrize("length", [b"30", b"9" * 30, b"999999999"])
def test_a_body_that_is_said_to_be_too_large_is_not_read(length: bytes) -> None:
    status, body, _ = ask([part(b"x" * 30, False)], [JSON, (b"content-length", length)], body=20)
    assert status == 413
    assert json.loads(body)["error"] == "expected a body of at most 20 bytes"


def test_a_chunked_body_that_grows_too_large_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DISCARD", 50)
    endless = [part(b"x" * 10) for _ in range(1000)]
    inner = Inner()
    status, _, metrics = ask(endless, inner=inner, body=20)
    assert (status, inner.body) == (413, b"")
    assert counted(metrics, 413) == 1
    assert ask([part(b"x" * 20, False)], body=20)[0] == 200, "the limit itself is allowed"


def test_a_slow_body_is_not_waited_for() -> None:
    status, body, _ = ask([part(b"x"), 5.0, part(b"y", False)], timeout=0.05)
    assert status == 408
    assert "did not arrive within 0.05 s" in json.loads(body)["error"]


def test_a_client_that_leaves_while_it_sends_is_counted() -> None:
    status, _, metrics = ask([part(b"x"), {"type": "http.disconnect"}])
    assert status == 0
    assert counted(metrics, CLIENT_LEFT) == 1


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (b"application/json; charset=utf-8", 200), (b"APPLICATION/JSON", 200), (b"text/plain", 415),
        (b"", 415), (b"application/x-www-form-urlencoded", 415), (b"multipart/form-data; boundary=x", 415),
        (b"application/jsonp", 415), (b"\xff\x00", 415),
    ],
)  # fmt: skip
def test_only_json_is_read(kind: bytes, status: int) -> None:
    assert ask([part(b"{}", False)], [(b"content-type", kind)])[0] == status


def test_an_exception_before_the_answer_is_a_500_and_one_after_it_ends_it() -> None:
    inner = Inner()
    inner.fails = "before"
    status, body, metrics = ask([part(b"{}", False)], inner=inner)
    assert status == 500
    assert len(json.loads(body)["id"]) == 32
    assert counted(metrics, 500) == 1
    inner.fails = "after"
    assert ask([part(b"{}", False)], inner=inner)[:2] == (200, b"")


def test_other_paths_pass_and_are_not_logged() -> None:
    status, _, metrics = ask([part(b"{}", False)], [], path="/a/name")
    assert status == 200
    assert counted(metrics, 200, "other") == 1


def test_what_is_not_http_passes() -> None:
    seen = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    middleware = RequestMiddleware(inner, Limits(), Metrics(lambda: 0), ())
    asyncio.run(middleware({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
