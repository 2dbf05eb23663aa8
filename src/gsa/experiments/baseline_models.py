"""Models of the baselines: texts in, features out; features in, a fitted logistic regression out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsa.data.types import Example
from gsa.errors import InputError
from gsa.experiments.embeddings import embed

Probabilities = NDArray[np.float64]
"""Of each label of each example; shape (examples, labels)."""
GRID: tuple[dict[str, Any], ...] = tuple(
    {"C": c, "class_weight": weight} for weight in (None, "balanced") for c in (1.0, 0.1, 3.0, 10.0, 30.0)
)
"""Settings tried on dev, the usual first: inverse strength of the penalty, weighting of classes."""
NGRAMS = ("words", "words and characters")
MAX_ITERATIONS = 2000


def tfidf(kind: str, texts: Sequence[Sequence[str]]) -> list[Any]:
    """Return sparse TF-IDF features of train, dev and test, fitted on the first; None of an empty split.

    `words` are 1- and 2-grams; with characters, also 2- to 4-grams within words.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    vectorizers = [TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True)]
    if kind == NGRAMS[1]:
        vectorizers.append(
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2, sublinear_tf=True)
        )
    union = make_union(*vectorizers)
    train, *rest = texts
    return [union.fit_transform(train), *(union.transform(split) if split else None for split in rest)]


def sentence_features(
    pool: Sequence[Example], splits: Sequence[Sequence[Example]], context: bool
) -> list[NDArray[np.float32] | None]:
    """Return sentence embeddings of the targets of each split, shape (examples, width); None of an empty one.

    With `context` the width doubles: behind the target's embedding stands the mean of those of the turns
    before it, zeros if there are none. `pool` is the whole dataset, so one cache serves all caps and folds.
    """
    vectors = embed(sorted({turn.text for example in pool for turn in example.dialogue.turns}))
    width = len(next(iter(vectors.values())))

    def features(example: Example) -> NDArray[np.float32]:
        target = vectors[example.utterance.text]
        if not context:
            return target
        history = [vectors[turn.text] for turn in example.dialogue.turns[: example.target]]
        mean = np.mean(history, axis=0) if history else np.zeros(width, np.float32)
        return np.concatenate([target, mean])

    return [np.stack([features(example) for example in split]) if split else None for split in splits]


def fit_regression(
    features: Any, gold: NDArray[np.int64], labels: int, **settings: Any
) -> Callable[[Any], Probabilities]:
    """Fit a logistic regression; return a function from features to probabilities (examples, labels)."""
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(gold)
    if len(classes) > 1:
        model = LogisticRegression(max_iter=MAX_ITERATIONS, **settings).fit(features, gold)

    def predict(inputs: Any) -> Probabilities:
        probabilities = np.zeros((inputs.shape[0], labels))
        probabilities[:, classes] = model.predict_proba(inputs) if len(classes) > 1 else 1.0
        return probabilities

    return predict


def compound_scores(texts: Sequence[str]) -> list[float]:
    """Return VADER's compound score of each text, -1 to 1; raises InputError where it is not installed."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        raise InputError(
            "the baseline vader needs vaderSentiment, which is not installed: "
            "pip install '.[baselines]' in a clone"
        ) from None
    analyzer = SentimentIntensityAnalyzer()
    return [float(analyzer.polarity_scores(text)["compound"]) for text in texts]
