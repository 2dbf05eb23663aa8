"""Report of the study: measured runs in, tables and heat maps out. Imports no torch.

out/report.md, out/tables/*.csv, out/figures/*.png
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gradient_similarity.rows import (
    COLUMN_ANGLE,
    COLUMNS,
    CORRECTED,
    COSINE,
    HALVES,
    LINK,
    ROW_ANGLE,
    ROWS,
    UPDATE,
    Condition,
    Similarity,
    conditions,
    mean,
    read,
    select,
)
from gsa.atomic_io import atomic_path
from gsa.errors import InputError
from gsa.report.figures import heat_map
from gsa.report.measured_run import MeasuredRun
from gsa.report.report import check_folder, file_name, sections, write_pages
from gsa.report.runs import by_arm, read_runs
from gsa.report.tables import Table, title_of

Numbers = NDArray[np.float64]
MIN_HALVES = 0.3
"""Cosine of a dataset's halves below which its gradient is mostly noise."""


def make_report(folders: Sequence[Path], out: Path) -> list[Path]:
    """Write the report of results folders to `out`, in place of an earlier one; return its files.

    Raises InputError where no run has rows, for damaged rows, and for an `out` that holds something else.
    """
    check_folder(out)
    tables: list[Table] = []
    figures: list[tuple[str, str]] = []
    with atomic_path(out) as draft:
        for arm, runs in by_arm(read_runs(folders)).items():
            rows = rows_of(runs)
            if conditions(rows):
                tables.append(gradient_table(arm, runs, rows))
            if select(rows, kind=LINK):
                tables.append(link_table(arm, rows))
            figures += _draw(arm, runs, rows, draft / "figures")
        if not tables:
            raise InputError(
                f"{', '.join(map(str, folders))}: no rows of similarity.jsonl: measure a run first"
            )
        title = "# Similarity of gradients and of links' updates\n"
        write_pages(draft, "\n".join([title, *sections(tables, figures)]), tables)
    return sorted(file for file in out.rglob("*") if file.is_file())


def rows_of(runs: Sequence[MeasuredRun]) -> list[Similarity]:
    """Return the rows that lie beside the results of an arm's runs, those of the runs alone."""
    return [
        row
        for run in runs
        for row in read(run.root)
        if run.recipe and (row.run, row.seed) == (run.recipe.name, run.seed)
    ]


def gradient_matrix(rows: Sequence[Similarity], condition: Condition) -> tuple[list[str], Numbers]:
    """Return datasets and their cosines (datasets, datasets); nan where noise hides one.

    Below the diagonal as measured, above it corrected for noise, on it two halves of one dataset.
    """
    rows = [row for row in rows if row.condition == condition and row.kind != LINK]
    names = list(dict.fromkeys(row.first for row in select(rows, measure=HALVES)))
    values = np.full((len(names), len(names)), np.nan)
    for i, first in enumerate(names):
        values[i, i] = _number(mean(rows, first=first, measure=HALVES))
        for j in range(i + 1, len(names)):
            pair = {"first": first, "second": names[j]}
            values[j, i] = _number(mean(rows, **pair, measure=COSINE))
            values[i, j] = _number(mean(rows, **pair, measure=CORRECTED))
    return names, values


def blank_noise(values: Numbers) -> None:
    """Set the corrected cosines of a matrix to nan, in place, where a dataset's own halves hardly agree."""
    noisy = ~(np.diag(values) >= MIN_HALVES)
    above = np.triu(np.ones(values.shape, dtype=bool), 1)
    values[above & (noisy[:, None] | noisy[None, :])] = np.nan


def link_matrix(rows: Sequence[Similarity]) -> tuple[list[str], list[str], Numbers]:
    """Return pairs of links, target layers, and the overlap of subspaces as a multiple of chance.

    Values (pairs, 2 * targets): columns (B) first, then rows (A).
    """
    rows = select(rows, kind=LINK)
    pairs = list(dict.fromkeys((row.first, row.second) for row in rows))
    targets = list(dict.fromkeys((measure, row.part) for measure in (COLUMNS, ROWS) for row in rows))
    values = np.full((len(pairs), len(targets)), np.nan)
    for i, (first, second) in enumerate(pairs):
        for j, (measure, part) in enumerate(targets):
            cell = select(rows, first=first, second=second, measure=measure, part=part)
            value = mean(cell)
            values[i, j] = np.nan if value is None else value / float(np.mean([row.chance for row in cell]))
    return [f"{a} and {b}" for a, b in pairs], [f"{part} {measure}" for measure, part in targets], values


def text_matrices(rows: Sequence[Similarity]) -> list[tuple[str, list[list[str]]]]:
    """Return the matrices of one run's rows, each with its title and a header."""
    matrices = []
    for condition in conditions(rows):
        names, values = gradient_matrix(rows, condition)
        where = f"at level {condition.level}, {condition.description}"
        title = f"Cosines of gradients {where}: below as measured, above corrected"
        matrices.append((title, _with_names(names, names, values)))
    pairs, targets, values = link_matrix(rows)
    if pairs:
        title = "Subspaces that the links' updates share, times chance"
        matrices.append((title, _with_names(pairs, targets, values)))
    return matrices


def _with_names(rows: Sequence[str], columns: Sequence[str], values: Numbers) -> list[list[str]]:
    lines = [[name, *("" if np.isnan(v) else f"{v:.2f}" for v in line)]
             for name, line in zip(rows, values, strict=True)]  # fmt: skip
    return [["", *columns], *lines]


def gradient_table(arm: str, runs: Sequence[MeasuredRun], rows: Sequence[Similarity]) -> Table:
    """Return each pair of datasets with its cosines under each condition."""
    lines = []
    for condition in conditions(rows):
        rows_at = [row for row in rows if row.condition == condition and row.kind != LINK]
        ceilings = {row.first: mean(rows_at, first=row.first, measure=HALVES) for row in rows_at}
        for first, second in dict.fromkeys((row.first, row.second) for row in rows_at):
            if first == second:
                continue
            pair = select(rows_at, first=first, second=second)
            errors = [row.error for row in pair if row.error is not None]
            error = float(np.sqrt(np.sum(np.square(errors)))) / len(errors) if errors else None
            numbers = (mean(pair, measure=COSINE), ceilings[first], ceilings[second],
                       mean(pair, measure=CORRECTED), error)  # fmt: skip
            lines.append([runs[0].level_title(condition.level), condition.loss, condition.part,
                          title_of(first), title_of(second), *map(_cell, numbers),
                          str(min(row.n for row in pair))])  # fmt: skip
    notes = (
        "Cosines of the mean gradients that a fresh link would get, on training examples, averaged over "
        "draws of its A. Halves: two disjoint halves of one dataset, as alike as samples of half this size "
        "are. Corrected: without the noise of samples, with its standard error over dialogues. Labels "
        "shuffled: the same texts, their labels dealt out anew, which leaves the format and the labels' "
        "frequencies.",
    )
    header = ("model", "loss", "labels", "dataset", "other", "cosine", "halves", "halves of other",
              "corrected", "standard error", "n")  # fmt: skip
    return Table(f"similarity-{arm}", f"Figure 3: gradients of the subtasks, {arm}", header, lines, notes)


def link_table(arm: str, rows: Sequence[Similarity]) -> Table:
    """Return each pair of links with the similarity of their updates, and its value by chance."""
    lines = []
    rows = select(rows, kind=LINK)
    for first, second, part in dict.fromkeys((row.first, row.second, row.part) for row in rows):
        pair = select(rows, first=first, second=second, part=part)
        cells = [_with_chance(pair, measure) for measure in (COLUMNS, ROWS)]
        cells += [_with_chance(pair, measure, 1) for measure in (COLUMN_ANGLE, ROW_ANGLE)]
        update = select(pair, measure=UPDATE)
        deviation = "".join(f" (sd {row.error:.3f})" for row in update[:1] if row.error)
        lines.append([first, second, part, *cells, _cell(mean(update)) + deviation,
                      str(min(row.n for row in pair))])  # fmt: skip
    notes = (
        "Mean over layers; in brackets what random subspaces of the same rank and dimension give. Shared: "
        "mean squared cosine of the principal angles, of what the updates write (columns, B) and of what "
        "they read (rows, A). Angles: the smallest, degrees. Update: Frobenius cosine of the products B A, "
        "0 by chance, with its standard deviation over layers.",
    )
    header = ("link", "other", "layers", "columns shared", "rows shared", "column angle", "row angle",
              "update", "n")  # fmt: skip
    return Table(f"links-{arm}", f"Updates of the links, {arm}", header, lines, notes)


def _draw(
    arm: str, runs: Sequence[MeasuredRun], rows: Sequence[Similarity], folder: Path
) -> list[tuple[str, str]]:
    """Draw the cosines under each condition and the links' overlaps; return titles and file names."""
    drawn = []
    for condition in conditions(rows):
        names, values = gradient_matrix(rows, condition)
        titles = [title_of(name) for name in names]
        blank_noise(values)
        where = f"{runs[0].level_title(condition.level)}, {condition.description}"
        title = f"Cosine of the subtasks' gradients: {arm}, {where}"
        caption = (
            "below: as measured; diagonal: two halves of one dataset; above: corrected for noise, white "
            f"where a dataset's halves agree at less than {MIN_HALVES:g}"
        )
        drawn.append((title, f"similarity-{file_name(arm)}-{condition.file_suffix}.png"))
        path = folder / drawn[-1][1]
        heat_map(titles, titles, values, f"{title}\n{caption}", path, (-1.0, 1.0), 2)
    pairs, targets, values = link_matrix(rows)
    if pairs:
        title = f"Subspaces that the links' updates share, times chance: {arm}"
        drawn.append((title, f"links-{file_name(arm)}.png"))
        top = max(2.0, float(np.nanmax(values, initial=0.0)))
        heat_map(pairs, targets, values, title, folder / drawn[-1][1], (0.0, top))
    return drawn


def _with_chance(rows: Sequence[Similarity], measure: str, digits: int = 3) -> str:
    measured = select(rows, measure=measure)
    value, chance = mean(measured), np.mean([row.chance for row in measured]) if measured else 0.0
    return "" if value is None else f"{value:.{digits}f} ({chance:.{digits}f})"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
