"""Forgetting: one arm in, its matrix of datasets by levels with backward transfer out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gsa.evaluation.metrics import measure
from gsa.report.comparison import difference, last_levels
from gsa.report.measured_run import MeasuredRun
from gsa.report.runs import common_answers
from gsa.report.significance import RESAMPLES, Bootstrap, estimate
from gsa.report.tables import Table, format_cells, largest_n, main_rows, title_of


def forgetting_table(arm: str, runs: Sequence[MeasuredRun], resamples: int = RESAMPLES) -> Table:
    """Return every dataset after every level, with backward transfer: the last level minus its own.

    Transfer is taken over the examples that both levels answered, so a sample is compared with itself.
    """
    levels = sorted({row.level for run in runs for row in run.rows})
    names = runs[0].datasets
    learned = {name: runs[0].learned_at(name) or 0 for name in names}
    earlier = {name: level for name, level in learned.items() if 0 < level < runs[0].last}
    transfers = {
        name: difference(last_levels(runs), [(run, level) for run in runs], name, resamples)
        for name, level in earlier.items()
    }
    rows = []
    for name, n in zip(names, largest_n({arm: runs}, names), strict=True):
        cells = [format_cells([main_rows(runs, name, level)], [n])[0] for level in levels]
        transfer = _format([transfers[name]] if name in transfers else [])
        rows.append([title_of(name), runs[0].metric(name), f"{n:,}", *cells, *transfer])
    average = _format(list(transfers.values()))
    if None in transfers.values():
        average = [_transfer_of_rows(runs, earlier), "", ""]
    rows.append(["backward transfer", "", "", *("" for _ in levels), *average])
    header = ("dataset", "metric", "n", *map(runs[0].level_title, levels), "backward transfer",
              "95% interval", "n of both")  # fmt: skip
    return Table(f"forgetting-{arm}", f"Forgetting: {arm}", header, rows)


def _format(parts: Sequence[Bootstrap | None]) -> list[str]:
    """Return the cells of a mean of differences, empty where there are none."""
    present = [part for part in parts if part is not None]
    if not present:
        return ["", "", ""]
    e = estimate(present)
    return [f"{e.value:+.2f}", f"{e.low:+.2f} to {e.high:+.2f}", f"{e.n:,}"]


def _transfer_of_rows(runs: Sequence[MeasuredRun], earlier: dict[str, int]) -> str:
    """Return backward transfer from the rows alone, for runs without all predictions."""
    changes = []
    for name, level in earlier.items():
        before, after = main_rows(runs, name, level), main_rows(runs, name)
        if not len(before) == len(after) == len(runs):
            return ""
        changes.append(np.mean([row.value for row in after]) - np.mean([row.value for row in before]))
    return f"{np.mean(changes):+.2f} (of rows)"


def scores_by_level(
    runs: Sequence[MeasuredRun], dataset: str, levels: Sequence[int]
) -> tuple[dict[int, list[float]], int]:
    """Return the main metric by level, one value per run, and n, over the examples that all levels answered.

    Levels in between are measured on samples, and of several folds on the first alone; rows are used where
    predictions are missing. n is 0 where it differs between levels or runs.
    """
    scores: dict[int, list[float]] = {level: [] for level in levels}
    sizes = set()
    for run in runs:
        measured = [level for level in levels if main_rows([run], dataset, level)]
        complete = all(run.predictions(level, dataset) for level in measured)
        source = run if complete or not run.folds else run.folds[0]
        answers = common_answers([(source, level) for level in measured], dataset)
        metric = run.metric(dataset)
        for position, level in enumerate(measured):
            (row,) = main_rows([run], dataset, level)
            value, n = measure(answers[position], [metric])[metric] if answers else (row.value, row.n)
            scores[level].append(value)
            sizes.add(n)
    return scores, sizes.pop() if len(sizes) == 1 else 0


def forgetting_matrix(runs: Sequence[MeasuredRun]) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return titles of datasets and of levels (without majority), and the mean scores, nan where missing.

    A dataset's scores are over the examples that every level answered; its title gives their number.
    """
    levels = sorted({row.level for run in runs for row in run.rows if row.level >= 0})
    titles, values = [], []
    for name in runs[0].datasets:
        scores, n = scores_by_level(runs, name, levels)
        titles.append(title_of(name) + (f" (n = {n:,})" if n else ""))
        values.append([float(np.mean(cell)) if cell else float("nan") for cell in scores.values()])
    return titles, [runs[0].level_title(level) for level in levels], np.asarray(values)
