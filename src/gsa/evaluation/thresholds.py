"""The confidence below which a label is withheld, chosen on labelled texts for a wanted precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from gsa.data.types import Prediction
from gsa.errors import InputError


@dataclass(frozen=True)
class Threshold:
    """A confidence, and what it gives on the texts that it was chosen on."""

    min_confidence: float
    """The least probability with which a label is given; 0 if every label may be given."""
    precision: float
    """Share of the labels given that are right."""
    coverage: float
    """Share of the texts that get a label."""
    count: int
    """Number of texts."""


def choose_threshold(predictions: Sequence[Prediction], labels: Sequence[str], precision: float) -> Threshold:
    """Return the threshold that labels most texts, while at least `precision` of the labels are right.

    `labels` are the right ones, in order. Choose it on dev data, and measure what it gives on other texts.
    Raises InputError where no threshold reaches the precision, and for lists that do not belong together.
    """
    if not isinstance(precision, Real) or not 0 < precision <= 1:
        raise InputError(f"precision: expected a number above 0 and at most 1, found {precision!r:.60}")
    if len(predictions) != len(labels) or not predictions:
        raise InputError(
            f"found {len(predictions)} predictions and {len(labels)} labels: expected as many, at least one"
        )
    confidence = np.array([prediction.confidence for prediction in predictions])
    right = np.array([p.likeliest == label for p, label in zip(predictions, labels, strict=True)])
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], right[order]
    is_last = np.append(confidence[1:] < confidence[:-1], True)  # equal confidences are taken together
    precisions = right.cumsum() / np.arange(1, len(right) + 1)
    counts = np.flatnonzero(is_last & (precisions >= precision)) + 1
    if not len(counts):
        best = precisions[is_last].max()
        raise InputError(f"no threshold gives a precision of {precision}: the highest is {best:.3f}")
    taken = int(counts[-1])
    least = 0.0 if taken == len(right) else float(confidence[taken - 1])
    return Threshold(least, float(precisions[taken - 1]), taken / len(right), len(right))
