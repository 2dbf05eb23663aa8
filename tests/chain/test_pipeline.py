"""The pipeline of prediction and evaluation: order, chunks, and tasks that differ in little."""

from dataclasses import replace
from pathlib import Path

import pytest

import gsa
from gsa.chain import pipeline as module
from gsa.chain.pipeline import Pipeline
from gsa.data.task import EMOTION, SENTIMENT
from gsa.data.types import Dialogue, Example, Utterance
from gsa.errors import InputError

TWO = SENTIMENT.with_labels("negative", "positive")
MERGED = replace(TWO, merged={"neutral": "positive"})


@pytest.fixture
def pipeline(tuned: Path) -> Pipeline:
    return gsa.load(tuned).pipeline


def text(number: int, words: str, label: str | None = None) -> Example:
    return Example(str(number), "x", Dialogue(str(number), (Utterance(words),)), 0, label)


def test_a_task_that_merges_labels_is_not_taken_for_the_one_that_does_not(pipeline: Pipeline) -> None:
    neutral = text(1, "It is a film.", "neutral")
    pipeline.predict([text(0, "Good.", "positive")], TWO)
    merged = pipeline.predict([neutral], MERGED)
    assert merged == pipeline.predict([replace(neutral, label="positive")], TWO)
    with pytest.raises(InputError, match="label 'neutral' is not in the label list of task 'sentiment'"):
        pipeline.predict([neutral], TWO)


def test_predictions_stand_in_the_order_of_the_examples(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    examples = [text(i, f"Number {i} is here.") for i in range(7)]
    tasks = [EMOTION if i % 3 == 0 else TWO for i in range(7)]
    done: list[int] = []
    predictions = pipeline.predict(examples, tasks, done.append)
    assert done[-1] == 7
    for example, task, prediction in zip(examples, tasks, predictions, strict=True):
        assert set(prediction.probabilities) == set(task.labels)
        (alone,) = pipeline.predict([example], task)
        assert alone.label == prediction.label
        assert alone.probabilities == pytest.approx(prediction.probabilities, abs=1e-5)
