"""Forgetting: one arm in, its matrix of datasets by levels with backward transfer out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gsa.evaluation.metrics import measure
from gsa.report.comparison import difference, last
from gsa.report.measured_run import Run, main_metric
from gsa.report.runs import common
from gsa.report.significance import RESAMPLES, Sampled, backward_transfer, estimate
from gsa.report.tables import Table, cells_of, most_examples, rows_at, title_of


def forgetting(arm: str, runs: Sequence[Run], resamples: int = RESAMPLES) -> Table:
    """Return every dataset after every level, with backward transfer: the last minus the one that learned it.

    Transfer is taken over the examples that both levels answered, so a sample stands against itself.
    """
    levels = sorted({row.level for run in runs for row in run.rows})
    names = runs[0].datasets
    largest = most_examples({arm: runs}, names)
    rows, parts, learned = [], [], {}
    for name, most in zip(names, largest, strict=True):
        cells = [cells_of([rows_at(runs, name, level)], [most])[0] for level in levels]
        level = runs[0].learned(name)
        found = None
        if level is not None and level < runs[0].last:
            learned[name] = level
            found = difference(last(runs), [(run, level) for run in runs], name, resamples)
        parts += [found] if found else []
        rows.append([title_of(name), main_metric(name, runs[0].sources.get(name)), f"{most:,}", *cells,
                     *_transfer([found] if found else [])])  # fmt: skip
    whole = _transfer(parts) if len(parts) == len(learned) else [_from_rows(runs, learned), "", ""]
    rows.append(["backward transfer", "", "", *("" for _ in levels), *whole])
    header = ("dataset", "metric", "n", *map(runs[0].title, levels), "backward transfer", "95% interval",
              "n of both")  # fmt: skip
    return Table(f"forgetting-{arm}", f"Forgetting: {arm}", header, rows)


def _transfer(parts: Sequence[Sampled]) -> list[str]:
    if not parts:
        return ["", "", ""]
    found = estimate(parts)
    return [f"{found.value:+.2f}", f"{found.low:+.2f} to {found.high:+.2f}", f"{found.n:,}"]


def _from_rows(runs: Sequence[Run], learned: dict[str, int]) -> str:
    """Return backward transfer of the rows alone, for runs whose predictions are not all there."""
    whole = [
        [[row.value for row in rows_at(runs, name, level)] for name in learned]
        for level in range(runs[0].last + 1)
    ]
    if not all(len(cell) == len(runs) for level in whole for cell in level):
        return ""
    scores = np.asarray([[np.mean(cell) for cell in level] for level in whole])
    return f"{backward_transfer(scores, list(learned.values())):+.2f} (of rows)"


def on_common(runs: Sequence[Run], dataset: str, levels: Sequence[int]) -> tuple[dict[int, list[float]], int]:
    """Return the main metric by level, a value a run, over the examples that all of its levels answered.

    Levels in between are measured on samples, and of several folds on the first alone; rows stand in where
    predictions are missing. With it comes the number of these examples, 0 where it is not one.
    """
    found: dict[int, list[float]] = {level: [] for level in levels}
    sizes = set()
    for run in runs:
        there = [level for level in levels if rows_at([run], dataset, level)]
        whole = all(run.predicted(level, dataset) for level in there)
        one = run if whole or not run.folds else run.folds[0]
        answers = common([(one, level) for level in there], dataset)
        metric = main_metric(dataset, run.sources.get(dataset))
        for number, level in enumerate(there):
            (row,) = rows_at([run], dataset, level)
            value, n = measure(answers[number], [metric])[metric] if answers else (row.value, row.n)
            found[level].append(value)
            sizes.add(n)
    return found, sizes.pop() if len(sizes) == 1 else 0


def matrix(runs: Sequence[Run]) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return titles of datasets and of levels (majority left out), and the mean scores, nan where none.

    A dataset's scores are over the examples that every level answered; its title says how many.
    """
    levels = sorted({row.level for run in runs for row in run.rows if row.level >= 0})
    titles, values = [], []
    for name in runs[0].datasets:
        found, n = on_common(runs, name, levels)
        titles.append(title_of(name) + (f" (n = {n:,})" if n else ""))
        values.append([float(np.mean(cell)) if cell else float("nan") for cell in found.values()])
    return titles, [runs[0].title(level) for level in levels], np.asarray(values)
