"""Layouts: the exact prompt text of each."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gsa.data.layout import Layout
from gsa.data.task import ASPECT, EMOTION, SARCASM, SENTIMENT
from gsa.data.types import Dialogue, Utterance

SENTIMENT_ASKS = (
    "Consider the semantic information of sentence to determine its sentiment polarity.\n"
    "Labels: negative, neutral, positive"
)
EMOTION_ASKS = (
    "Consider both the semantic information of the target utterance itself and the contextual information of "
    "the dialogue it is situated in.\n"
    "Labels: neutral, joy, surprise, anger, sadness, disgust, fear"
)
SARCASM_ASKS = (
    "Consider whether there is an incongruity between the emotional states of the target utterance's "
    "semantic information and its contextual information, and whether the expression of the target utterance "
    "involves linguistic incongruity.\n"
    "Labels: sarcastic, non-sarcastic"
)
PHONE = Dialogue(
    "phone",
    (
        Utterance("I just got a new phone.", "A"),
        Utterance("How  is\nit?", "B"),
        Utterance("It has a bad memory but a great battery life.", "A"),
        Utterance("Oh."),
    ),
)
LAYOUTS = [
    Layout(name=name, context=context)
    for name, context in (("paper", "dialogue"), ("paper", "history"), ("inline", "history"))
]


def text(layout, task, dialogue=PHONE, target=2):
    return layout.prompt(task, dialogue, target, layout.turns(dialogue, target))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paper", f"It was fine.\n{SENTIMENT_ASKS}\nAnswer:"),
        ("inline", f"{SENTIMENT_ASKS}\nIt was fine. =>"),
    ],
)
def test_a_sentence_in_each_layout(name, expected):
    dialogue = Dialogue("1", (Utterance(" It was\nfine. "),))
    assert text(Layout(name=name, context="history"), SENTIMENT, dialogue, 0) == expected


@pytest.mark.parametrize(("task", "asks"), [(EMOTION, EMOTION_ASKS), (SARCASM, SARCASM_ASKS)])
def test_a_dialogue_in_each_layout(task, asks):
    before = "A: I just got a new phone.\nB: How is it?\nA: It has a bad memory but a great battery life."
    target = "Target utterance: A: It has a bad memory but a great battery life."
    assert text(Layout(name="paper", context="dialogue"), task) == (
        f"Dialogue:\n{before}\nOh.\n{target}\n{asks}\nAnswer:"
    )
    assert text(Layout(name="paper", context="history"), task) == (
        f"Dialogue:\n{before}\n{target}\n{asks}\nAnswer:"
    )
    assert text(Layout(name="inline", context="history"), task) == f"{asks}\n{before} =>"


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_task_without_context_sees_the_target_alone(layout):
    shown = text(layout, SENTIMENT)
    assert "bad memory" in shown
    assert not any(other in shown for other in ("new phone", "How is it", "Oh."))
    assert "Dialogue:" not in shown


def test_labels_are_listed_in_order_by_their_words():
    task = SENTIMENT.with_labels("1", "0", words={"1": "good", "0": "bad"})
    assert "\nLabels: good, bad\n" in text(Layout(), task)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"context": "dialogue", "name": "paper"}, [range(4), range(4), range(4), range(4)]),
        ({"context": "history"}, [range(1), range(2), range(3), range(4)]),
    ],
)
def test_context_chooses_the_turns(settings, shown):
    layout = Layout(**settings)
    assert [layout.turns(PHONE, i) for i in range(4)] == shown


turns = st.lists(st.builds(Utterance, st.text(max_size=12), st.sampled_from(["", "A", "B"])), min_size=1)


@given(turns)
def test_inline_each_target_continues_the_one_before(said):
    dialogue, layout = Dialogue("d", tuple(said)), Layout(name="inline", context="history")
    prompts = [text(layout, EMOTION, dialogue, i) for i in range(len(said))]
    for shorter, longer in pairwise(prompts):
        assert longer.startswith(shorter.removesuffix(" =>") + "\n")


def test_inline_refuses_turns_after_the_target():
    with pytest.raises(ValidationError, match="expected context 'history'"):
        Layout(name="inline", context="dialogue")


@pytest.mark.parametrize(
    "settings",
    [{"nmae": "paper"}, {"name": "own"}, {"context": "future"}, {"context": "window"}, {"max_tokens": 63}],
)
def test_settings_are_checked(settings):
    with pytest.raises(ValidationError):
        Layout(**settings)


def test_a_layout_cannot_be_changed_in_place():
    with pytest.raises(ValidationError, match="frozen"):
        Layout().max_tokens = 99


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("inline", "{ask}\nGood food, slow staff.\nAspect: the staff =>"),
        ("paper", "Good food, slow staff.\nAspect: the staff\n{ask}\nAnswer:"),
    ],
)
def test_an_aspect_is_named_after_the_target(name, expected):
    ask = f"{ASPECT.instruction}\nLabels: negative, neutral, positive"
    said = Dialogue("d", (Utterance("Good food, slow staff."),))
    layout = Layout(name=name)
    assert layout.prompt(ASPECT, said, 0, range(1), "the \n staff") == expected.format(ask=ask)
    # A task that is not about an aspect does not read one.
    assert layout.prompt(SENTIMENT, said, 0, range(1), "the staff") == layout.prompt(
        SENTIMENT, said, 0, range(1)
    )
