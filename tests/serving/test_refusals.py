"""Requests that are refused: one sentence each, and nobody else is harmed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gsa.serving.app import make_service
from gsa.serving.limits import Limits
from serving import ControlledPredictor, until

OWN = {"task": "urgency", "instruction": "How urgent is it?", "labels": ["urgent", "can wait"]}


def long(characters: int) -> str:
    return "x" * characters


REFUSED = [
    (422, "sentiment", {"text": ""}, "text: expected a text, found an empty one"),
    (422, "sentiment", {"texts": ["a", " \n"]}, "texts 2: expected a text, found an empty one"),
    (422, "sentiment", {"text": "a\0b"}, "body.text: expected a text, found the character U+0000"),
    (422, "sentiment", {"text": "a", "labels": ["a\0", "b"]}, "labels.0: expected a text, found the"),
    (422, "sentiment", {"text": None}, "body.text: Input should be a valid string"),
    (422, "sentiment", {"text": 5}, "body.text: Input should be a valid string"),
    (422, "sentiment", {"texts": ["a", True]}, "body.texts.1: Input should be a valid string"),
    (422, "sentiment", {}, "body: expected exactly one of text and texts, found none"),
    (422, "sentiment", {"text": "a", "texts": ["a"]}, "found text and texts"),
    (422, "sentiment", {"text": "a", "more": 1}, "body: unknown key 'more'"),
    (422, "sentiment", {"txt": "a"}, "body: unknown key 'txt' (did you mean 'text'?)"),
    (422, "classify", {**OWN, "text": "a", "contxt": True}, "unknown key 'contxt' (did you mean 'context'?)"),
    (422, "emotion", {"turns": [{"speaker": "a"}]}, "body.turns.0: expected a key 'text', found 'speaker'"),
    (422, "emotion", {"turns": ["a", {"txt": "b"}]},
     "body.turns.1: expected a key 'text', found 'txt' (did you mean 'text'?)"),
    (422, "emotion", {"turns": [{"text": None}]}, "body.turns.0.text: Input should be a valid string"),
    (422, "sarcasm", {"conversations": [[{"text": 5}]]}, "body.conversations.0.0.text: Input should be"),
    (422, "sentiment", {f"k{i}": 1 for i in range(17)}, "body: expected at most 16 keys, found 17"),
    (422, "sentiment", {"text": "a", "labels": ["b"]}, "expected two or more distinct, non-empty labels"),
    (422, "sentiment", {"text": "a", "labels": ["a"] * 65}, "body.labels: List should have at most 64 items"),
    (422, "sentiment", {"text": "a", "labels": ["a", long(101)]}, "labels.1: String should have at most"),
    (422, "sentiment", {"text": long(8001)}, "body.text: String should have at most 8000 characters"),
    (422, "sentiment", {"texts": ["a"] * 129}, "body.texts: List should have at most 128 items"),
    (422, "sentiment", [], "body: Input should be a valid dictionary"),
    (422, "emotion", {"turns": []}, "body.turns: List should have at least 1 item"),
    (422, "emotion", {"turns": ["a", {"text": ""}]}, "turns turn 2: expected a text"),
    (422, "emotion", {"turns": [{"text": "a", "speaker": long(8001)}]}, "should have at most 8000 char"),
    (422, "emotion", {"turns": ["a"] * 257}, "body.turns: List should have at most 256 items"),
    (422, "emotion", {"turns": ["a", 5]}, "body.turns.1: Input should be a valid dict"),
    (422, "emotion", {"conversations": [["a"], [{"text": long(8001)}]]}, "conversations.1.0."),
    (422, "emotion", {"conversations": [["a"] * 10] * 5}, "found 50 labels to predict in one request"),
    (422, "classify", {"task": "sentimnt", "text": "a"}, "unknown (did you mean 'sentiment'?)"),
    (422, "classify", {"task": "sentiment", "turns": ["a"]},
     "expected text or texts in a request to /v1/classify, found turns"),
    (422, "classify", {**OWN, "instruction": long(1001), "text": "a"}, "instruction: String should"),
    (422, "classify", {"task": long(101), "text": "a"}, "task: String should have at most 100"),
    (422, "aspect", {"text": "a"}, "body.aspects: Field required"),
    (422, "aspect", {"text": "a", "aspects": []}, "body.aspects: List should have at least 1 item"),
    (422, "aspect", {"text": "a", "aspects": ["food", " "]}, "aspects.1: expected a text, found an empty"),
    (422, "aspect", {"turns": ["a"], "aspects": ["food"]}, "body: unknown key 'turns'"),
    (422, "classify", {"text": "a"}, "body.task: Field required"),
    (422, "classify", {**OWN, "text": "a", "context": 1}, "body.context: Input should be a valid boolean"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "path", "body", "says"), REFUSED)
def test_what_is_not_as_described_is_refused(
    client: TestClient, predictor: ControlledPredictor, status: int, path: str, body: Any, says: str
) -> None:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == status
    assert says in answer.json()["error"]
    assert answer.json()["id"] == answer.headers["x-request-id"]
    assert predictor.calls == [], "nothing reached the model"


def test_what_only_the_encoder_can_refuse_harms_nobody_else(predictor: ControlledPredictor) -> None:
    service = make_service(predictor, Limits())
    endless = {**OWN, "instruction": "How urgent? " * 60, "text": "a"}
    with TestClient(service.app) as client, ThreadPoolExecutor(3) as pool:
        predictor.go.clear()
        first = pool.submit(client.post, "/v1/sentiment", json={"text": "a"})
        until(lambda: predictor.calls)
        bad = pool.submit(client.post, "/v1/classify", json=endless)
        good = pool.submit(client.post, "/v1/sentiment", json={"text": "b"})
        until(lambda: service.scheduler.waiting == 2)
        predictor.go.set()
        assert first.result().status_code == good.result().status_code == 200
        assert bad.result().status_code == 422
        assert "leaves no room beside the instruction" in bad.result().json()["error"]
    assert [len(call) for call in predictor.calls] == [1, 2, 1, 1]


def test_a_full_queue_is_429(client: TestClient, predictor: ControlledPredictor) -> None:
    predictor.go.clear()
    body = {"texts": ["a"] * 12}
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(client.post, "/v1/sentiment", json=body)]
        until(lambda: predictor.calls)
        answers += [pool.submit(client.post, "/v1/sentiment", json=body) for _ in range(7)]
        until(lambda: sum(answer.done() for answer in answers) == 6)
        predictor.go.set()
        found = [answer.result() for answer in answers]
    assert sorted(answer.status_code for answer in found) == [200] * 2 + [429] * 6, (
        "one client has half of the room"
    )
    for answer in found:
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert "too many requests are waiting" in answer.json()["error"]
