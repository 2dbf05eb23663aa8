"""The page over HTTP, as its own scripts ask: answers, errors in one sentence, no files of others."""

import html
import io
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from gsa.serving.app import Service
from gsa.serving.telemetry import configure_json_logging
from gsa.web import examples
from serving import ControlledPredictor, listening

pytest.importorskip("gradio", reason="needs the extra `web`")

SESSION = "abc"


@pytest.fixture(scope="module")
def client(make_page_service: Callable[[], Service]) -> Iterator[TestClient]:
    with TestClient(make_page_service().app) as client:
        yield client


def press(client: TestClient, button: str, *data: Any) -> list[dict[str, Any]]:
    """Press a button by its id in the page; returns what was sent back, message by message."""
    config = client.get("/config").json()
    ids = {each["props"].get("elem_id"): each["id"] for each in config["components"]}
    number = next(
        i for i, each in enumerate(config["dependencies"]) if [ids[button], "click"] in each["targets"]
    )
    body = {"data": data, "fn_index": number, "session_hash": SESSION, "trigger_id": ids[button]}
    answer = client.post("/gradio_api/queue/join", json=body)
    assert answer.status_code == 200, answer.text
    stream = client.get("/gradio_api/queue/data", params={"session_hash": SESSION}).text
    return [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line]


def completed(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the last answer."""
    (last,) = [message for message in messages if message["msg"] == "process_completed"]
    return last


def data_of(messages: list[dict[str, Any]]) -> list[Any]:
    """Return what the components of the last answer get."""
    last = completed(messages)
    assert last["success"], last
    return list(last["output"]["data"])


def error_of(messages: list[dict[str, Any]]) -> str:
    """Return the message of an answer that failed."""
    last = completed(messages)
    assert not last["success"], last
    return str(last["output"]["error"])


def probabilities(label: dict[str, Any]) -> dict[str, float]:
    """Return the probabilities that a gr.Label shows."""
    return {row["label"]: row["confidence"] for row in label["confidences"]}


def test_a_text_is_labelled_through_the_queue(
    client: TestClient, tuned_predictor: ControlledPredictor
) -> None:
    text = next(iter(examples.TEXTS.values()))
    shown, words = data_of(press(client, "text-go", text, "sentiment"))
    assert words == ""
    expected = tuned_predictor._predictor.sentiment(text)
    assert shown["label"] == expected.label
    assert probabilities(shown) == expected.probabilities
    assert len(tuned_predictor.calls) == 1
    assert "gsa_batch_queries_bucket" in client.get("/metrics").text


def test_every_aspect_of_a_text_has_a_row(client: TestClient, tuned_predictor: ControlledPredictor) -> None:
    (shown,) = data_of(press(client, "aspects-go", "Great food, slow service.", "food, service, food"))
    expected = tuned_predictor._predictor.aspects("Great food, slow service.", ["food", "service"])
    assert shown["headers"] == ["aspect", "label", "negative", "neutral", "positive"]
    for row, aspect, prediction in zip(shown["data"], ["food", "service"], expected, strict=True):
        assert row[:2] == [aspect, prediction.label]
        assert row[2:] == pytest.approx(list(prediction.probabilities.values()), abs=0.006)
    assert "expected aspects, such as food" in error_of(press(client, "aspects-go", "Fine.", " , "))


def test_a_text_is_explained_word_by_word(client: TestClient, tuned_predictor: ControlledPredictor) -> None:
    text = "It was not <b>good</b>."
    shown, words = data_of(press(client, "explain-go", text, "sentiment"))
    expected = tuned_predictor._predictor.explain(text)
    assert probabilities(shown) == pytest.approx(expected.prediction.probabilities, abs=1e-5)
    strongest = max(zip(expected.effects, expected.words, strict=True), key=lambda pair: abs(pair[0]))[1]
    assert f'gsa-shade-4">{html.escape(strongest)}</span>' in words
    assert "&lt;b&gt;good&lt;/b&gt;." in words
    assert f"{expected.label} " in words


def test_a_conversation_is_labelled_turn_by_turn_in_one_call(
    client: TestClient, tuned_predictor: ControlledPredictor
) -> None:
    text = examples.CONVERSATIONS["a new flat"]
    plot, legend, shown = data_of(press(client, "talk-go", text, ["sarcasm", "emotion"]))
    turns = [dict(zip(("speaker", "text"), line.split(": ", 1), strict=True)) for line in text.splitlines()]
    expected = tuned_predictor._predictor.emotions(turns)
    assert shown.count('class="gsa-turn') == len(turns) == 9
    for prediction in expected:
        assert f"<bdi>{prediction.label}</bdi>" in shown
    assert plot["visible"]
    assert legend.count("gsa-chip") == 7 + 1
    assert len(plot["value"]["data"]) == 9 * (7 + 1)
    assert [len(call) for call in tuned_predictor.calls] == [18]


def test_levels_are_compared(client: TestClient, tuned_predictor: ControlledPredictor) -> None:
    for task, text in {"sentiment": "It was fine.", "sarcasm": "Mara: Great.\nJonas: Oh, great."}.items():
        target, *labels = data_of(press(client, "levels-go", text, task))
        assert f"{task} of: {text.split(': ')[-1]}" in target
        assert len(labels) == 4
        last = probabilities(labels[-1])
        served = tuned_predictor._predictor
        turns = [("Mara", "Great."), ("Jonas", "Oh, great.")]
        expected = served.sentiment(text) if task == "sentiment" else served.sarcasm(turns)
        assert last == expected.probabilities


WRONG = [
    ("explain-go", ("x " * 61, "sentiment"), "text: expected at most 60 words to explain, found 61."),
    ("explain-go", (" ", "sentiment"), "text: expected a text, found an empty one."),
    ("text-go", ("", "sentiment"), "text: expected a text, found an empty one."),
    ("text-go", ("a\0b", "sentiment"), "text: expected a text, found the character U+0000."),
    ("text-go", ("x" * 8001, "sentiment"), "text: String should have at most 8000 characters."),
    ("talk-go", ("\n", ["emotion"]), "expected a conversation, one turn per line"),
    ("talk-go", ("a\n" * 257, ["emotion"]), "expected at most 256 turns, one per line, found 257."),
    (
        "talk-go",
        (f"Mara: {'x' * 8001}", ["emotion"]),
        "turns 1 text: String should have at most 8000 characters.",
    ),
    ("talk-go", ("a", []), "expected at least one task to be selected, found none."),
    ("levels-go", ("", "sentiment"), "text: expected a text, found an empty one."),
    ("levels-go", ("Mara:", "emotion"), "line 1: expected a text after &#x27;Mara:&#x27;, found none."),
    ("file-go", (None, "sentiment", "", None, "", None), "expected a file, found none: choose one above."),
]


@pytest.mark.parametrize(("button", "data", "message"), WRONG)
def test_what_is_wrong_is_one_sentence_on_the_page(
    client: TestClient, tuned_predictor: ControlledPredictor, button: str, data: Any, message: str
) -> None:
    assert message in error_of(press(client, button, *data))
    assert tuned_predictor.calls == []


def test_a_failure_is_one_sentence_and_its_words_are_not_shown(
    client: TestClient, tuned_predictor: ControlledPredictor
) -> None:
    def fail(examples: Any) -> None:
        raise RuntimeError("secret words")

    out = io.StringIO()
    configure_json_logging(out)
    tuned_predictor.before = fail
    message = error_of(press(client, "text-go", "secret text", "sentiment"))
    assert "The server failed; its log has more under" in message
    assert "RuntimeError" in out.getvalue()
    assert "secret" not in message + out.getvalue()


def test_what_gradio_itself_refuses_is_logged_without_its_words(
    client: TestClient, capfd: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    configure_json_logging(out)
    messages = press(client, "text-go", "a", "secret question")
    assert not completed(messages)["success"]
    assert '"failed"' in out.getvalue()
    assert "secret" not in out.getvalue() + "".join(capfd.readouterr())


@pytest.mark.parametrize("body", ["NaN", '{"fn_index": 3, "session_hash": "\\ud800"}', "{}", "[]"])
def test_what_is_no_event_is_refused(client: TestClient, body: str) -> None:
    headers = {"content-type": "application/json"}
    for path in ("queue/join", "cancel"):
        answer = client.post(f"/gradio_api/{path}", content=body, headers=headers)
        assert answer.status_code == 422
        assert answer.json() == {"detail": "expected a file or the event of a button"}


def test_an_upload_without_a_file_is_refused(client: TestClient) -> None:
    parts = b'--x\r\nContent-Disposition: form-data; name="files"; filena="a.csv"\r\n\r\na\r\n--x--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/gradio_api/upload", content=parts, headers=headers).status_code == 422


def upload(client: TestClient, name: str, content: bytes) -> dict[str, Any]:
    answer = client.post("/gradio_api/upload", files={"files": (name, content)})
    assert answer.status_code == 200, answer.text
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}, "orig_name": name}


def test_a_file_is_labelled_and_can_be_fetched(client: TestClient) -> None:
    file = upload(client, "rows.csv", b"id,text\n1,It was fine.\n2,\n3,Dreadful!\n")
    messages = press(client, "file-go", file, "sentiment", "", "", "", "same as the file")
    assert completed(messages)["success"], completed(messages)
    updates = [message["output"]["data"] for message in messages if message["msg"] == "process_generating"]
    assert any("2 rows labelled, 1 rejected" in json.dumps(data) for data in updates)
    links = {path for path in _paths(messages) if Path(path).name != "rows.csv"}
    bodies = [client.get(f"/gradio_api/file={path}").text for path in links]
    assert any(body.startswith("id,text,predicted,p_") for body in bodies)
    assert any('"row": 3' in body for body in bodies)


def _paths(messages: Any) -> set[str]:
    if isinstance(messages, dict):
        return {v for k, v in messages.items() if k == "path" and isinstance(v, str)} | _paths(
            list(messages.values())
        )
    return set().union(*map(_paths, messages)) if isinstance(messages, list) else set()


@pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:9/x.csv", "https://example.org/x.csv"])
def test_a_file_that_was_not_sent_is_not_read(client: TestClient, path: str) -> None:
    file = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.csv"}
    messages = press(client, "file-go", file, "sentiment", "", "", "", "csv")
    assert not completed(messages)["success"]
    assert "root:" not in json.dumps(messages)


def test_a_file_in_a_field_that_takes_none_is_not_fetched(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradio import processing_utils

    fetched: list[str] = []

    async def fetch(url: str, **_: Any) -> str:
        fetched.append(url)
        return "/nowhere"

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", fetch)
    rows = upload(client, "rows.csv", b"text\nfine\n")
    for path in ("http://127.0.0.1:9/x", "https://example.org/x.csv", rows["path"]):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for button, data in (
            ("text-go", [file, "sentiment"]), ("text-go", ["fine", file]), ("talk-go", [file, ["emotion"]]),
            ("talk-go", ["Ana: fine", [file]]), ("levels-go", [file, "emotion"]),
            ("file-go", [rows, "sentiment", file, "", "", "csv"]),
            ("file-go", [rows, "sentiment", "", "", "", file]),
        ):  # fmt: skip
            messages = press(client, button, *data)
            assert not completed(messages)["success"], (button, data)
    assert fetched == []


def test_the_page_itself_names_no_other_host_to_load_from(client: TestClient) -> None:
    page = client.get("/").text
    loaded = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(https?://[^"')\s]+)""", page)
    assert loaded == []
    assert "googleapis" not in client.get("/theme.css").text
    assert "<b>tiny</b>" not in page.split("gradio_config")[0]
    assert "&lt;b&gt;tiny&lt;/b&gt;" in json.dumps(client.get("/config").json())


def test_sessions_that_clients_invent_are_bounded(
    make_page_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradio import queueing

    from gsa.web import web_page as page

    queues: list[Any] = []
    made = queueing.Queue.__init__
    monkeypatch.setattr(
        queueing.Queue, "__init__", lambda self, *a, **k: (queues.append(self), made(self, *a, **k))[1]
    )
    monkeypatch.setattr(page, "MAX_SESSIONS", 5)
    body = {"data": ["", "sentiment"], "fn_index": 0, "trigger_id": 1}
    with TestClient(make_page_service().app) as client:
        assert client.get("/").status_code == 200  # the page is made in the background
        queue = queues[-1]
        queue.pending_messages_per_session.max_size = 4
        for number in range(12):
            answer = client.post("/gradio_api/queue/join", json={**body, "session_hash": f"s{number}"})
            assert answer.status_code == 200, answer.text
        assert 4 <= len(queue.pending_event_ids_session) <= 6
        assert "s11" in queue.pending_event_ids_session
        for name in ("x" * 65, ""):
            answer = client.post("/gradio_api/queue/join", json={**body, "session_hash": name})
            assert answer.status_code == 422
        assert "x" * 65 not in queue.pending_event_ids_session


def test_an_open_page_does_not_hold_up_a_stop(make_page_service: Callable[..., Service]) -> None:
    with listening(make_page_service()) as ((host, port), server):
        url = f"http://{host}:{port}/gradio_api/heartbeat/abc"
        with httpx2.stream("GET", url, timeout=30) as beats:
            parts = beats.iter_bytes()
            assert b"ALIVE" in next(parts)
            began = time.monotonic()
            server.handle_exit(signal.SIGTERM, None)
            assert list(parts) == []
        assert time.monotonic() - began < 30, "far less than the 60 s of a drain"


def test_its_folder_goes_with_the_server(make_page_service: Callable[[], Service]) -> None:
    with TestClient(make_page_service().app) as client:
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        file = upload(client, "rows.csv", b"text\na\n")
        assert Path(file["path"]).is_relative_to(folder)
        assert folder.parent.stat().st_mode & 0o077 == 0
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert not folder.parent.exists()
