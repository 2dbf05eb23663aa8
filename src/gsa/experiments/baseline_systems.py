"""The baseline systems: one dataset in, probabilities on its test split and the chosen settings out.

Settings are chosen by the main metric on the dev split; training and dev are never joined.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsa.data.task import Task
from gsa.data.types import Example
from gsa.evaluation.metrics import answers_of, majority_class, measure
from gsa.experiments import baseline_models as models
from gsa.experiments.baseline_models import Probabilities

ADVICE = "more labelled texts, more epochs or another learning rate may help"
"""What to do about a tuned model that is below a baseline."""


@dataclass(frozen=True)
class BaselineData:
    """One dataset as a baseline reads it."""

    task: Task
    metric: str
    train: list[Example]
    dev: list[Example]
    test: list[Example]
    pool: list[Example]
    """All examples of the dataset's files, in no particular order."""

    def gold_indices(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """Return the indices of the gold labels; shape (examples,)."""
        labels = self.task.labels
        return np.asarray(
            [labels.index(self.task.canonical_label(str(e.label))) for e in examples], dtype=np.int64
        )

    def score(self, examples: Sequence[Example], probabilities: Probabilities) -> float:
        """Return the main metric in percent."""
        answers = answers_of(self.task, [str(e.label) for e in examples], probabilities)
        return measure(answers, [self.metric])[self.metric][0]

    def one_hot(self, classes: Sequence[int]) -> Probabilities:
        """Return probability 1 of these classes, for systems that give an answer and no probabilities."""
        return np.eye(len(self.task.labels))[list(classes)]


Baseline = Callable[[BaselineData], tuple[Probabilities, dict[str, Any]] | None]
"""Returns probabilities on the test split and the chosen settings; None where it does not apply."""


def _majority(data: BaselineData) -> tuple[Probabilities, dict[str, Any]]:
    majority = majority_class(data.task, [str(example.label) for example in data.train])
    return data.one_hot([majority] * len(data.test)), {"answer": data.task.labels[majority]}


def _vader(data: BaselineData) -> tuple[Probabilities, dict[str, Any]] | None:
    """Answer by VADER's compound score: positive from 0 on; with three labels neutral within 0.05."""
    labels = data.task.labels
    if data.task.name != "sentiment" or not {"negative", "positive"} <= set(labels):
        return None
    compound = models.compound_scores([example.utterance.text for example in data.test])
    if "neutral" in labels:
        words = ["positive" if c >= 0.05 else "negative" if c <= -0.05 else "neutral" for c in compound]
    else:
        words = ["positive" if c >= 0 else "negative" for c in compound]
    return data.one_hot([labels.index(word) for word in words]), {"trained on": 0}


def _tfidf(data: BaselineData) -> tuple[Probabilities, dict[str, Any]]:
    texts = [[e.utterance.text for e in examples] for examples in (data.train, data.dev, data.test)]
    return _best_regression(data, {name: models.tfidf(name, texts) for name in models.NGRAMS})


def _minilm(data: BaselineData) -> tuple[Probabilities, dict[str, Any]]:
    features = models.sentence_features(data.pool, (data.train, data.dev, data.test), context=False)
    return _best_regression(data, {"target": features})


def _minilm_context(data: BaselineData) -> tuple[Probabilities, dict[str, Any]] | None:
    if not data.task.context:
        return None
    features = models.sentence_features(data.pool, (data.train, data.dev, data.test), context=True)
    return _best_regression(data, {"target, mean of history": features})


def _best_regression(data: BaselineData, features: dict[str, Any]) -> tuple[Probabilities, dict[str, Any]]:
    """Return the answers of the logistic regression that is best on dev, the first of equals.

    Settings are chosen with the first features, and kept for trying the others. Without a dev split nothing
    is chosen: the first features and the usual settings are taken.
    """
    gold, size = data.gold_indices(data.train), len(data.task.labels)
    best: tuple[float, Probabilities, dict[str, Any]] | None = None
    grid = models.GRID if data.dev else models.GRID[:1]
    for name, (train, dev, test) in list(features.items())[: None if data.dev else 1]:
        for settings in grid:
            predict = models.fit_regression(train, gold, size, **settings)
            score = data.score(data.dev, predict(dev)) if data.dev else 0.0
            if best is None or score > best[0]:
                chosen = {"features": name, **settings, "dev": round(score, 2) if data.dev else None}
                best = score, predict(test), chosen
        assert best is not None
        grid = ({key: best[2][key] for key in models.GRID[0]},)
    assert best is not None
    return best[1], best[2]


BASELINES: dict[str, Baseline] = {
    "majority": _majority,
    "vader": _vader,
    "tfidf": _tfidf,
    "minilm": _minilm,
    "minilm-context": _minilm_context,
}


def tfidf_score(data: BaselineData) -> float | None:
    """Return the main metric of TF-IDF with logistic regression on the test split, in percent.

    None where the texts have no words to learn from.
    """
    try:
        probabilities, _ = _tfidf(data)
    except ValueError:  # scikit-learn's, for an empty vocabulary
        return None
    return data.score(data.test, probabilities)
