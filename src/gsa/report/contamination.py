"""Scores without the test texts that an arm read in training: arms and a file of overlaps in, a table out."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from gsa.datasets.overlaps import Overlaps
from gsa.errors import InputError
from gsa.report.comparison import classifications, last_levels, seed_of
from gsa.report.measured_run import MeasuredRun
from gsa.report.significance import bootstrap, estimate
from gsa.report.tables import Arms, Table

HEADER = ("arm", "dataset", "repeats texts of", "n", "value", "n without", "value without", "low", "high")


def read_overlaps(file: Path) -> Overlaps:
    """Return the overlaps in a file of `gsa data overlaps`; raises InputError if it is not such a file."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(tested): {str(trained): list(map(str, ids)) for trained, ids in by_dataset.items()}
            for tested, by_dataset in content.items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"'{file}': expected a file of `gsa data overlaps --out`: {type(error).__name__} {error}"
        ) from None


def contamination(arms: Arms, overlaps: Overlaps, resamples: int) -> Table:
    """Return each arm's main scores with and without repeated texts, for datasets that have some.

    A text is repeated if it is in the training set of another dataset that the arm was tuned on.
    """
    rows = []
    for arm, runs in arms.items():
        for name in runs[0].datasets:
            trained = sorted(source for source in overlaps.get(name, {}) if runs[0].learned_at(source))
            repeated = {id for source in trained for id in overlaps[name][source]}
            cells = _scores(runs, name, repeated, resamples) if repeated else None
            if cells:
                rows.append([arm, name, ", ".join(trained), *cells])
    note = (
        "Texts of five or more words that are, but for case and punctuation, in the training set of another "
        "dataset that the arm was tuned on. 95% interval of the score without them."
    )
    return Table("unrepeated", "Without repeated texts", HEADER, rows, (note,))


def _scores(
    runs: Sequence[MeasuredRun], dataset: str, repeated: Collection[str], resamples: int
) -> list[str] | None:
    """Return n and value with, then n, value and interval without repeated texts.

    None where predictions are missing or none of the tested texts is repeated.
    """
    complete = classifications(last_levels(runs), dataset)
    rest = classifications(last_levels(runs), dataset, repeated)
    if complete is None or rest is None or len(rest.gold) == len(complete.gold):
        return None
    e = estimate([bootstrap(rest, resamples, seed_of(dataset))])
    value = float(np.mean(complete.observed_scores()))
    return [
        str(len(complete.gold)),
        f"{value:.2f}",
        str(e.n),
        f"{e.value:.2f}",
        f"{e.low:.2f}",
        f"{e.high:.2f}",
    ]
