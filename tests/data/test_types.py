"""Utterances, dialogues, examples."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsa.data.types import Dialogue, Example, Prediction, Utterance, sentence, unreadable


@pytest.mark.parametrize(
    ("text", "speaker", "line"),
    [
        ("It was fine.", "", "It was fine."),
        ("It was fine.", "Ada", "Ada: It was fine."),
        ("  two\n\nlines,\ta tab  ", "", "two lines, a tab"),
        ("hm", " Dr.\n Green ", "Dr. Green: hm"),
        ("hm", " \t\n", "hm"),
        ("", "Ada", "Ada: "),
        ("", "", ""),
        ("a\u00a0b\u2028c\u3000d\x85e", "", "a b c d e"),
        ("שלום 👋🏽", "رنا", "رنا: שלום 👋🏽"),
    ],
)
def test_line_is_one_line_with_white_space_folded(text, speaker, line):
    assert Utterance(text, speaker).line() == line


@given(st.text(), st.text())
def test_no_text_can_open_another_line(text, speaker):
    line = Utterance(text, speaker).line()
    assert len(line.splitlines()) <= 1
    assert "  " not in line
    assert line.split() == (
        [*speaker.split()[:-1], speaker.split()[-1] + ":", *text.split()] if speaker.split() else text.split()
    )


def test_a_lone_sentence_is_a_dialogue_of_one():
    example = sentence("It was fine.", "7", "reviews", "positive", speaker="Ada")
    assert example == Example(
        "7", "reviews", Dialogue("7", (Utterance("It was fine.", "Ada"),)), 0, "positive"
    )
    assert sentence("It was fine.", "7", "reviews").label is None


def test_the_utterance_of_an_example_is_its_target():
    dialogue = Dialogue("d", (Utterance("one"), Utterance("two"), Utterance("three")))
    assert [Example(str(i), "set", dialogue, i).utterance.text for i in range(3)] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("thing", "field"),
    [(Utterance("a"), "text"), (Dialogue("d", ()), "turns"), (sentence("a", "1", "set"), "label")],
)
def test_data_cannot_be_changed_in_place(thing, field):
    with pytest.raises(FrozenInstanceError):
        setattr(thing, field, "x")


def test_unreadable_names_the_character() -> None:
    assert unreadable("plain \U0001f600 text") == ""
    assert unreadable("a\0") == "the character U+0000"


def test_the_score_is_positive_minus_negative() -> None:
    assert Prediction("positive", {"negative": 0.25, "neutral": 0.25, "positive": 0.5}).score == 0.25
    assert Prediction("negative", {"negative": 1.0, "positive": 0.0}).score == -1.0
    assert Prediction("joy", {"joy": 1.0, "anger": 0.0}).score is None
