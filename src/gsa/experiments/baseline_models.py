"""What baselines are made of: texts in, features out; features in, a fitted logistic regression out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsa.data.types import Example
from gsa.errors import InputError
from gsa.experiments.embeddings import embed

Chances = NDArray[np.float64]
GRID: tuple[dict[str, Any], ...] = tuple(
    {"C": c, "class_weight": weight} for weight in (None, "balanced") for c in (1.0, 0.1, 3.0, 10.0, 30.0)
)
"""Settings that are tried on dev, the usual first: inverse strength of the penalty, weighting of classes."""
NGRAMS = ("words", "words and characters")
ROUNDS = 2000
"""Most rounds of the solver."""


def tfidf(kind: str, texts: Sequence[Sequence[str]]) -> list[Any]:
    """Return sparse TF-IDF features of train, dev and test, fitted on the first; None of an empty part.

    `words` are 1- and 2-grams; with characters, also 2- to 4-grams within words.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True)
    both = [words]
    if kind == NGRAMS[1]:
        both.append(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2, sublinear_tf=True))
    union = make_union(*both)
    return [union.fit_transform(texts[0]), *(union.transform(part) if part else None for part in texts[1:])]


def sentences(
    every: Sequence[Example],
    parts: Sequence[Sequence[Example]],
    context: bool,
    say: Callable[[str], None],
) -> list[NDArray[np.float32] | None]:
    """Return embeddings of the targets of each part, shape (examples, width) each, None of an empty one.

    With `context` twice as wide: the target's, then the mean of those of the turns before it, zeros if there
    are none. `every` is all of the dataset, so that one cache serves all caps and folds.
    """
    turns = {turn.text for example in every for turn in example.dialogue.turns}
    vectors = embed(sorted(turns), say)
    width = len(next(iter(vectors.values())))

    def of(example: Example) -> NDArray[np.float32]:
        target = vectors[example.utterance.text]
        if not context:
            return target
        before = [vectors[turn.text] for turn in example.dialogue.turns[: example.target]]
        mean = np.mean(before, axis=0) if before else np.zeros(width, np.float32)
        return np.concatenate([target, mean])

    return [np.stack([of(example) for example in part]) if part else None for part in parts]


def regression(
    features: Any, gold: NDArray[np.int64], labels: int, **settings: Any
) -> Callable[[Any], Chances]:
    """Fit a logistic regression; returns what gives probabilities (examples, labels) of features."""
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(gold)
    if len(seen) > 1:
        model = LogisticRegression(max_iter=ROUNDS, **settings).fit(features, gold)

    def chances(of: Any) -> Chances:
        found = np.zeros((of.shape[0], labels))
        found[:, seen] = model.predict_proba(of) if len(seen) > 1 else 1.0
        return found

    return chances


def compound(texts: Sequence[str]) -> list[float]:
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
