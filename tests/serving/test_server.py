"""`gsa serve` as a process and as its parts: what it checks, how it listens, how it stops."""

import asyncio
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

import gsa
from gsa.data.task import EMOTION, EMOTIONS, SENTIMENT
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel
from gsa.prediction.predictor import Predictor
from gsa.serving import answers, shutdown
from gsa.serving import server as module
from gsa.serving.app import make_service
from gsa.serving.limits import Limits
from gsa.serving.requests import client_of
from gsa.serving.server import (
    Options,
    bind,
    browser_origins,
    check_probabilities,
    host_names,
    read_token,
    serve,
)
from gsa.serving.shutdown import Server
from gsa.serving.telemetry import configure_json_logging
from serving import ControlledPredictor, listening, until


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUIRED", ("fastapi", "no_such_package"))
    with pytest.raises(
        InputError, match=r"no_such_package: expected .*: pip install '\.\[server\]' in a clone"
    ):
        serve(Options())


def test_the_parts_that_cli_imports_need_no_extra() -> None:
    code = (
        "import sys; extras = 'gradio', 'fastapi', 'uvicorn', 'starlette', 'prometheus_client'\n"
        "sys.modules.update(dict.fromkeys(extras))\n"
        "import gsa.serving.server\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_token_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GSA_TOKEN", raising=False)
    assert read_token(None) == ""
    monkeypatch.setenv("GSA_TOKEN", "abc")
    assert read_token(None) == "abc"
    file = tmp_path / "token"
    file.write_text("def\n")
    assert read_token(file) == "def"
    for bad in ("", " \n", "two words", "naïve", "a\0b"):
        file.write_text(bad, encoding="utf-8")
        with pytest.raises(InputError, match=r"token: expected a token of visible ASCII characters"):
            read_token(file)


def test_a_taken_port_is_said_before_the_model_is_loaded() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127.0.0.1:{port}: Address already in use: expected a free"):
            serve(Options(model="no/such", port=port))
    with pytest.raises(InputError, match="host 'no such host'"):
        bind("no such host", 80)


def test_a_model_without_probabilities_is_refused() -> None:
    found = SimpleNamespace(probabilities={"a": float("nan"), "b": 0.5})
    with pytest.raises(InputError, match="the model gives no probabilities: expected a sum of 1, found nan"):
        check_probabilities(SimpleNamespace(tasks={"t": SENTIMENT}, classify=lambda task, text: found))  # type: ignore[arg-type]


def test_a_model_whose_first_task_asks_about_an_aspect_is_served(tiny_predictor: Predictor) -> None:
    about = replace(SENTIMENT, about="Aspect")
    for tasks in ({"sentiment": about, "emotion": EMOTION}, {"emotions": EMOTIONS, "sentiment": about}):
        predictor = Predictor(
            LoadedModel(tiny_predictor.model, tiny_predictor.tokenizer, "tiny"), tiny_predictor.layout, tasks
        )
        check_probabilities(predictor)


def test_origins_are_named_as_browsers_name_them() -> None:
    asked = [
        "https://Example.org",
        "https://example.org:443",
        "HTTP://example.org:80",
        "http://[::1]:443",
        "https://example.org:8443",
        "*",
    ]
    assert browser_origins(asked) == [
        "https://example.org", "https://example.org", "http://example.org", "http://[::1]:443",
        "https://example.org:8443", "*",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [
        *("example.org", "https://example.org/", "ftp://example.org", "null", "", "https://", "https://a b"),
        *("https://a:", "https://a:0", "https://a:080", "https://a:99999", "https://a:b", "https://u@a"),
        *(
            "https://a*b",
            "https://*.a",
            "https://a,b",
            "https://münchen.example",
            "https://[::g]",
            "https://[::1",
        ),
    ],
)
def test_what_no_browser_calls_an_origin_is_refused(bad: str) -> None:
    with pytest.raises(InputError, match=f"--cors-origin '{re.escape(bad)}': expected a scheme"):
        serve(Options(model="no/such", cors_origins=[bad]))


def test_hosts_are_named_as_browsers_name_them() -> None:
    asked = ["Labels.Example.org", "*.Example.org", "my_host", "10.0.0.7", "::1", "[0:0::1]", "*"]
    assert host_names(asked) == [
        "labels.example.org", "*.example.org", "my_host", "10.0.0.7", "[::1]", "[::1]", "*",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [
        *("a*b", "*a", "*.", "*.*.a", "*.::1", "https://name", "name:80", "[::1]:80", "name/", "a..b"),
        *("münchen.example", "a b", "", " "),
    ],
)
def test_what_no_request_names_as_its_host_is_refused_before_the_model_is_loaded(bad: str) -> None:
    with pytest.raises(InputError, match=f"--allowed-host '{re.escape(bad)}': expected a host name in ASCII"):
        serve(Options(model="no/such", allowed_hosts=[bad]))


def test_a_site_that_is_named_with_capitals_may_use_the_api(
    predictor: ControlledPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setattr("gsa.serving.app.make_service", lambda *given: found.append(given[-1]))
    monkeypatch.setattr("gsa.serving.shutdown.Server", lambda *_: SimpleNamespace(run=lambda sockets: None))
    monkeypatch.setattr("gsa.prediction.loading.load", lambda *_, **__: predictor)
    serve(Options(port=0, cors_origins=["https://Example.org:443"]))
    assert found == [["https://example.org"]]


def test_limits_by_name() -> None:
    changed = Limits.parse(["waiting=5", "timeout=9"])
    assert (changed.waiting, changed.timeout, changed.batch) == (5, 9, Limits().batch)
    for bad, says in {
        "wating=5": r"limit 'wating': unknown \(did you mean 'waiting'\?\)",
        "waiting=many": "limit 'waiting': expected a whole number above 0, found 'many'",
        "waiting=0": "expected a whole number above 0, found '0'",
        "timeout=0.5": "expected a whole number above 0",
        "waiting": "expected a whole number above 0, found ''",
    }.items():
        with pytest.raises(InputError, match=says):
            Limits.parse([bad])


def test_a_stop_answers_what_waits_and_refuses_the_rest(serving, predictor: ControlledPredictor) -> None:
    (host, port), server = serving
    url = f"http://{host}:{port}"
    out = io.StringIO()
    configure_json_logging(out)
    predictor.go.clear()
    answers: list[httpx2.Response] = []

    def post() -> None:
        answers.append(httpx2.post(f"{url}/v1/sentiment", json={"text": "a"}, timeout=30))

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    # The model may have begun with one request or with several that came at once.
    until(lambda: predictor.calls and len(predictor.calls[0]) + server._service.scheduler.waiting == 4)
    server.handle_exit(signal.SIGTERM, None)
    with httpx2.Client() as client:
        until(lambda: refused(client, f"{url}/ready"))
    predictor.go.set()
    for thread in threads:
        thread.join(20)
    assert [answer.status_code for answer in answers] == [200] * 4
    until(lambda: '"stopped"' in out.getvalue())


def refused(client: httpx2.Client, url: str) -> bool:
    try:
        client.get(url)
    except httpx2.TransportError:
        return True
    return False


def test_a_second_signal_does_not_wait(serving, predictor: ControlledPredictor) -> None:
    (host, port), server = serving
    predictor.go.clear()
    with socket.create_connection((host, port)) as client:
        body = b'{"text": "a"}'
        head = b"POST /v1/sentiment HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        client.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        until(lambda: predictor.calls)
        server.handle_exit(signal.SIGTERM, None)
        assert not server.force_exit
        server.handle_exit(signal.SIGTERM, None)
        assert server.force_exit


def test_what_waits_longer_than_a_stop_does_is_503(predictor: ControlledPredictor) -> None:
    predictor.go.clear()
    service = make_service(predictor, Limits(timeout=2))
    with listening(service, drain=0.1, end=predictor.go.set) as ((host, port), server), ThreadPool(2) as pool:
        url = f"http://{host}:{port}/v1/sentiment"
        answers = [pool.apply_async(httpx2.post, (url,), {"json": {"text": text}}) for text in "ab"]
        until(lambda: predictor.calls and len(predictor.calls[0]) + service.scheduler.waiting == 2)
        server.handle_exit(signal.SIGTERM, None)
        for pending in answers:
            answer = pending.get(20)
            assert (answer.status_code, answer.json()["error"]) == (503, "the server is stopping")
        predictor.go.set()


def test_200_connections_that_send_nothing_or_half_a_head_hold_up_nobody(
    predictor: ControlledPredictor,
) -> None:
    service = make_service(predictor, Limits())
    with listening(service, head_seconds=0.5) as ((host, port), _), ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection((host, port))) for _ in range(200)]
        for number, connection in enumerate(idle):
            connection.sendall(b"POST /v1/sentiment HTTP/1.1\r\nhost: x\r\n"[: number % 40])
        url = f"http://{host}:{port}"
        assert httpx2.post(f"{url}/v1/sentiment", json={"text": "a"}).status_code == 200
        for connection in idle:
            connection.settimeout(20)
            assert connection.recv(10) == b"", "closed"


def request(connection: socket.socket, path: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Ask for a path on an open connection; return status, JSON and headers of the answer."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read()), {k.lower(): v for k, v in response.getheaders()}


def test_connections_beyond_the_limit_are_refused_in_a_sentence_and_then_closed(
    predictor: ControlledPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "SPARE_CONNECTIONS", 3)
    service = make_service(predictor, Limits(connections=4))
    with listening(service, max_connections=4) as (address, server), ExitStack() as stack:

        def connect() -> socket.socket:
            before = len(server.server_state.connections)
            connection = stack.enter_context(socket.create_connection(address, timeout=30))
            until(lambda: len(server.server_state.connections) > before)
            return connection

        connections = [connect() for _ in range(7)]
        with socket.create_connection(address, timeout=30) as eighth:
            assert dropped(eighth)
        for connection in connections[:4]:
            assert request(connection, "/ready")[0] == 200
        health = request(connections[4], "/health")
        status, body, headers = request(connections[5], "/ready")
        assert (health[0], health[1]["status"]) == (200, "ok")
        assert status == 503
        assert body["error"] == "the server has 4 open connections already: try again later"
        assert (body["id"], headers["retry-after"]) == (headers["x-request-id"], "5")
        assert dropped(connections[5]), "a refused connection is not kept"
        assert dropped(connections[4])
        for connection in connections[2:]:
            connection.close()
        until(lambda: len(server.server_state.connections) == 2)
        assert request(connect(), "/ready")[0] == 200


def test_the_bounds_of_connections_are_those_of_the_limits(
    predictor: ControlledPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[tuple[float, int]] = []

    def run(server: Any, sockets: Any) -> None:
        protocol = server.config.http
        bounds.append((protocol.head_seconds, protocol.max_connections))

    monkeypatch.setattr(Server, "run", run)
    monkeypatch.setattr("gsa.prediction.loading.load", lambda *_, **__: predictor)
    serve(Options(port=0, limits=["connections=7", "timeout=9"]))
    assert bounds == [(9, 7)]


def dropped(connection: socket.socket) -> bool:
    """Return whether the server closes a connection without a further byte."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_silent_connection_beyond_the_limit_is_closed_soon(
    predictor: ControlledPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "SPARE_SECONDS", 0.1)
    with (
        listening(make_service(predictor, Limits(connections=1)), max_connections=1) as (address, server),
        socket.create_connection(address, timeout=30) as first,
    ):
        until(lambda: len(server.server_state.connections) == 1)
        with socket.create_connection(address, timeout=30) as second:
            assert dropped(second)
        assert request(first, "/ready")[0] == 200


def test_a_connection_that_is_kept_waits_for_each_head_anew(predictor: ControlledPredictor) -> None:
    request = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    with (
        listening(make_service(predictor, Limits()), head_seconds=0.5) as (address, _),
        socket.create_connection(address, timeout=20) as connection,
    ):
        for _ in range(2):
            connection.sendall(request)
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 200")
        connection.sendall(request[:-1])
        assert connection.recv(10) == b"", "the third head never came whole"


def test_an_address_that_a_client_invents_gives_it_no_second_share(predictor: ControlledPredictor) -> None:
    """Only a proxy on this machine is believed, and of its header the address that it added itself."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(client_of(scope["client"][0]))

    service = make_service(predictor, Limits())
    config = Server(replace(service, app=app), 1, lambda: None).config  # type: ignore[arg-type]
    config.load()
    for address in ("203.0.113.9", "127.0.0.1"):
        headers = [(b"x-forwarded-for", b"198.51.100.1, 198.51.100.2")]
        scope = {"type": "http", "client": (address, 1), "scheme": "http", "headers": headers}
        asyncio.run(config.loaded_app(scope, None, None))  # type: ignore[arg-type]
    assert seen == ["203.0.113.9", "198.51.100.2"]


def test_the_addresses_of_one_subscriber_are_one_client() -> None:
    assert client_of("2001:db8:1:2::1") == client_of("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert client_of("2001:db8:1:3::1") != client_of("2001:db8:1:2::1")
    assert client_of("::ffff:192.0.2.1") == client_of("192.0.2.1") == "192.0.2.1"
    assert client_of("testclient") == "testclient"


def test_a_client_that_leaves_is_given_up(serving, predictor: ControlledPredictor) -> None:
    (host, port), _ = serving
    predictor.go.clear()
    url = f"http://{host}:{port}"
    first = threading.Thread(
        target=httpx2.post, args=(f"{url}/v1/sentiment",), kwargs={"json": {"text": "a"}}
    )
    first.start()
    until(lambda: predictor.calls)
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{url}/v1/sentiment", json={"text": "left"}, timeout=0.3)
    with httpx2.Client() as client:
        until(lambda: 'status="499"' in client.get(f"{url}/metrics").text)
    predictor.go.set()
    first.join(20)
    assert httpx2.post(f"{url}/v1/sentiment", json={"text": "b"}).status_code == 200
    texts = [example.utterance.text for call in predictor.calls for example in call]
    assert texts == ["a", "b"], "what the leaver asked was never computed"


def test_an_explanation_whose_client_leaves_is_not_planned(serving, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, go, planned = answers.plan_conversation, threading.Event(), []

    def held(predictor: Any, conversation: Any, task: Any) -> Any:
        planned.append(conversation.turns[-1].text)
        assert go.wait(30)
        return plan(predictor, conversation, task)

    monkeypatch.setattr(answers, "plan_conversation", held)
    (host, port), _ = serving
    url = f"http://{host}:{port}"
    with ThreadPool(1) as pool:
        first = pool.apply_async(httpx2.post, (f"{url}/v1/explain",), {"json": {"text": "a"}, "timeout": 30})
        until(lambda: planned)
        with pytest.raises(httpx2.TimeoutException):
            httpx2.post(f"{url}/v1/explain", json={"text": "left"}, timeout=0.3)
        with httpx2.Client() as client:
            until(lambda: 'status="499"' in client.get(f"{url}/metrics").text)
        go.set()
        assert first.get(20).status_code == 200
    assert httpx2.post(f"{url}/v1/explain", json={"text": "b"}).status_code == 200
    assert planned == ["a", "b"]


@pytest.mark.usefixtures("default_signals")
def test_the_command_serves_and_stops_on_sigterm(tuned: Path, tmp_path: Path) -> None:
    """The process: address on standard output, JSON on standard error; 143 and no files at the end."""
    words = ["serve", "--model", str(tuned), "--precision", "float32", "--port", "0", "--limit", "waiting=3"]
    log = (tmp_path / "log").open("w+")
    folder = tmp_path / "temporary"
    folder.mkdir()
    env = {
        **os.environ,
        "GSA_TOKEN": "abc",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-c", "from gsa.cli.main import main; main()", *words]
    with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=env) as process:
        assert process.stdout
        line = process.stdout.readline()
        address = line.split(" at ")[1].split()[0]
        headers = {"authorization": "Bearer abc"}
        text = "The zip broke."
        found = httpx2.post(f"{address}/v1/sentiment", json={"text": text}, headers=headers).json()
        many = httpx2.post(f"{address}/v1/sentiment", json={"texts": ["a"] * 4}, headers=headers)
        assert httpx2.post(f"{address}/v1/sentiment", json={"text": text}).status_code == 401
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        log.seek(0)
        *lines, last = log.read().splitlines()
    assert code == 143
    assert last == "gsa: stopped by SIGTERM"
    assert not list(folder.glob("gsa-page-*"))
    assert many.status_code == 422
    assert found["probabilities"] == pytest.approx(dict(gsa.load(tuned).sentiment(text).probabilities))
    events = [json.loads(each)["event"] for each in lines]
    assert events == ["listening", "request", "request", "request", "stopping", "stopped"]
    assert text not in "".join(lines)


def test_an_open_address_without_a_token_is_warned_of(
    predictor: ControlledPredictor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GSA_TOKEN", raising=False)
    monkeypatch.setattr(Server, "run", lambda self, sockets: self._on_listening())
    monkeypatch.setattr("gsa.prediction.loading.load", lambda *_, **__: predictor)
    serve(Options(host="0.0.0.0", port=0))
    output, errors = capsys.readouterr()
    assert output.startswith("the shipped model at http://0.0.0.0:")
    warning, listening = map(json.loads, errors.splitlines())
    assert (warning["level"], listening["event"]) == ("warning", "listening")
    assert "no token" in warning["event"]
