"""Similarity of directions: arrays in, cosines and principal angles out, with their values by chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import subspace_angles

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """Overlap of two subspaces of one space."""

    shared: float
    """Mean squared cosine of the principal angles: 1 for equal subspaces, 0 for orthogonal ones."""
    angle: float
    """The smallest principal angle, degrees."""
    chance_shared: float
    """The mean of `shared` over random subspaces of these ranks: exact."""
    chance_angle: float
    """The mean of `angle` over random subspaces of these ranks: of 20 seeded draws."""


def subspace_overlap(first: Numbers, second: Numbers) -> Overlap | None:
    """Return the overlap of two column spaces, (d, r) and (d, s); None if a matrix is zero."""
    ranks = [int(np.linalg.matrix_rank(matrix)) for matrix in (first, second)]
    if not min(ranks):
        return None
    angles, d = subspace_angles(first, second), len(first)
    shared, angle = float(np.mean(np.cos(angles) ** 2)), float(np.degrees(angles.min()))
    return Overlap(shared, angle, max(ranks) / d, _chance_angle(d, *ranks))


@cache
def _chance_angle(d: int, first_rank: int, second_rank: int) -> float:
    rng = np.random.default_rng(0)
    angles = [
        subspace_angles(rng.normal(size=(d, first_rank)), rng.normal(size=(d, second_rank)))
        for _ in range(20)
    ]
    return float(np.degrees(np.mean([drawn.min() for drawn in angles])))


def product_cosine(first: tuple[Numbers, Numbers], second: tuple[Numbers, Numbers]) -> float | None:
    """Return the Frobenius cosine of two products B A, given as pairs of A (r, in) and B (out, r).

    None where one is zero. The products themselves are never built.
    """

    def inner(x: tuple[Numbers, Numbers], y: tuple[Numbers, Numbers]) -> float:
        return float(np.sum((x[1].T @ y[1]) * (x[0] @ y[0].T)))

    norms = inner(first, first) * inner(second, second)
    return inner(first, second) / float(np.sqrt(norms)) if norms > 0 else None


@dataclass(frozen=True)
class Cosine:
    """Cosine of the mean gradients of two samples; None where noise hides it."""

    value: float | None = None
    """Cosine of the two means as they are."""
    corrected: float | None = None
    """The same without the noise of small samples, which only ever lowers it; may leave -1 to 1."""
    error: float | None = None
    """Standard error of `corrected`, from leaving out one part at a time."""


def halves_cosine(gram: Numbers, parts: Sequence[int]) -> float | None:
    """Return the cosine of the means of the first and the second half of a sample's parts.

    `gram` (draws, parts, parts) has the inner products of the parts of all samples; `parts` are the indices
    of one sample's. This is the cosine of two samples of one dataset: the ceiling for others of that size.
    """
    middle = (len(parts) + 1) // 2
    return _mean(_raw(gram, parts[:middle], parts[middle:]))


def cosine(gram: Numbers, first: Sequence[int], second: Sequence[int]) -> Cosine:
    """Return the cosine of two samples, given by the indices of their parts in `gram` (draws, parts, parts).

    The correction takes each mean's squared length from products of different parts, whose noise is
    independent, instead of from the mean itself.
    """
    corrected = _mean(_corrected(gram, first, second))
    left = [_without(gram, first, second, i) for i in range(len(first))]
    right = [_without(gram, second, first, i) for i in range(len(second))]
    error = None
    if corrected is not None and None not in [*left, *right]:
        spread = [np.var(np.asarray(side, float)) * (len(side) - 1) for side in (left, right)]
        error = float(np.sqrt(sum(spread)))
    return Cosine(_mean(_raw(gram, first, second)), corrected, error)


def _without(gram: Numbers, first: Sequence[int], second: Sequence[int], i: int) -> float | None:
    return _mean(_corrected(gram, [*first[:i], *first[i + 1 :]], second))


def _block(gram: Numbers, first: Sequence[int], second: Sequence[int]) -> Numbers:
    return gram[:, np.asarray(first, int)[:, None], np.asarray(second, int)[None, :]]


def _raw(gram: Numbers, first: Sequence[int], second: Sequence[int]) -> Numbers:
    lengths = [_block(gram, sample, sample).mean((1, 2)) for sample in (first, second)]
    return _ratio(_block(gram, first, second).mean((1, 2)), *lengths)


def _corrected(gram: Numbers, first: Sequence[int], second: Sequence[int]) -> Numbers:
    lengths = []
    for sample in (first, second):
        block, n = _block(gram, sample, sample), len(sample)
        off_diagonal = block.sum((1, 2)) - np.trace(block, axis1=1, axis2=2)
        lengths.append(off_diagonal / (n * (n - 1)) if n > 1 else np.zeros(len(gram)))
    return _ratio(_block(gram, first, second).mean((1, 2)), *lengths)


def _ratio(product: Numbers, first: Numbers, second: Numbers) -> Numbers:
    """Return product / sqrt(first * second), nan where a squared length is not positive."""
    positive = (first > 0) & (second > 0)
    norm = np.sqrt(np.where(positive, first * second, 1.0))
    return np.asarray(np.where(positive, product / norm, np.nan))


def _mean(values: Numbers) -> float | None:
    """Return the mean over draws; None if one of them is nan."""
    return float(values.mean()) if np.isfinite(values).all() else None
