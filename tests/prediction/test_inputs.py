"""What a user may hand in, and what is said of the rest."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gsa.data.task import EMOTION, SENTIMENT
from gsa.data.types import Prediction, Truncated, Utterance
from gsa.errors import InputError
from gsa.prediction.inputs import (
    as_list,
    dialogue,
    instruction_text,
    is_many,
    is_missing,
    label_list,
    utterance,
    utterances,
)


def test_a_turn_is_a_text_a_mapping_or_an_utterance() -> None:
    assert utterance("Hi", "x") == Utterance("Hi")
    assert utterance({"text": "Hi", "speaker": "Ana"}, "x") == Utterance("Hi", "Ana")
    assert utterance({"text": "Hi", "speaker": None}, "x") == Utterance("Hi")  # type: ignore[dict-item]
    assert utterance(Utterance("Hi", "Ana"), "x") == Utterance("Hi", "Ana")


def test_chats_and_numbered_speakers_are_read_as_in_files() -> None:
    for turn, expected in (
        ({"content": "Hi", "role": "user", "time": 3}, Utterance("Hi", "user")),
        ({"text": "Hi", "speaker": 0}, Utterance("Hi", "0")),
        ({"text": "Hi", "speaker": float("nan")}, Utterance("Hi")),
        ({"content": "Hi", "role": None}, Utterance("Hi")),
        ((1.0, "Hi"), Utterance("Hi", "1")),
        ((None, "Hi"), Utterance("Hi")),
        ((np.int64(1), "Hi"), Utterance("Hi", "1")),
        ({"text": "Hi", "speaker": np.float32(2)}, Utterance("Hi", "2")),
        ((Decimal("3.00"), "Hi"), Utterance("Hi", "3")),
    ):
        assert utterance(turn, "x") == expected  # type: ignore[arg-type]


def test_missing_values_are_told_from_texts() -> None:
    nothing = [None, float("nan"), np.nan, pd.NA, pd.NaT]
    assert all(map(is_missing, nothing))
    assert not any(map(is_missing, ["", "a", 0, ["a"], np.array(["a", "b"]), {"text": "a"}]))
    assert is_many([["a"], None], EMOTION)
    assert not is_many(["a", None], EMOTION)
    assert utterances(["a", None, " "], errors="skip") == [Utterance("a"), None, None]
    assert utterances(None, errors="skip") == []
    with pytest.raises(InputError, match="dialogue turn 2: expected a text, found None"):
        utterances(["a", None])


def test_a_label_list_is_an_ordered_list_of_texts() -> None:
    for labels in (
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        pd.Series(["a", "b"]),
        pl.Series(["a", "b"]),
    ):
        assert label_list(labels) == ["a", "b"]
    assert label_list(np.array([])) == label_list(()) == []
    for labels, found in (
        ("ab", "'ab'"), (None, "None"), ({"a", "b"}, r"\{'"), (5, "5"), (True, "True"),
        ({"a": 1}, r"\{'a': 1\}"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"labels: expected a list of texts, found {found}"):
            label_list(labels)
    for labels, found in (
        (["a", 1], "1"),
        (["a", True], "True"),
        (["a", None], "None"),
        (np.array([1, 2]), "np.int64"),
    ):
        with pytest.raises(InputError, match=f"labels: expected texts, found {found}"):
            label_list(labels)


def test_labels_that_are_numbers_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert label_list(["1711", "1712"]) == ["1711", "1712"]
    assert [message[:40] for message in caplog.messages] == ["labels 1711, 1712 are numbers, which say"]


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
        ([5], "turn 1: expected a text, found 5"),
        ([{"txt": "a"}], r"turn 1: expected a key 'text', found 'txt' \(did you mean 'text'\?\)"),
        ([{"speaker": "Ana"}], "turn 1: expected a key 'text', found 'speaker'"),
        (["a", "\u200b"], "turn 2: expected a text, found an empty one"),
        ([{"text": "a", "speaker": [1]}], r"expected a speaker that is a text or a number, found \[1\]"),
        ([{"text": 7}], "turn 1: expected a text, found 7"),
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
    with pytest.raises(InputError, match="turn 2: expected a text, found"):
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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("caf\udce9", r"the byte 0xE9 \('é' in the encoding cp1252\) in 'caf\\udce9'"),
        ("\ud800", r"the character U\+D800"),
        ("a\0", r"the character U\+0000"),
    ],
)
def test_labels_and_instructions_are_readable_text(text: str, found: str) -> None:
    with pytest.raises(InputError, match=f"labels: expected text, found {found}"):
        label_list(["good", text])
    with pytest.raises(InputError, match=f"instruction: expected text, found {found}"):
        instruction_text(text)
