"""Statistics: gold and predicted classes in, differences with intervals and p values out. Knows no model.

A bootstrap resamples examples with replacement, whole dialogues where these are known, the same ones for both
models and all seeds; with several seeds it resamples seeds too, the same ones for both. Metrics are computed
from confusion counts, so that 10,000 resamples are a few sparse matrix products. All numbers are percent
unless stated otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Classes = NDArray[np.int64]
Numbers = NDArray[np.float64]
RESAMPLES = 10_000
CHUNK, CHUNK_DRAWS = 250, 2**21
"""Most resamples, and most drawn examples, in memory at once."""


def score_of_counts(counts: Numbers, metric: str) -> Numbers:
    """Return a metric in percent from confusion counts [..., gold, predicted]; 0 where nothing is counted.

    The metrics are those of `metrics`; classes that neither occur nor are predicted do not enter a mean.
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    gold, predicted = counts.sum(-1), counts.sum(-2)
    occurs = gold + predicted > 0
    match metric:
        case "accuracy" | "acc2_has0" | "acc2_non0":
            return 100 * _ratio(right.sum(-1), gold.sum(-1))
        case "weighted_f1" | "weighted_f1_has0":
            return 100 * _ratio((gold * _ratio(2 * right, gold + predicted)).sum(-1), gold.sum(-1))
        case "macro_f1":
            return 100 * _ratio(_ratio(2 * right, gold + predicted).sum(-1), occurs.sum(-1))
        case "macro_recall":
            return 100 * _ratio(_ratio(right, gold).sum(-1), occurs.sum(-1))
    raise ValueError(f"unknown metric '{metric}'")


def _ratio(numerator: Numbers, denominator: NDArray[np.generic]) -> Numbers:
    """Return a quotient, 0 where the denominator is 0."""
    quotient: Numbers = np.divide(
        numerator, denominator, out=np.zeros(np.shape(numerator)), where=np.asarray(denominator) > 0
    )
    return quotient


def confusion(gold: Classes, predicted: Classes, labels: int) -> Numbers:
    """Return counts of shape (labels, labels), gold by predicted."""
    return np.bincount(gold * labels + predicted, minlength=labels**2).reshape(labels, labels).astype(float)


@dataclass(frozen=True)
class Classifications:
    """The classes that several models predict for the same examples, and the metric that scores them."""

    gold: Classes
    """Shape (examples,)."""
    predicted: Classes
    """Shape (models, examples)."""
    labels: int
    """Number of classes."""
    metric: str
    dialogues: Classes | None = None
    """Number of each example's dialogue, shape (examples,); None where that is not known."""

    def __post_init__(self) -> None:
        """Raise ValueError unless there are examples, and every model has a class for each of them."""
        if self.predicted.shape != (len(self.predicted), len(self.gold)) or not len(self.gold):
            n, shape = len(self.gold), self.predicted.shape
            raise ValueError(f"expected the classes of {n} > 0 examples, found the shape {shape}")

    def observed_scores(self) -> Numbers:
        """Return the score of each model; shape (models,)."""
        counts = [confusion(self.gold, predicted, self.labels) for predicted in self.predicted]
        return np.stack([score_of_counts(count, self.metric) for count in counts])

    def resampled_scores(self, resamples: int = RESAMPLES, seed: int = 0) -> Numbers:
        """Return the scores (resamples, models) of bootstrap samples, the same samples for all models.

        Whole dialogues are drawn where they are known. Memory grows with models times examples.
        """
        models, size = len(self.predicted), self.labels**2
        unit = np.arange(len(self.gold))
        if self.dialogues is not None:
            unit = np.unique(self.dialogues, return_inverse=True)[1]
        n = int(unit.max()) + 1
        cells = self.gold * self.labels + self.predicted + size * np.arange(models)[:, None]
        shape = (n, models * size)
        counts_of_unit = csr_array((np.ones(cells.size), (np.tile(unit, models), cells.ravel())), shape)
        rng, chunk, scores = np.random.default_rng(seed), max(1, min(CHUNK, CHUNK_DRAWS // n)), []
        for start in range(0, resamples, chunk):
            rows = min(chunk, resamples - start)
            drawn = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
            times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
            counts = np.ascontiguousarray(times @ counts_of_unit)
            scores.append(
                score_of_counts(counts.reshape(rows, models, self.labels, self.labels), self.metric)
            )
        return np.concatenate(scores)


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided p value of the hypothesis that the number is 0: below 0.05 where the interval excludes 0."""
    n: int
    """Examples."""
    seeds: int


@dataclass(frozen=True)
class Bootstrap:
    """Scores, or differences of scores, of every seed on one dataset, and the same on bootstrap samples."""

    observed: Numbers
    """Shape (seeds,)."""
    resampled: Numbers
    """Shape (resamples, seeds)."""
    n: int
    """Examples."""


def bootstrap(models: Classifications, resamples: int = RESAMPLES, seed: int = 0) -> Bootstrap:
    """Return the scores of models, one per seed, and those of bootstrap samples of the examples."""
    scores = models.resampled_scores(resamples, seed)
    return Bootstrap(models.observed_scores(), scores, len(models.gold))


def paired_bootstrap(models: Classifications, resamples: int = RESAMPLES, seed: int = 0) -> Bootstrap:
    """Return the first half of the models minus the second, pair by pair, on the same bootstrap samples."""
    half, scores = len(models.predicted) // 2, bootstrap(models, resamples, seed)
    observed = scores.observed[:half] - scores.observed[half:]
    return Bootstrap(observed, scores.resampled[:, :half] - scores.resampled[:, half:], scores.n)


def estimate(parts: Sequence[Bootstrap], seed: int = 0) -> Estimate:
    """Return the mean over datasets and seeds with its 95% interval of percentiles.

    Seeds are drawn with replacement where there are several, the same ones for all datasets. The p value is
    twice the smaller share of resamples on one side of 0, never below 2 / (resamples + 1).
    """
    resamples, seeds = parts[0].resampled.shape
    drawn = np.random.default_rng(seed).integers(seeds, size=(resamples, seeds))
    rows = np.arange(resamples)[:, None]
    means = np.mean([part.resampled[rows, drawn].mean(1) for part in parts], axis=0)
    low, high = np.quantile(means, [0.025, 0.975])
    tail = min((means <= 0).sum(), (means >= 0).sum())
    p = min(1.0, 2 * (float(tail) + 1) / (resamples + 1))
    value = float(np.mean([part.observed.mean() for part in parts]))
    return Estimate(value, float(low), float(high), p, sum(part.n for part in parts), seeds)


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation; the latter is nan for a single value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


@dataclass(frozen=True)
class TTest:
    """A one-sample t test of the hypothesis that the mean is 0."""

    mean: float
    t: float
    p: float
    """Two-sided; nan with fewer than two values."""
    p_greater: float
    """One-sided, against a mean above 0."""
    n: int


def t_test(differences: Sequence[float]) -> TTest:
    """Return the paper's test (table 3): differences of systems, one per dataset, against 0."""
    from scipy.stats import ttest_1samp

    n = len(differences)
    if n < 2 or np.ptp(differences) == 0:
        return TTest(mean_sd(differences)[0], float("nan"), float("nan"), float("nan"), n)
    both, one = (ttest_1samp(differences, 0.0, alternative=side) for side in ("two-sided", "greater"))
    return TTest(mean_sd(differences)[0], float(both.statistic), float(both.pvalue), float(one.pvalue), n)


def mcnemar(gold: Classes, first: Classes, second: Classes) -> tuple[int, int, float]:
    """Return how many only the first has right, how many only the second, and the exact two-sided p value."""
    from scipy.stats import binomtest

    a, b = first == gold, second == gold
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_first + only_second
    return only_first, only_second, float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def holm(ps: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values, in the order given."""
    order = np.argsort(ps, kind="stable")
    scaled = np.asarray(ps, dtype=float)[order] * (len(ps) - np.arange(len(ps)))
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0) if len(ps) else scaled
    return [float(p) for p in adjusted]


@dataclass(frozen=True)
class Calibration:
    """Confidence and accuracy by bins of confidence of equal width; fractions, not percent."""

    error: float
    """Expected calibration error: the mean distance, weighted by examples."""
    confidence: Numbers
    """Mean of each bin, nan for an empty one; shape (bins,)."""
    accuracy: Numbers
    n: Classes


def calibration(probabilities: Numbers, gold: Classes, bins: int = 10) -> Calibration:
    """Return the calibration of the most probable label; `probabilities` has the shape (examples, labels)."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == gold
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    n = np.bincount(index, minlength=bins)
    sums = [np.bincount(index, weights=v.astype(float), minlength=bins) for v in (confidence, right)]
    error = float(np.abs(sums[0] - sums[1]).sum() / max(1, len(gold)))
    mean, accuracy = (np.divide(total, n, out=np.full(bins, np.nan), where=n > 0) for total in sums)
    return Calibration(error, mean, accuracy, n)
