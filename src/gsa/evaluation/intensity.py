"""How well a continuous score follows people's: Pearson's correlation and the mean absolute error.

MOSI and MOSEI have a score from -3 to 3 for each clip. The score compared with it is the probability of
positive minus that of negative (`Prediction.score`), from -1 to 1, times three so that both have one scale.
A tuned classifier is surer than people's scores are strong, so a line fitted on dev may map one to the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Line:
    """What a score from -1 to 1 is on a scale of people's: slope times score plus intercept."""

    slope: float = 3.0
    intercept: float = 0.0


@dataclass(frozen=True)
class IntensityFit:
    """Agreement of predicted scores with people's."""

    pearson: float
    """Correlation, from -1 to 1; no line with a slope above 0 changes it."""
    mae: float
    """Mean absolute error, on the scale of the gold scores."""
    baseline_mae: float
    """That of the median of the gold scores, for all examples."""
    n: int


def fit_line(scores: Sequence[float], gold: Sequence[float]) -> Line:
    """Return the line with the least squared error, to be fitted on dev."""
    slope, intercept = np.polyfit(np.asarray(scores, np.float64), np.asarray(gold, np.float64), 1)
    return Line(float(slope), float(intercept))


def intensity_fit(scores: Sequence[float], gold: Sequence[float], line: Line | None = None) -> IntensityFit:
    """Return the agreement of scores from -1 to 1 with gold scores in the same order."""
    line = line or Line()
    predicted = line.slope * np.asarray(scores, np.float64) + line.intercept
    known = np.asarray(gold, np.float64)
    return IntensityFit(
        pearson=float(np.corrcoef(predicted, known)[0, 1]),
        mae=float(np.abs(predicted - known).mean()),
        baseline_mae=float(np.abs(known - np.median(known)).mean()),
        n=len(known),
    )
