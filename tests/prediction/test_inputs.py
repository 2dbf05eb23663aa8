"""What a user may hand in, and what is said of the rest."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from gsa.data.task import EMOTION, SENTIMENT
from gsa.data.types import Prediction, Truncated, Utterance
from gsa.errors import InputError
from gsa.prediction.inputs import as_list, dialogue, is_many, utterance


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


def test_a_pair_in_a_list_is_speaker_and_text() -> None:
    talk = [("Mara", "hi"), ("Desk", "no")]
    assert not is_many(talk, EMOTION)
    assert dialogue(talk).turns == (Utterance("hi", "Mara"), Utterance("no", "Desk"))
    assert dialogue(["a", ("Desk", "no")]).turns == (Utterance("a"), Utterance("no", "Desk"))
    assert is_many([talk, ["a"]], EMOTION)
    assert not is_many([("a", "b"), ("c", "d", "e")], EMOTION)
    with pytest.raises(InputError, match="turn 2: expected a text or a turn"):
        dialogue([("a", "b"), ("c", "d", "e")])  # type: ignore[list-item]
    with pytest.raises(InputError, match="dialogue: found a tuple of two texts, which may be two turns, or"):
        dialogue(("Mara", "hi"))
    assert is_many(("a", "b"), SENTIMENT), "two sentences"


@pytest.mark.parametrize(
    "texts",
    [
        pl.Series(["a", "b"]), np.array(["a", "b"]), np.array(["a", "b"], dtype=object), (t for t in "ab"),
        dict.fromkeys("ab").keys(), ("a", "b"), iter(["a", "b"]),
    ],
    ids=["polars", "numpy", "objects", "generator", "keys", "tuple", "iterator"],
)  # fmt: skip
def test_any_iterable_is_a_list(texts: Any) -> None:
    found = as_list(texts)
    assert [dialogue(text).turns for text in found] == [(Utterance("a"),), (Utterance("b"),)]
    assert is_many(found, SENTIMENT)
    assert not is_many(found, EMOTION)


def test_iterables_of_iterables_are_many_dialogues() -> None:
    talks = as_list(iter([pl.Series(["a", "b"]), (t for t in "c")]))
    assert is_many(talks, EMOTION)
    assert [len(dialogue(talk).turns) for talk in talks] == [2, 1]


def test_what_is_no_list_stays_as_it_is() -> None:
    for one in ("ab", b"ab", {"text": "a"}, Utterance("a"), 5, np.array("ab")):
        assert as_list(one) is one
        assert not is_many(one, SENTIMENT)
    with pytest.raises(InputError, match=r"input: found a table \(DataFrame\): expected one of its columns"):
        as_list(pl.DataFrame({"text": ["a"]}))


def test_an_error_of_the_users_own_generator_is_not_hidden() -> None:
    with pytest.raises(TypeError, match="mine"):
        as_list(len(text) for text in _failing())


def _failing() -> Any:
    yield "a"
    raise TypeError("mine")
