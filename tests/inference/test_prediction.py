"""What a user may hand in, and what is said of the rest."""

import pytest

from gsa.errors import InputError
from gsa.inference.prediction import Prediction, Truncated, dialogue, is_many, utterance
from gsa.tasks.dialogue import Utterance
from gsa.tasks.task import EMOTION, SENTIMENT


def test_a_turn_is_a_text_a_mapping_or_an_utterance() -> None:
    assert utterance("Hi", "x") == Utterance("Hi")
    assert utterance({"text": "Hi", "speaker": "Ana"}, "x") == Utterance("Hi", "Ana")
    assert utterance({"text": "Hi", "speaker": None}, "x") == Utterance("Hi")  # type: ignore[dict-item]
    assert utterance(Utterance("Hi", "Ana"), "x") == Utterance("Hi", "Ana")


def test_a_dialogue_is_turns_or_one_turn() -> None:
    assert dialogue("Hi").turns == (Utterance("Hi"),)
    assert dialogue({"text": "Hi"}).turns == (Utterance("Hi"),)
    assert [turn.text for turn in dialogue(["a", {"text": "b"}, Utterance("c")]).turns] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "dialogue: expected a text, found an empty one"),
        (" \n", "found an empty one"),
        (["a", ""], "dialogue turn 2: expected a text, found an empty one"),
        (["a", "b\0"], r"turn 2: expected a text, found the character U\+0000"),
        (["\ud800"], r"found the character U\+D800"),
        ([], r"dialogue: expected one turn or more, found \[\]"),
        (5, "expected one turn or more, found 5"),
        ([5], "turn 1: expected a text or a turn with 'text' and 'speaker', found"),
        ([{"txt": "a"}], r"unknown key 'txt' \(did you mean 'text'\?\)"),
        ([{"speaker": "Ana"}], "turn 1: expected a text, found an empty one"),
        ([{"text": 7}], "turn 1: expected a text or a turn"),
    ],
)
def test_what_holds_no_text_is_named(given: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        dialogue(given)  # type: ignore[arg-type]


def test_many_depends_on_what_the_task_reads() -> None:
    assert not is_many("a", SENTIMENT)
    assert is_many(["a", "b"], SENTIMENT)
    assert is_many([], SENTIMENT)
    assert not is_many(["a", "b"], EMOTION)
    assert not is_many([{"text": "a"}], EMOTION)
    assert is_many([["a"], ["b", "c"]], EMOTION)
    assert not is_many("a", EMOTION)


def test_truncated_is_false_where_all_was_read() -> None:
    assert not Truncated()
    assert Truncated(turns=1)
    assert Truncated(words=1)
    assert Prediction("a", {"a": 1.0}).truncated == Truncated()
