"""The robustness measurement: what its variants change, and that its rows are what a model answers."""

from pathlib import Path

import pytest

import gsa
import robustness
from gsa.data.augmentation import upper
from gsa.data.task import EMOTION, SENTIMENT


def test_every_turn_is_varied_and_labels_stay() -> None:
    examples = robustness.sampler(EMOTION)[:30]
    varied = robustness.varied(examples, upper)
    for before, after in zip(examples, varied, strict=True):
        assert (after.label, after.target, after.id) == (before.label, before.target, before.id)
        assert [turn.text for turn in after.dialogue.turns] == [
            turn.text.upper() for turn in before.dialogue.turns
        ]
    assert len({id(e.dialogue) for e in varied}) == len({id(e.dialogue) for e in examples})


def test_rows_compare_with_the_sentences_as_written(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {task.name: robustness.sampler(task)[:12] for task in (SENTIMENT, EMOTION)}
    monkeypatch.setattr(robustness, "sampler", lambda task: few[task.name])
    rows = list(robustness.rows(gsa.load(tuned)))
    sentiment = {row["variant"]: row for row in rows if row["task"] == "sentiment"}
    assert set(sentiment) == {"as written", *robustness.VARIANTS}
    written = sentiment["as written"]["accuracy"]
    assert all(r["loss"] == pytest.approx(written - r["accuracy"]) for r in sentiment.values() if "loss" in r)
    assert not set(robustness.LONE) & {row["variant"] for row in rows if row["task"] == "emotion"}
    model = gsa.load(tuned)
    right = [model.predict([e], SENTIMENT)[0].label == e.label for e in few["sentiment"]]
    assert written == pytest.approx(100 * sum(right) / 12, abs=0.01)
    assert [0 <= row["sarcastic"] <= 100 for row in rows if row["task"] == "sarcasm"] == [True] * 3
    assert {row["task"] for row in rows} == {"sentiment", "emotion", "sarcasm"}, (
        "no task that it does not have"
    )


def test_false_alarms_are_plain_texts_with_the_label(tuned: Path) -> None:
    model = gsa.load(tuned)
    examples = robustness.sampler(SENTIMENT)[:8]
    right = sum(p.label == "neutral" for p in model.predict(examples, SENTIMENT))
    row = robustness.false_alarms(model, SENTIMENT, "neutral", "sampler-sentiment", examples)
    assert row == {"task": "sentiment", "variant": "sampler-sentiment", "n": 8, "neutral": 12.5 * right}
