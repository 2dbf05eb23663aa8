"""Scores without the test texts that an arm read in training: arms and a file of overlaps in, a table out."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from gsa.datasets.overlaps import Overlaps
from gsa.errors import InputError
from gsa.report.comparison import classes_of, last
from gsa.report.measured_run import Run, main_metric
from gsa.report.significance import Estimate, estimate, scored
from gsa.report.tables import Arms, Table

HEADER = ("arm", "dataset", "repeats texts of", "n", "value", "n without", "value without", "low", "high")


def read(file: Path) -> Overlaps:
    """Return the overlaps that a file of `gsa data overlaps` holds; raises InputError if it is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(tested): {str(other): list(map(str, ids)) for other, ids in trained.items()}
            for tested, trained in found.items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"'{file}': expected a file of `gsa data overlaps --out`: {type(error).__name__} {error}"
        ) from None


def table(arms: Arms, overlaps: Overlaps, resamples: int) -> Table:
    """Return each arm's main scores with and without repeated texts, for datasets that have some.

    Repeated are texts in the training set of any other dataset that the arm was tuned on.
    """
    rows = []
    for arm, runs in arms.items():
        for name in runs[0].datasets:
            read_of = sorted(other for other in overlaps.get(name, {}) if other in runs[0].sources)
            out = {id for other in read_of for id in overlaps[name][other]}
            every, kept = _score(runs, name, set(), resamples), _score(runs, name, out, resamples)
            if out and every and kept and kept.n < every.n:
                rows.append([arm, name, ", ".join(read_of), str(every.n), f"{every.value:.2f}", str(kept.n),
                             f"{kept.value:.2f}", f"{kept.low:.2f}", f"{kept.high:.2f}"])  # fmt: skip
    note = (
        "Texts of five or more words that are, but for case and punctuation, in the training set of another "
        "dataset that the arm was tuned on. 95% interval of the score without them."
    )
    return Table("unrepeated", "Without repeated texts", HEADER, rows, (note,))


def _score(runs: Sequence[Run], name: str, out: set[str], resamples: int) -> Estimate | None:
    """Return the last level's main score on the examples that are not in `out`; None without predictions."""
    found = classes_of(last(runs), name, out)
    if found is None:
        return None
    metric, seed = main_metric(name, runs[0].sources.get(name)), zlib.crc32(name.encode())
    parts = found.gold, found.said, found.labels, metric, resamples, seed, found.dialogues
    return estimate([scored(*parts)])
