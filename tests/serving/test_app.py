"""The routes: the Python API's answers, every refusal in one sentence, many clients in few calls."""

import asyncio
import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from gsa.data.task import SENTIMENT
from gsa.model.backbone import LoadedModel
from gsa.prediction.documents import DocumentPrediction
from gsa.prediction.explain import ExplanationPlan
from gsa.prediction.predictor import Predictor
from gsa.serving import answers, schemas
from gsa.serving.app import Service, make_service
from gsa.serving.error_responses import STATUSES
from gsa.serving.limits import Limits
from gsa.serving.scheduler import QueueFullError
from gsa.serving.server import allowed_hosts, host_names
from gsa.serving.telemetry import configure_json_logging
from serving import ControlledPredictor, until

TALK = schemas.CONVERSATION
TEXTS = ["It was fine.", "Dreadful, all of it!", "The lamp is on the table."]
OWN = {"task": "urgency", "instruction": "How urgent is it?", "labels": ["urgent", "can wait"]}


def as_json(predictions: Any) -> Any:
    """Return Predictions as the server's JSON."""
    if isinstance(predictions, list):
        return [as_json(prediction) for prediction in predictions]
    answer = {
        "label": predictions.label,
        "probabilities": dict(predictions.probabilities),
        "truncated": {"turns": predictions.truncated.turns, "words": predictions.truncated.words},
        "language": predictions.language,
    }
    if isinstance(predictions, DocumentPrediction):
        answer["passages"] = [
            {"start": passage.start, "text": passage.text, "label": passage.prediction.label,
             "probabilities": dict(passage.prediction.probabilities)}
            for passage in predictions.passages
        ]  # fmt: skip
    return answer


@pytest.mark.parametrize(
    ("path", "body", "same"),
    [
        ("sentiment", {"text": TEXTS[0]}, lambda m: m.sentiment(TEXTS[0])),
        ("sentiment", {"texts": TEXTS}, lambda m: m.sentiment(TEXTS)),
        ("sentiment", {"text": "Ужасный сервис"}, lambda m: m.sentiment("Ужасный сервис")),
        ("sentiment", {"text": "So.", "labels": ["a", "b"]}, lambda m: m.sentiment("So.", ["a", "b"])),
        ("emotion", {"turns": TALK}, lambda m: m.emotions(TALK)),
        ("emotion", {"turns": ["Oh no.", TALK[0]]}, lambda m: m.emotions(["Oh no.", TALK[0]])),
        ("emotion", {"conversations": [TALK, TALK[:1]]}, lambda m: m.emotions([TALK, TALK[:1]])),
        ("sarcasm", {"turns": TALK}, lambda m: m.sarcasm(TALK)),
        ("sarcasm", {"conversations": [TALK, ["Great."]]}, lambda m: m.sarcasm([TALK, ["Great."]])),
        ("classify", {"task": "emotion", "turns": TALK}, lambda m: m.classify("emotion", TALK)),
        ("classify", {"task": "sentiment", "texts": TEXTS}, lambda m: m.classify("sentiment", TEXTS)),
        (
            "classify",
            {**OWN, "text": "Call me!"},
            lambda m: m.classify("urgency", "Call me!", OWN["labels"], OWN["instruction"]),
        ),
        (
            "classify",
            {**OWN, "turns": TALK, "context": True},
            lambda m: m.classify("urgency", TALK, OWN["labels"], OWN["instruction"], context=True),
        ),
    ],
)
def test_answers_are_those_of_python(
    client: TestClient, predictor: ControlledPredictor, path: str, body: Any, same: Callable[[Predictor], Any]
) -> None:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 200
    found = answer.json()
    assert ("no level was tuned on" in found.pop("warning", "")) == ("labels" in body)
    assert found.get("predictions", found) == as_json(same(predictor._predictor)), "to the last bit"
    assert len(predictor.calls) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sentiment", {"text": TEXTS[0]}),
        ("sentiment", {"texts": TEXTS}),
        ("emotion", {"turns": TALK}),
        ("sarcasm", {"turns": TALK}),
        ("aspect", {"text": TEXTS[0], "aspects": ["food"]}),
        ("classify", {"task": "sentiment", "text": TEXTS[0]}),
        ("explain", {"text": TEXTS[0]}),
    ],
)
def test_labels_that_no_level_was_tuned_on_are_named(
    client: TestClient, path: str, body: dict[str, Any]
) -> None:
    answer = client.post(f"/v1/{path}", json={**body, "labels": ["positve", "negative"]})
    assert answer.json()["warning"] == "no level was tuned on 'positve' (did you mean 'positive'?)"
    answer = client.post(f"/v1/{path}", json={**body, "labels": ["positive", "negative"]})
    assert "warning" not in answer.json()


LONG = "The cast is superb, and Dr. Ames steals every scene. The ending, at 3.5 hours, is a mess! " * 9


@pytest.mark.parametrize(
    ("path", "body", "same", "calls"),
    [
        ("sentiment", {"text": LONG}, lambda m: m.sentiment(LONG), 2),
        ("sentiment", {"texts": [*TEXTS, LONG]}, lambda m: m.sentiment([*TEXTS, LONG]), 2),
        (
            "sentiment",
            {"texts": TEXTS[:2], "document": True},
            lambda m: m.sentiment(TEXTS[:2], document=True),
            1,
        ),
        ("sentiment", {"text": LONG, "document": False}, lambda m: m.sentiment(LONG, document=False), 1),
        (
            "classify",
            {**OWN, "text": LONG},
            lambda m: m.classify("urgency", LONG, OWN["labels"], OWN["instruction"]),
            2,
        ),
        ("sentiment", {"texts": [], "document": True}, lambda m: [], 0),
    ],
)
def test_long_texts_are_read_in_passages(
    client: TestClient,
    predictor: ControlledPredictor,
    path: str,
    body: Any,
    same: Callable[[Predictor], Any],
    calls: int,
) -> None:
    answer = client.post(f"/v1/{path}", json=body).json()
    answer.pop("warning", None)
    assert answer.get("predictions", answer) == as_json(same(predictor._predictor)), "to the last bit"
    assert len(predictor.calls) == calls


def test_documents_that_cannot_be_read_are_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sarcasm = client.post("/v1/classify", json={"task": "sarcasm", "text": "Great.", "document": True})
    assert (sarcasm.status_code, sarcasm.json()["error"]) == (
        422, "task 'sarcasm': expected one of a single label that reads texts for documents",
    )  # fmt: skip
    many = client.post("/v1/sentiment", json={"texts": [LONG] * 12, "document": True})
    assert many.status_code == 422
    assert "labels to predict in one request: expected at most 40" in many.json()["error"]
    aspects = {"text": LONG, "aspects": ["food"], "document": True}
    assert "unknown key 'document'" in client.post("/v1/aspect", json=aspects).json()["error"]
    monkeypatch.setattr("gsa.prediction.documents.find_spec", lambda name: None)
    missing = client.post("/v1/sentiment", json={"text": "Fine.", "document": True})
    assert "sentencex, which is not installed" in missing.json()["error"]
    assert client.post("/v1/sentiment", json={"text": LONG}).json()["truncated"]["words"] > 0


def test_long_texts_whose_passages_do_not_fit_keep_their_truncated_answers(
    client: TestClient, predictor: ControlledPredictor
) -> None:
    texts = [TEXTS[0], *[LONG] * 12]
    answer = client.post("/v1/sentiment", json={"texts": texts})
    assert answer.status_code == 200
    found = answer.json()["predictions"]
    assert found == as_json(predictor._predictor.sentiment(texts, document=False)), "to the last bit"
    assert found[1]["truncated"]["words"] > 0
    assert len(predictor.calls) == 1


@pytest.mark.parametrize(
    ("body", "inputs", "options"),
    [
        ({"text": TEXTS[1]}, TEXTS[1], {}),
        ({"text": TEXTS[1], "label": "positive"}, TEXTS[1], {"label": "positive"}),
        ({"turns": TALK, "task": "sarcasm"}, TALK, {"task": "sarcasm"}),
        (
            {"turns": TALK[1:], "task": "emotion", "label": "joy"},
            TALK[1:],
            {"task": "emotion", "label": "joy"},
        ),
    ],
)
def test_explanations_are_those_of_python(
    client: TestClient, predictor: ControlledPredictor, body: Any, inputs: Any, options: Any
) -> None:
    answer = client.post("/v1/explain", json=body)
    assert answer.status_code == 200, answer.text
    explanation = predictor._predictor.explain(inputs, **options)
    content = answer.json()
    assert content["explained"] == explanation.label
    assert (tuple(content["words"]), content["reach"]) == (explanation.words, explanation.reach)
    assert content["effects"] == pytest.approx(explanation.effects, abs=1e-4)
    assert content["label"] == explanation.prediction.label
    assert content["probabilities"] == pytest.approx(dict(explanation.prediction.probabilities), abs=1e-5)


def test_explanations_are_bounded(client: TestClient) -> None:
    def error(**body: Any) -> tuple[int, str]:
        answer = client.post("/v1/explain", json=body)
        return answer.status_code, answer.json()["error"]

    assert error(text="so " * 61) == (422, "text: expected at most 60 words to explain, found 61")
    assert error(text="so " * 41)[1].startswith("found 41 labels to predict in one request")
    assert error(text="Fine.", label="joy") == (
        422, "label 'joy': expected one of ['negative', 'neutral', 'positive']",
    )  # fmt: skip
    assert "exactly one of text and turns, found none" in error()[1]
    assert error(turns=TALK)[1].startswith("task 'sentiment' reads sentences")
    assert error(text="")[1] == "text: expected a text, found an empty one"


def test_explanations_that_wait_to_be_planned_are_bounded(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, go, planned = answers.plan_conversation, threading.Event(), []

    def held(*given: Any) -> Any:
        planned.append(given)
        assert go.wait(30)
        return plan(*given)

    monkeypatch.setattr(answers, "plan_conversation", held)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(client.post, "/v1/explain", json={"text": "Fine."}) for _ in range(3)]
        until(lambda: any(answer.done() for answer in asked))
        (full,) = [answer.result() for answer in asked if answer.done()]
        assert (full.status_code, full.headers["retry-after"]) == (429, "1")
        assert "too many requests are waiting" in full.json()["error"]
        assert client.post("/v1/sentiment", json={"text": "Fine."}).status_code == 200
        assert len(planned) == 1, "one at a time"
        go.set()
        assert sorted(answer.result().status_code for answer in asked) == [200, 200, 429]
    assert client.post("/v1/explain", json={"text": "Fine."}).status_code == 200


def test_explanations_of_all_clients_are_bounded_and_who_leaves_makes_room() -> None:
    go, begun, plan = threading.Event(), threading.Event(), ExplanationPlan(("Fine.",), 0, 1.0)

    def make() -> ExplanationPlan:
        begun.set()
        assert go.wait(30)
        return plan

    async def ask() -> None:
        planner = answers.Planner()
        waiting = [asyncio.ensure_future(planner.plan(make, f"client {i // 2}")) for i in range(8)]
        await asyncio.to_thread(begun.wait, 30)
        with pytest.raises(QueueFullError):
            await planner.plan(make, "another")
        for left in (waiting.pop(0), waiting.pop()):  # the first is planned to the end all the same
            left.cancel()
            await asyncio.wait([left])
        waiting.append(asyncio.ensure_future(planner.plan(make, "another")))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await planner.plan(make, "another")
        go.set()
        assert await asyncio.gather(*waiting) == [plan] * 7
        await planner.plan(make, "another")

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (schemas.SentenceRequest, {"texts": [1] * 20_000}),
        (schemas.SentenceRequest, {"text": "a", "labels": [1] * 20_000}),
        (schemas.ConversationRequest, {"turns": [{}] * 20_000}),
        (schemas.ConversationRequest, {"conversations": [[1] * 200] * 200}),
        (schemas.ClassifyRequest, {"task": "a", "conversations": [1] * 20_000}),
        (schemas.SentenceRequest, {f"k{i}": 1 for i in range(20_000)}),
        (schemas.ConversationRequest, {"turns": [{f"k{i}": 1 for i in range(20_000)}]}),
    ],
)
def test_thousands_of_errors_are_not_collected(model: Any, body: Any) -> None:
    with pytest.raises(ValidationError) as found:
        model(**body)
    assert found.value.error_count() <= 2


def test_nothing_asked_nothing_answered(client: TestClient) -> None:
    assert client.post("/v1/sentiment", json={"texts": []}).json() == {"predictions": []}
    assert client.post("/v1/emotion", json={"conversations": []}).json() == {"predictions": []}


def test_what_was_not_read_is_reported(client: TestClient) -> None:
    found = client.post("/v1/emotion", json={"turns": ["This is a turn about nothing at all. " * 8] * 9})
    assert found.json()["predictions"][-1]["truncated"]["turns"] > 3
    assert found.json()["predictions"][0]["truncated"] == {"turns": 0, "words": 0}


def test_many_clients_share_calls(predictor: ControlledPredictor, limits: Limits) -> None:
    predictor.go.clear()
    service = make_service(predictor, replace(limits, waiting=80))
    asked = [{"texts": [f"Text {i}.", "It " + "was " * i + "fine."]} for i in range(16)]
    with TestClient(service.app) as client, ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(client.post, "/v1/sentiment", json=asked[0])]
        until(lambda: predictor.calls)
        answers += [pool.submit(client.post, "/v1/sentiment", json=body) for body in asked[1:]]
        until(lambda: service.scheduler.waiting == 30)
        predictor.go.set()
        found = [answer.result().json()["predictions"] for answer in answers]
    assert [len(call) for call in predictor.calls] == [2, 30]
    for body, mine in zip(asked, found, strict=True):
        for text, label in zip(body["texts"], mine, strict=True):
            alone = predictor._predictor.sentiment(text)
            assert label["probabilities"] == pytest.approx(dict(alone.probabilities), abs=1e-5)


def test_an_unforeseen_exception_is_a_500_with_an_id_and_the_server_lives_on(
    client: TestClient, predictor: ControlledPredictor
) -> None:
    out = io.StringIO()
    configure_json_logging(out)

    def fail(examples: Any) -> None:
        raise RuntimeError("secret text in the message")

    predictor.before = fail
    answer = client.post("/v1/sentiment", json={"text": "secret text"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    failed, request = (json.loads(line) for line in out.getvalue().splitlines())
    assert failed["exception"] == "RuntimeError"
    assert any("scheduler.py" in place for place in failed["at"])
    assert failed["id"] == request["id"] == answer.json()["id"]
    predictor.before = lambda examples: None
    assert client.post("/v1/sentiment", json={"text": "secret text"}).status_code == 200
    assert "secret" not in out.getvalue()


def test_stopping_refuses_new_requests_and_answers_old_ones(
    client: TestClient, predictor: ControlledPredictor, service: Service
) -> None:
    predictor.go.clear()
    with ThreadPoolExecutor(1) as pool:
        old = pool.submit(client.post, "/v1/sentiment", json={"text": "a"})
        until(lambda: predictor.calls)
        assert client.get("/ready").status_code == 200
        service.scheduler.close()
        new = client.post("/v1/sentiment", json={"text": "a"})
        assert (new.status_code, new.headers["retry-after"]) == (503, "5")
        assert new.json()["error"] == "the server is stopping"
        assert client.get("/ready").status_code == 503
        health = client.get("/health").json()
        assert (health["status"], health["precision"]) == ("ok", "float32")
        predictor.go.set()
        assert old.result().status_code == 200


def test_the_end_of_the_application_ends_the_scheduler(predictor: ControlledPredictor) -> None:
    service = make_service(predictor)
    with TestClient(service.app) as client:
        assert client.get("/ready").json()["tasks"]["sarcasm"] == ["sarcastic", "non-sarcastic"]
        assert "gsa-scheduler" in {thread.name for thread in threading.enumerate()}
    assert service.scheduler.join(0)


def test_metrics_count(client: TestClient) -> None:
    client.post("/v1/sentiment", json={"texts": TEXTS})
    client.post("/v1/sentiment", json={})
    client.get("/no/such/secret")
    text = client.get("/metrics").text
    assert 'gsa_requests_total{path="/v1/sentiment",status="200"} 1.0' in text
    assert 'gsa_requests_total{path="/v1/sentiment",status="422"} 1.0' in text
    assert 'gsa_requests_total{path="other",status="404"} 1.0' in text
    assert "gsa_batch_queries_sum 3.0" in text
    assert "gsa_batch_seconds_count 1.0" in text
    assert "gsa_waiting_queries 0.0" in text
    assert "process_resident_memory_bytes" in text
    assert "secret" not in text


def test_logs_hold_no_text(client: TestClient) -> None:
    out = io.StringIO()
    configure_json_logging(out)
    mark = "Marguerite"
    client.post("/v1/sentiment", json={"text": mark})
    client.post("/v1/emotion", json={"turns": [{"speaker": mark, "text": mark}, {"text": ""}]})
    client.post("/v1/classify", json={"task": mark, "text": mark, mark: mark})
    client.post(f"/v1/{mark}?{mark}", content=mark, headers={mark: mark, "authorization": mark})
    client.request(mark.upper(), "/v1/sentiment")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["status"] for line in lines] == [200, 422, 422, 415, 405]
    assert mark.lower() not in out.getvalue().lower()
    first = lines[0]
    assert (first["path"], first["method"], first["queries"]) == ("/v1/sentiment", "POST", 1)
    assert {"time", "level", "event", "id", "seconds"} <= set(first)
    assert lines[-1]["method"] == "other"


def test_the_openapi_describes_it_with_examples_that_work(client: TestClient) -> None:
    spec = client.get("/openapi.json").json()
    assert len([path for path in spec["paths"] if path.startswith("/v1/")]) == 6
    tried = 0
    for path, methods in spec["paths"].items():
        if "post" not in methods:
            continue
        name = methods["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
        for example in spec["components"]["schemas"][name]["examples"]:
            assert client.post(path, json=example).status_code == 200
            tried += 1
        assert set(map(str, STATUSES)) <= set(methods["post"]["responses"])
    assert tried == 12
    text = json.dumps(spec)
    assert "securitySchemes" not in text
    assert '"default": null' not in text


def test_only_named_origins_may_use_the_api_from_a_browser(predictor: ControlledPredictor) -> None:
    service = make_service(predictor, Limits(), "s3cret", origins=["https://example.org"])
    with TestClient(service.app) as client:
        headers = {"origin": "https://example.org", "access-control-request-method": "POST",
                   "access-control-request-headers": "authorization, content-type"}  # fmt: skip
        asked = client.options("/v1/sentiment", headers=headers)
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (
            200,
            "https://example.org",
        )
        assert (
            client.options("/v1/sentiment", headers={**headers, "origin": "https://evil.org"}).status_code
            == 400
        )
        token = {"authorization": "Bearer s3cret", "origin": "https://example.org"}
        answer = client.post("/v1/sentiment", json={"text": "a"}, headers=token)
        assert answer.headers["access-control-allow-origin"] == "https://example.org"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
    with TestClient(make_service(predictor, Limits()).app) as client:
        assert client.options("/v1/sentiment", headers=headers).status_code == 405
        answer = client.post("/v1/sentiment", json={"text": "a"}, headers=headers)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"text": 5}, "body.text: Input should be a valid string, found 5"),
        ({"texts": "a"}, 'body.texts: Input should be a valid list, found "a"'),
        (
            {"text": "a", "labels": ["a", {"b": 1}]},
            "body.labels.1: Input should be a valid string, found an object of 1 keys",
        ),
        ({"text": "a", "lables": ["x"]}, "body: unknown key 'lables' (did you mean 'labels'?)"),
        ({"text": "a" * 8001}, f'body.text: String should have at most 8000 characters, found "{"a" * 59}'),
        ({"text": "a", "document": "yes"}, 'body.document: Input should be a valid boolean, found "yes"'),
    ],
)
def test_refusals_name_key_and_value(client: TestClient, body: Any, says: str) -> None:
    answer = client.post("/v1/sentiment", json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, says)


def test_a_token_is_asked_for(predictor: ControlledPredictor) -> None:
    service = make_service(predictor, Limits(), "s3cret")
    with TestClient(service.app) as client:
        wrong = ("", "Bearer wrong", "Bearer", "s3cret", "Basic s3cret", "Bearer s3cret extra")
        for headers in ({}, *({"authorization": each} for each in wrong)):
            for answer in (
                client.post("/v1/sentiment", json={"text": "a"}, headers=headers),
                client.get("/metrics", headers=headers),
            ):
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        good = {"authorization": "Bearer s3cret"}
        assert client.post("/v1/sentiment", json={"text": "a"}, headers=good).status_code == 200
        assert client.get("/metrics", headers=good).status_code == 200
        assert client.get("/health").status_code == client.get("/ready").status_code == 200
        assert "HTTPBearer" in client.get("/openapi.json").json()["components"]["securitySchemes"]


def test_aspects_of_a_text_and_of_texts(client: TestClient, predictor: ControlledPredictor) -> None:
    both = client.post("/v1/aspect", json={"text": "Fine food.", "aspects": ["food", "service"]}).json()
    direct = predictor.aspects("Fine food.", ["food", "service"])
    assert [p["label"] for p in both["predictions"]] == [p.label for p in direct]
    assert [p["probabilities"] for p in both["predictions"]] == [
        pytest.approx(p.probabilities, abs=1e-5) for p in direct
    ]
    many = client.post("/v1/aspect", json={"texts": ["Fine food.", "Slow."], "aspects": ["food"]}).json()
    assert [len(of_text) for of_text in many["predictions"]] == [1, 1]


def test_aspects_are_asked_with_the_models_only_task_about_them(predictor: ControlledPredictor) -> None:
    about = replace(SENTIMENT, labels=("poor", "fine"), about="Aspect")
    tiny = predictor._predictor
    model = LoadedModel(tiny.model, tiny.tokenizer, "tiny")
    predictor = ControlledPredictor(Predictor(model, tiny.layout, {about.name: about}))
    with TestClient(make_service(predictor).app) as client:
        answer = client.post("/v1/aspect", json={"text": "Fine food.", "aspects": ["food"]}).json()
    assert list(answer["predictions"][0]["probabilities"]) == ["poor", "fine"]


def test_a_request_with_a_foreign_host_is_refused(
    predictor: ControlledPredictor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gsa.serving")
    service = make_service(
        predictor, hosts=allowed_hosts("127.0.0.1", host_names(["Gsa.example", "*.b.example", "::2"]))
    )
    with TestClient(service.app) as client:
        for host, status in {
            "localhost:8000": 200, "127.0.0.1": 200, "[::1]:80": 200, "gsa.example": 200,
            "a.b.example:80": 200, "[::2]:8000": 200, "b.example": 400,
            "evil.example": 400, "127.0.0.1.evil.example": 400, "": 400,
        }.items():  # fmt: skip
            assert client.get("/health", headers={"host": host}).status_code == status, host
        caplog.clear()
        refused = client.post("/v1/sentiment", headers={"host": "evil.example"}, json={"text": "x"})
    expected = "expected a name of this server (gsa serve --allowed-host NAME adds one)"
    assert refused.json() == {
        "error": f"host 'evil.example': {expected}",
        "id": refused.headers["x-request-id"],
    }
    assert [(r.fields["status"], r.fields["host"]) for r in caplog.records if r.msg == "request"] == [
        (400, "evil.example")
    ]
    assert allowed_hosts("0.0.0.0", []) == ["*"]
    assert allowed_hosts("10.0.0.7", ["gsa.example"]) == ["gsa.example"]
