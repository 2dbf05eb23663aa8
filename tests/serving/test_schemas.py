"""Turns as clients send them, read as in files and in Python."""

from typing import Any

import pytest
from pydantic import ValidationError

from gsa.data.types import Utterance
from gsa.serving.schemas import ConversationRequest, Turn


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ({"text": "Hi", "speaker": 0}, Utterance("Hi", "0")),
        ({"text": "Hi", "speaker": 2.0}, Utterance("Hi", "2")),
        ({"text": "Hi", "speaker": None}, Utterance("Hi")),
        ({"content": "Hi", "role": "user", "time": [3]}, Utterance("Hi", "user")),
        ({"content": "Hi", "role": None}, Utterance("Hi")),
        ({"text": "Hi", "content": "Ho", "speaker": "Ana", "role": "user"}, Utterance("Hi", "Ana")),
    ],
)
def test_chats_and_numbers_are_turns(turn: dict[str, Any], expected: Utterance) -> None:
    assert Turn.model_validate(turn).utterance() == expected
    request = ConversationRequest.model_validate({"turns": [turn, "Oh"]})
    assert request.turns[0].utterance() == expected


@pytest.mark.parametrize(
    "turn",
    [{}, {"speaker": "Ana"}, {"text": None}, {"text": "a", "speaker": True}, {"text": "a", "speaker": []}],
)
def test_what_is_no_turn_is_refused(turn: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Turn.model_validate(turn)


def test_the_schema_says_what_is_read() -> None:
    properties = Turn.model_json_schema()["properties"]
    assert set(properties) == {"text", "content", "speaker", "role"}
    assert {"type": "number"} in properties["speaker"]["anyOf"]
    assert "default" not in properties["text"]
