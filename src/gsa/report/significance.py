"""Statistics: gold and predicted classes in, differences with intervals and p values out. Knows no model.

A bootstrap draws examples with replacement, whole dialogues where these are known, the same ones for both
contestants and all seeds; with several seeds it draws seeds too, the same ones for both. Metrics are read off
confusion counts, so that 10,000 draws are a few matrix products. All numbers are percent unless said
otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int64]
Numbers = NDArray[np.float64]
RESAMPLES, CHUNK = 10_000, 250


def score_of_counts(counts: Numbers, metric: str) -> Numbers:
    """Return a metric in percent from confusion counts [..., gold, predicted]; 0 where nothing is counted.

    The metrics are those of `metrics`; classes that neither occur nor are answered do not enter a mean.
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    gold, said = counts.sum(-1), counts.sum(-2)
    there = gold + said > 0
    match metric:
        case "accuracy" | "acc2_has0" | "acc2_non0":
            return 100 * _ratio(right.sum(-1), gold.sum(-1))
        case "weighted_f1" | "weighted_f1_has0":
            return 100 * _ratio((gold * _ratio(2 * right, gold + said)).sum(-1), gold.sum(-1))
        case "macro_f1":
            return 100 * _ratio(_ratio(2 * right, gold + said).sum(-1), there.sum(-1))
        case "macro_recall":
            return 100 * _ratio(_ratio(right, gold).sum(-1), there.sum(-1))
    raise ValueError(f"unknown metric '{metric}'")


def _ratio(above: Numbers, below: NDArray[np.generic]) -> Numbers:
    found: Numbers = np.divide(above, below, out=np.zeros(np.shape(above)), where=np.asarray(below) > 0)
    return found


def confusion(gold: Classes, predicted: Classes, labels: int) -> Numbers:
    """Return counts of shape (labels, labels), gold by predicted."""
    return np.bincount(gold * labels + predicted, minlength=labels**2).reshape(labels, labels).astype(float)


def drawn_scores(
    gold: Classes,
    predicted: Classes,
    labels: int,
    metric: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    dialogues: Classes | None = None,
) -> Numbers:
    """Return scores (resamples, contestants) of answers (contestants, examples) on bootstrap samples.

    All contestants are scored on the same draws: of examples, or of whole dialogues where `dialogues`
    (examples,) says which one each is of. Examples with the same gold and the same answers of all
    contestants are counted together.
    """
    patterns, pattern = np.unique(np.vstack([gold, predicted]), axis=1, return_inverse=True)
    pattern = np.asarray(pattern).reshape(-1)
    cells = np.zeros((patterns.shape[1], len(predicted), labels**2))
    for number, answers in enumerate(patterns[1:]):
        cells[np.arange(len(answers)), number, patterns[0] * labels + answers] = 1
    flat = cells.reshape(len(cells), -1)
    unit = np.arange(len(gold)) if dialogues is None else np.unique(dialogues, return_inverse=True)[1]
    held = np.zeros((int(unit.max()) + 1, len(flat)))
    np.add.at(held, (unit, pattern), 1)
    rng, n, found = np.random.default_rng(seed), len(held), []
    for start in range(0, resamples, CHUNK):
        rows = min(CHUNK, resamples - start)
        drawn = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n) @ held
        counts = (times @ flat).reshape(rows, len(predicted), labels, labels)
        found.append(score_of_counts(counts, metric))
    return np.concatenate(found)


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, of the hypothesis that the number is 0: below 0.05 where the 95% interval leaves 0 out."""
    n: int
    """Examples."""
    seeds: int


@dataclass(frozen=True)
class Sampled:
    """Scores, or differences of scores, on one dataset with every seed, and the same of bootstrap samples."""

    observed: Numbers
    """Shape (seeds,)."""
    drawn: Numbers
    """Shape (resamples, seeds)."""
    n: int
    """Examples."""


def scored(
    gold: Classes,
    answers: Classes,
    labels: int,
    metric: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    dialogues: Classes | None = None,
) -> Sampled:
    """Score answers of shape (seeds, examples) or (examples,), and bootstrap samples of the examples."""
    answers = np.atleast_2d(answers)
    if answers.shape[1] != len(gold) or not len(gold):
        raise ValueError(f"expected answers to {len(gold)} > 0 examples, found the shape {answers.shape}")
    exact = np.stack([score_of_counts(confusion(gold, one, labels), metric) for one in answers])
    return Sampled(exact, drawn_scores(gold, answers, labels, metric, resamples, seed, dialogues), len(gold))


def paired(
    gold: Classes,
    first: Classes,
    second: Classes,
    labels: int,
    metric: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
    dialogues: Classes | None = None,
) -> Sampled:
    """Return first minus second, seed by seed, on the same drawn examples; shapes as in `scored`."""
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    if first.shape != second.shape:
        raise ValueError(f"expected equal shapes, found {first.shape} and {second.shape}")
    both = scored(gold, np.vstack([first, second]), labels, metric, resamples, seed, dialogues)
    half = len(first)
    return Sampled(
        both.observed[:half] - both.observed[half:], both.drawn[:, :half] - both.drawn[:, half:], both.n
    )


def estimate(parts: Sequence[Sampled], seed: int = 0, level: float = 0.95) -> Estimate:
    """Return the mean over datasets and seeds with its interval of percentiles.

    Seeds are drawn with replacement where there are several, the same ones for all datasets. The p value is
    twice the smaller share of draws on one side of 0, never below 2 / (draws + 1).
    """
    draws, seeds = parts[0].drawn.shape
    chosen = np.random.default_rng(seed).integers(seeds, size=(draws, seeds))
    rows = np.arange(draws)[:, None]
    found = np.mean([part.drawn[rows, chosen].mean(1) for part in parts], axis=0)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    tail = min((found <= 0).sum(), (found >= 0).sum())
    p = min(1.0, 2 * (float(tail) + 1) / (draws + 1))
    value = float(np.mean([part.observed.mean() for part in parts]))
    return Estimate(value, float(low), float(high), p, sum(part.n for part in parts), seeds)


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation; the latter is nan of a single value."""
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
    """Return the paper's test (table 3): differences of systems, one a dataset, against 0."""
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
    raised = np.asarray(ps, dtype=float)[order] * (len(ps) - np.arange(len(ps)))
    found = np.empty(len(ps))
    found[order] = np.minimum(np.maximum.accumulate(raised), 1.0) if len(ps) else raised
    return [float(p) for p in found]


@dataclass(frozen=True)
class Calibration:
    """How far confidence is from accuracy, by bins of confidence of equal width; fractions, not percent."""

    error: float
    """Expected calibration error: the mean distance, weighted by examples."""
    confidence: Numbers
    """Mean of each bin, nan of an empty one; shape (bins,)."""
    accuracy: Numbers
    n: Classes


def calibration(probabilities: Numbers, gold: Classes, bins: int = 10) -> Calibration:
    """Compare the probability of the likeliest label with being right; `probabilities` (examples, labels)."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == gold
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    n = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=of.astype(float), minlength=bins) for of in (confidence, right)]
    error = float(np.abs(sums[0] - sums[1]).sum() / max(1, len(gold)))
    mean, share = (np.divide(of, n, out=np.full(bins, np.nan), where=n > 0) for of in sums)
    return Calibration(error, mean, share, n)


def backward_transfer(scores: Numbers, learned: Sequence[int]) -> float:
    """Return the mean change of the datasets from the level that learned them to the last.

    `scores` is (levels, datasets), untuned first; `learned` has the level that first tuned each dataset.
    Those of the last level have had nothing after them and do not count; nan if there are no others.
    """
    earlier = [(level, i) for i, level in enumerate(learned) if level < len(scores) - 1]
    return (
        float(np.mean([scores[-1, i] - scores[level, i] for level, i in earlier]))
        if earlier
        else float("nan")
    )
