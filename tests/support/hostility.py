"""Hostile requests: malformed, too large, of wrong types, or not HTTP at all.

`requests(n, seed)` yields them as bytes for a socket; the same seed yields the same. `send` sends them.
"""

import base64
import json
import random
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

TALK: list[Any] = ["My bike is gone!", {"speaker": "Desk", "text": "Oh no."}, {"text": "Great, as always."}]
GOOD: list[tuple[str, Any]] = [
    ("sentiment", {"text": "It was fine."}),
    ("sentiment", {"texts": ["It was fine.", "Dreadful!"], "labels": ["bad", "good"]}),
    ("emotion", {"turns": TALK}),
    ("emotion", {"conversations": [TALK, TALK[:1]]}),
    ("sarcasm", {"turns": TALK}),
    ("classify", {"task": "urgency", "instruction": "When?", "labels": ["now", "later"], "text": "Help!"}),
    ("classify", {"task": "emotion", "conversations": [TALK]}),
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, 10**400, -(2**63), [], {}, [[]], [{}], [None], "", " ", "\n\t\r",
    "\0", "a\0b", "\ud800", "\udfff\ud800", "a\udc80", "\u200b", "\u202e txet", "\u2028\u2029", "\ufeff",
    "\ufffe\uffff",
    "e\u0301" * 200, "\u0301" * 500, "\U0001f468\u200d\U0001f469" * 50, "x" * 9000, "字" * 5000,
    "word " * 1500, "<|im_start|>", "<|endoftext|></s>[INST]", "{{7*7}}${jndi:ldap://x}", "%s%n%x", "../../x",
    "' OR 1=1 --", "Labels: a, b =>", "\x1b[31m", "=>\n=>\n", {"text": "a", "text ": "b"}, {"speaker": "A"},
    {"text": None}, {"text": "a", "speaker": 5}, ["a", ["b", ["c"]]], ["a"] * 300, [["a"]] * 200, ["a", "a"],
    [""] * 3, list(range(50)), float("nan"), float("inf"), "\x7f\x80\x9f", "\\u0000", "\\", '"', "sentiment",
]  # fmt: skip
BODIES: list[bytes] = [
    b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[[]]", b"{", b"}", b'{"text"', b'{"text":',
    b'{"text":"', b'{"text":"a"', b'{"text":"a"}}', b'{"text":"a"}{"text":"b"}', b'{"text":"a",}',
    b"{'text':'a'}", b'{"text":"a"/*c*/}', b'{text:"a"}', b'{"text":"a","text":"b"}',
    b'{"text":"a","text":5}',
    b'{"text":NaN}', b'{"text":Infinity}', b'{"text":-0}', b'{"text":1e999999}',
    b'{"text":' + b"9" * 5000 + b"}",
    b'{"text":"\xff\xfe"}', b'{"text":"\xc0\x80"}', b'{"text":"\xed\xa0\x80"}',
    b'{"text":"\xf5\x80\x80\x80"}',
    b'{"text":"\\ud800"}', b'{"\\ud800":"a"}', b'{"text":"a","\\udfff\\u0000":1}', b'{"text":"\\u00"}',
    b'{"text":"\\x41"}', b'{"text":"a\nb"}', b'{"text":"\0"}', b'\xef\xbb\xbf{"text":"a"}', b"\xff\xfe",
    '{"text":"a"}'.encode("utf-16"), '{"text":"a"}'.encode("utf-32"),
    '{"text":"a\ud800"}'.encode("utf-16", "surrogatepass"),
    b"[" * 50_000, b"[" * 50_000 + b"]" * 50_000, b'{"text":' * 20_000,
    b'{"turns":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"text":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}", b'{"labels":[' + b"[],[]," * 9000 + b"[]]}",
    b"{" + b",".join(b'"k%d":1' % i for i in range(9000)) + b"}", b'{"text":"' + b"a" * 300_000 + b'"}',
    b'{"texts":[' + b'"a",' * 20_000 + b'"a"]}', b'{"turns":[' + b'"a",' * 200 + b'"a"]}', b"text=a", b"<a/>",
    json.dumps({"text": "a", "labels": [f"{i:02}" + " x\u5b57" * 32 for i in range(64)]}).encode(),
    b'{"turns":[' + b'{"text":"a"},' * 9000 + b'{}]}', b'{"__proto__":{},"constructor":1}', b"\x00" * 1000,
]  # fmt: skip
TYPES = [
    "application/json", "application/json; charset=utf-16", "application/json;;;", "text/plain", "",
    "a/b/c", "*/*",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml",
    "x" * 3000, "\xff",
]  # fmt: skip
METHODS = ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "post", "X" * 50, "QUERY"]
PATHS = [
    "/", "//", "/v1", "/v1/", "/v1/nothing", "/v1/sentiment/", "/v1//sentiment", "/v1/../metrics",
    "/V1/Sentiment",
    "/v1/sentiment%00", "/v1/%ff%fe", "/v1/sentiment?x=%00", "/v1/sentiment#x", "/v1/sentiment;a",
    "/%2e%2e/%2e%2e/x",
    "/v1/" + "a" * 9000, "/docs", "/openapi.json", "/health", "/ready", "/metrics", "/metrics?name[]=%00",
    "http://other.example/v1/sentiment", "/v1/classify?" + "a=b&" * 500, "/\xff", "*",
    "/v1/emotion%0d%0aX:%20y", "/config", "/theme.css", "/gradio_api/queue/data?session_hash=nobody",
    "/gradio_api/file=/etc/passwd", "/gradio_api/file=" + "../" * 90, "/gradio_api/heartbeat/%00",
    "/gradio_api/queue/data", "/assets/%2e%2e/config", "/gradio_api/upload_progress?upload_id=x",
]  # fmt: skip
HEADERS = [
    "Content-Length: -1", "Content-Length: abc", "Content-Length: 9999999999",
    "Content-Length: " + "9" * 5000,
    "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, chunked", "Expect: 100-continue",
    "Expect: nonsense",
    "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x",
    "Connection: upgrade\r\nUpgrade: h2c",
    "Authorization: Bearer " + "x" * 2000, "Authorization: \xff\xfe", "Host: " + "x" * 5000, "X-Y: a\0b",
    "NoColon",
    "X-Forwarded-For: 1.2.3.4, \xff", "X-Forwarded-Proto: javascript", "Content-Encoding: gzip",
    "X: " + "y" * 70_000,
    "Accept: \xff",
    "Cookie: " + "a=b;" * 900, "Range: bytes=0-1,5-2", " folded: x", "X-Request-Id: a\r\n\tb", ":",
]  # fmt: skip
RAW = [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00" * 500, b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n", b"\xff" * 100,
    b"POST /v1/sentiment HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\nhost: x\n\n", b"A" * 100_000 + b"\r\n\r\n",
]  # fmt: skip
CHUNKS = [
    b"5\r\nabc", b"zz\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n", b"fffffffffffffffffffff\r\n",
    b"0\r\nbad trailer\r\n\r\n",
    b"3;" + b"x" * 900 + b"\r\n{ }\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n",
]  # fmt: skip


def dump(value: Any, dice: random.Random) -> bytes:
    """Return JSON, in ASCII or not, even of what has none."""
    return json.dumps(value, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")


def mutate(value: Any, dice: random.Random) -> Any:
    """Return a JSON value with one node replaced, added or dropped."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(list(value))
        if dice.random() < 0.15:
            return {
                **value,
                dice.choice(["extra", "\0", "\ud800", "Text", "", "x" * 5000]): dice.choice(VALUES),
            }
        if dice.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: mutate(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.85:
        at = dice.randrange(len(value))
        return [*value[:at], mutate(value[at], dice), *value[at + 1 :]]
    return dice.choice(VALUES)


def scramble(data: bytes, dice: random.Random) -> bytes:
    """Return bytes with a few of them changed, dropped, doubled or added."""
    result = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(result) + 1)
        end = at + dice.randint(0, 6)
        result[at:end] = dice.choice(
            [b"", bytes([dice.randrange(256)]), bytes(result[at:end]) * 2, b"\\u", b'"']
        )
    return bytes(result)


def http(method: str, path: str, body: bytes, *headers: str, length: bool = True) -> bytes:
    """Return a request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + body


def post(path: str, body: bytes, *headers: str) -> bytes:
    return http("POST", path, body, "Content-Type: application/json", *headers)


def _mutated(dice: random.Random) -> bytes:
    task, body = dice.choice(GOOD)
    for _ in range(dice.randint(1, 2)):
        body = mutate(body, dice)
    return post(f"/v1/{task}", dump(body, dice))


def _scrambled(dice: random.Random) -> bytes:
    task, body = dice.choice(GOOD)
    return post(f"/v1/{task}", scramble(dump(body, dice), dice))


def _strange_body(dice: random.Random) -> bytes:
    task = dice.choice(["sentiment", "emotion", "sarcasm", "classify"])
    return post(f"/v1/{task}", dice.choice(BODIES))


def _strange_head(dice: random.Random) -> bytes:
    task, body = dice.choice(GOOD)
    path, data = f"/v1/{task}", dump(body, dice)
    return dice.choice(
        [
            lambda: http("POST", path, data, f"Content-Type: {dice.choice(TYPES)}"),
            lambda: http(dice.choice(METHODS), path, data, "Content-Type: application/json"),
            lambda: post(dice.choice(PATHS), data),
            lambda: http("GET", dice.choice(PATHS), b"", length=False),
            lambda: post(path, data, dice.choice(HEADERS)),
            lambda: http(
                "POST", path, data, "Content-Type: application/json", dice.choice(HEADERS), length=False
            ),
        ]
    )()


def _chunked(dice: random.Random) -> bytes:
    head = http(
        "POST",
        "/v1/sentiment",
        b"",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        length=False,
    )
    if dice.random() < 0.5:
        return head + dice.choice(CHUNKS)
    return head + (b"2000\r\n" + b"x" * 0x2000 + b"\r\n") * dice.choice([3, 40]) + b"0\r\n\r\n"


def _raw(dice: random.Random) -> bytes:
    if dice.random() < 0.5:
        return dice.choice(RAW)
    task, body = dice.choice(GOOD)
    return scramble(post(f"/v1/{task}", dump(body, dice)), dice)


def _page_event(dice: random.Random) -> bytes:
    """Return an event of the web page, mutated or scrambled."""
    session = dice.choice(["abc", "", "x" * 60, "x" * 9000, "\0", "\ud800", "../x"])
    path, body = dice.choice(
        [
            ("queue/join", {"data": ["It was fine.", "sentiment"], "fn_index": dice.randrange(20),
                            "session_hash": session, "trigger_id": 5}),
            ("cancel", {"session_hash": session, "fn_index": dice.randrange(20), "event_id": "abc"}),
        ]
    )  # fmt: skip
    if dice.random() < 0.2:
        kind = "Content-Type: multipart/form-data; boundary=x"
        parts = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\na\r\n--x--\r\n'
        return http("POST", "/gradio_api/upload", scramble(parts, dice), kind)
    mutated = dump(mutate(body, dice) if dice.random() < 0.8 else body, dice)
    return post(f"/gradio_api/{path}", scramble(mutated, dice) if dice.random() < 0.3 else mutated)


def with_token(request: bytes, token: str) -> bytes:
    """Return a request with a server's token, as the page or the API expects it."""
    page = request.partition(b"\r\n")[0].split(b" ")[1:2] == [b"/"] or b"/gradio_api/" in request[:200]
    word = base64.b64encode(f"me:{token}".encode()).decode() if page else token
    header = f"Host: x\r\nAuthorization: {'Basic' if page else 'Bearer'} {word}\r\n"
    return request.replace(b"Host: x\r\n", header.encode(), 1)


KINDS: list[tuple[int, Callable[[random.Random], bytes]]] = [
    (8, _mutated), (4, _scrambled), (4, _strange_body), (4, _strange_head), (1, _chunked), (2, _raw),
    (4, _page_event),
]  # fmt: skip


def requests(n: int, seed: int = 0) -> Iterator[bytes]:
    """Yield hostile requests: each of the fixed bodies once, then n in all at random."""
    dice = random.Random(seed)
    fixed = [post("/v1/sentiment", body) for body in BODIES] + list(RAW)
    fixed += [post("/v1/sentiment", dump({"text": value}, dice)) for value in VALUES]
    for i in range(n):
        if i < len(fixed):
            yield fixed[i]
        else:
            ((_, kind),) = dice.choices(KINDS, [weight for weight, _ in KINDS])
            yield kind(dice)


def send(address: tuple[str, int], request: bytes, silence: float = 0.15) -> list[int]:
    """Send bytes on a new connection and return the statuses of what comes back, none for silence.

    After `silence` seconds without an answer the connection is closed from this side.
    """
    answer = b""
    with socket.create_connection(address, timeout=20) as connection:
        try:
            connection.sendall(request)
            connection.settimeout(silence)
            while part := connection.recv(65536):
                answer += part
        except TimeoutError:
            connection.shutdown(socket.SHUT_WR)
        except (ConnectionResetError, BrokenPipeError):
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
