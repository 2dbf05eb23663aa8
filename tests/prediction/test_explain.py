"""Explanations: which words are left out, what each moves, what it costs."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from tiny import byte_tokenizer

import gsa
from gsa.data.layout import Layout
from gsa.data.task import SENTIMENT
from gsa.data.types import Prediction
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel
from gsa.prediction.explain import MAX_READINGS, pairs, plan_explanation
from gsa.prediction.inputs import dialogue, last_turn
from gsa.prediction.predictor import Predictor
from gsa.trie.packing import PackedRow

TEXT = "the film is not good at all"


def read(text: str) -> Prediction:
    """Return a prediction that follows from the words: `good` weighs 2, `not` before it turns its sign."""
    words = text.split()
    weight = (-2.0 if "not" in words else 2.0) if "good" in words else 0.0
    p = 1 / (1 + math.exp(-weight))
    return Prediction("positive" if p >= 0.5 else "negative", {"negative": 1 - p, "positive": p})


def count_words(texts: Sequence[str]) -> int:
    """Return the tokens of a trie in which each word is a token, behind ten of an instruction."""
    return 10 + len({tuple(text.split()[:n]) for text in texts for n in range(1, len(text.split()) + 1)})


def test_each_word_is_compared_with_the_text_without_it() -> None:
    assert pairs(["a", "b", "c"], 2) == [("a b c", "b c"), ("a b c", "a c"), ("a b c", "a b")]
    assert pairs(["a", "b", "c"], 0) == [("a", ""), ("a b", "a"), ("a b c", "a b")]


def test_the_effect_of_a_word_is_what_it_adds_to_the_log_odds() -> None:
    plan = plan_explanation(TEXT, count_words, exact=True)
    explanation = plan.explanation([read(text) for text in plan.versions])
    assert (explanation.label, explanation.reach) == ("negative", 6)
    assert dict(zip(explanation.words, explanation.effects, strict=True)) == pytest.approx(
        {"the": 0, "film": 0, "is": 0, "not": 4, "good": 2, "at": 0, "all": 0}
    )
    assert explanation.top() == ["not", "good"]
    opposite = plan.explanation([read(text) for text in plan.versions], "positive")
    assert opposite.effects == pytest.approx([-effect for effect in explanation.effects])


def test_a_reach_of_zero_is_how_the_answer_moves_word_by_word() -> None:
    plan = plan_explanation(TEXT, lambda texts: 1 if len(texts) == 1 else 100)
    assert plan.reach == 0
    explanation = plan.explanation([read(text) for text in plan.versions])
    assert sum(explanation.effects) == pytest.approx(2), "what the whole text adds to no text"


@pytest.mark.parametrize(
    ("text", "version", "line"),
    [
        ("Anna Smith was rude", "Anna Smith", "Anna Smith"),
        ("I AM MAD", "I", "i"),
        ("I AM MAD", "AM MAD", "am mad"),
        ("I am MAD", "MAD", "MAD"),
    ],
)
def test_a_version_is_read_in_the_case_of_the_whole_text(text: str, version: str, line: str) -> None:
    shown = last_turn(dialogue(text, "text"), SENTIMENT, version).utterance
    assert Layout(fold_case="capitals").line(shown) == line
    assert Layout(fold_case="none").line(shown) == version
    assert Layout(fold_case="all").line(shown) == version.lower()


@pytest.mark.parametrize("length", [1, 2, 5, 20, 60, 120])
def test_an_explanation_costs_at_most_three_readings(length: int) -> None:
    words = [f"w{i}" for i in range(length)]
    plan = plan_explanation(" ".join(words), count_words)
    assert plan.readings == count_words(plan.versions) / (10 + length) <= MAX_READINGS
    longer = plan_explanation(" ".join(words), count_words, exact=True)
    assert plan.reach == longer.reach or count_words(
        [text for pair in pairs(words, plan.reach + 1) for text in pair]
    ) > MAX_READINGS * (10 + length)


@pytest.fixture
def plain(model: Any) -> Predictor:
    return Predictor(LoadedModel(model, byte_tokenizer(), "tiny"), Layout(max_tokens=600), max_row_tokens=800)


def log_odds(prediction: Prediction, label: str) -> float:
    p = prediction.probabilities[label]
    return math.log(p / (1 - p))


def test_the_predictor_leaves_words_out(plain: Predictor) -> None:
    explanation = plain.explain(f"{TEXT}\n", label="neutral", exact=True)
    known = plain.sentiment(TEXT)
    assert explanation.prediction.probabilities == pytest.approx(known.probabilities, abs=1e-5)
    assert explanation.words == tuple(TEXT.split())
    without = plain.sentiment("the film is good at all")
    expected = log_odds(known, "neutral") - log_odds(without, "neutral")
    assert explanation.effects[3] == pytest.approx(expected, abs=1e-3)
    assert abs(expected) > 0.01


def test_the_turns_before_the_last_are_its_context(plain: Predictor) -> None:
    chat = [("Ana", "They cancelled my flight."), ("Ben", "Oh great news")]
    explanation = plain.explain(chat, "sarcasm", label="sarcastic", exact=True)
    assert explanation.words == ("Oh", "great", "news")
    assert explanation.prediction.probabilities == pytest.approx(plain.sarcasm(chat).probabilities, abs=1e-5)
    without = plain.sarcasm([chat[0], ("Ben", "Oh news")])
    assert explanation.effects[1] == pytest.approx(
        log_odds(explanation.prediction, "sarcastic") - log_odds(without, "sarcastic"), abs=1e-3
    )


def test_all_versions_share_one_trie(plain: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = []
    trie = PackedRow.trie.func
    monkeypatch.setattr(
        PackedRow, "trie", property(lambda row: nodes.append(len(built := trie(row))) or built)
    )
    text = " ".join(["word"] * 20)
    plain.pipeline.max_row_tokens = 100_000
    explanation = plain.explain(text)
    plain.sentiment(text)
    row, *_ = nodes
    assert len(set(nodes)) == 2
    assert row / nodes[-1] == pytest.approx(explanation.readings)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("",), "text: expected a text, found an empty one"),
        ((TEXT, "sentimnt"), "did you mean 'sentiment'"),
        ((TEXT, "sentiment", "good"), r"label 'good': expected one of \['negative', 'neutral', 'positive'\]"),
        (("word " * 300,), r"text: expected one that the model reads in full, found \d+ words too many"),
    ],
)
def test_bad_input_is_one_sentence(plain: Predictor, given: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        plain.explain(*given)


@pytest.mark.slow
def test_the_shipped_model_explains_twenty_words_within_three_readings() -> None:
    model = gsa.load()
    text = (
        "I waited for forty minutes and the soup was cold, but at least the waiter was kind and quite funny."
    )
    assert len(text.split()) == 20
    explanation = model.explain(text, label="negative")
    assert 1 < explanation.readings <= 3
    assert explanation.reach >= 1
    effects = dict(zip(explanation.words, explanation.effects, strict=True))
    assert effects["cold,"] > 0 > effects["kind"]
