"""The claim of the paper's figure 3, that sentiment's subtasks have similar gradients: rows in, tables out.

Rows are made by `probing` and kept as `similarity.jsonl` beside a run's results; tables and matrices are
made of rows alone. Imports no torch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsa.evaluation.results import read_rows, write_rows
from gsa.report.measured_run import Run
from gsa.report.tables import Arms, Table, title_of

FILE = "similarity.jsonl"
GRADIENT, LINK = "gradient", "link"
GOLD, SHUFFLED = "gold", "shuffled"
OWN_LOSS = "recipe"
COSINE, CORRECTED, HALVES = "cosine", "corrected", "halves"
TELLING = 0.3
"""Cosine of a dataset's halves below which its gradient is mostly noise."""
COLUMNS, ROWS, COLUMN_ANGLE, ROW_ANGLE, UPDATE = "columns", "rows", "column angle", "row angle", "update"


@dataclass(frozen=True, order=True)
class At:
    """Where and how gradients are taken."""

    level: int
    loss: str
    part: str

    @property
    def how(self) -> str:
        """What a title says of the loss and the labels."""
        loss = "the recipe's losses" if self.loss == OWN_LOSS else f"loss '{self.loss}'"
        return loss + (", labels shuffled" if self.part == SHUFFLED else "")

    @property
    def file(self) -> str:
        """The end of a file's name."""
        return f"level-{self.level}-{self.loss}-{self.part}"


@dataclass(frozen=True)
class Similarity:
    """How alike two directions are."""

    run: str
    seed: int
    level: int
    """Links merged where the gradients are taken; 0 for links."""
    kind: str
    """`gradient` of two datasets, or `link`: two links' updates."""
    loss: str
    """Gradients: `recipe` (each dataset with that of its level), `answer` or `labels`; empty for links."""
    first: str
    second: str
    part: str
    """Gradients: of the `gold` labels, or of the same labels `shuffled`. Links: the target layers' name."""
    measure: str
    """Gradients: `cosine`, `corrected` for noise, or of two `halves` of one dataset. Links: `columns` and
    `rows` (mean squared cosine of principal angles), their smallest angles in degrees, or the Frobenius
    cosine of the `update`."""
    value: float | None
    """None where noise, or a link of zeros, leaves nothing to say."""
    error: float | None
    """Gradients: standard error of `corrected`. Links: standard deviation over layers."""
    chance: float
    """What independent directions give on average."""
    n: int
    """Examples a dataset, the smaller number of two; or layers."""


def read(root: Path) -> list[Similarity]:
    """Return a run's rows, none if there are none; raises InputError for a damaged line."""
    return read_rows(root / FILE, _made, "without the file, gsa similarity makes its rows anew")


def _made(content: dict[str, Any]) -> Similarity:
    row = Similarity(**content)
    numbers = (row.level, row.chance, row.n, row.value or 0.0, row.error or 0.0)
    if not all(isinstance(each, int | float) for each in numbers):
        raise TypeError("level, value, error, chance or n is no number")
    return row


def add(root: Path, rows: Iterable[Similarity]) -> None:
    """Store rows, each in place of an earlier one of the same two directions."""
    kept = {key(row): row for row in [*read(root), *rows]}
    write_rows(root / FILE, [asdict(row) for row in kept.values()])


def key(row: Similarity) -> tuple[object, ...]:
    """Return what a row is about: two rows of one key do not stand beside each other."""
    return row.run, row.seed, row.level, row.kind, row.loss, row.first, row.second, row.part, row.measure


def tables(arms: Arms) -> list[Table]:
    """Return the tables of all arms that have rows."""
    made = []
    for arm, runs in arms.items():
        rows = rows_of(runs)
        made += [gradient_table(arm, runs, rows)] if gradients(rows) else []
        made += [link_table(arm, rows)] if any(row.kind == LINK for row in rows) else []
    return made


def rows_of(runs: Sequence[Run]) -> list[Similarity]:
    """Return the rows that lie beside the results of an arm's runs, those of the runs alone."""
    return [
        row
        for run in runs
        for row in read(run.root)
        if run.recipe and (row.run, row.seed) == (run.recipe.name, run.seed)
    ]


def mean(rows: Iterable[Similarity], **wanted: object) -> float | None:
    """Return the mean value over seeds of the rows whose fields are those wanted; None if one is None."""
    found = [row.value for row in rows if all(getattr(row, key) == each for key, each in wanted.items())]
    values = [value for value in found if value is not None]
    return float(np.mean(values)) if values and len(values) == len(found) else None


def gradients(rows: Sequence[Similarity]) -> list[At]:
    """Return where gradients were taken, untuned first."""
    return sorted({At(row.level, row.loss, row.part) for row in rows if row.kind == GRADIENT})


def _of(rows: Sequence[Similarity], at: At) -> list[Similarity]:
    return [row for row in rows if row.kind == GRADIENT and At(row.level, row.loss, row.part) == at]


def matrix(rows: Sequence[Similarity], at: At) -> tuple[list[str], NDArray[np.float64]]:
    """Return datasets and their cosines (datasets, datasets); nan where there is nothing to say.

    Below the diagonal as they are, above it corrected for noise, on it two halves of one dataset.
    """
    mine = _of(rows, at)
    names = list(dict.fromkeys(row.first for row in mine if row.measure == HALVES))
    values = np.full((len(names), len(names)), np.nan)
    for i, first in enumerate(names):
        values[i, i] = _number(mean(mine, first=first, measure=HALVES))
        for j in range(i + 1, len(names)):
            pair = {"first": first, "second": names[j]}
            values[j, i] = _number(mean(mine, **pair, measure=COSINE))
            values[i, j] = _number(mean(mine, **pair, measure=CORRECTED))
    return names, values


def blank_noise(values: NDArray[np.float64]) -> None:
    """Make the corrected cosines of a matrix nan, in place, where a dataset's own halves hardly agree."""
    noisy = ~(np.diag(values) >= TELLING)
    above = np.triu(np.ones(values.shape, dtype=bool), 1)
    values[above & (noisy[:, None] | noisy[None, :])] = np.nan


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def shown(rows: Sequence[Similarity]) -> list[tuple[str, list[list[str]]]]:
    """Return the matrices of one run's rows, each with its title and a header."""
    found = []
    for at in gradients(rows):
        names, values = matrix(rows, at)
        title = f"Cosines of gradients at level {at.level}, {at.how}: below as measured, above corrected"
        found.append((title, _named(names, names, values)))
    pairs, parts, values = link_matrix(rows)
    if pairs:
        found.append(("Subspaces that the links' updates share, times chance", _named(pairs, parts, values)))
    return found


def _named(rows: Sequence[str], columns: Sequence[str], values: NDArray[np.float64]) -> list[list[str]]:
    lines = [[name, *("" if np.isnan(v) else f"{v:.2f}" for v in line)]
             for name, line in zip(rows, values, strict=True)]  # fmt: skip
    return [["", *columns], *lines]


def gradient_table(arm: str, runs: Sequence[Run], rows: Sequence[Similarity]) -> Table:
    """Return each pair of datasets with its cosines at each level."""
    lines = []
    for at in gradients(rows):
        mine = _of(rows, at)
        ceilings = {row.first: mean(mine, first=row.first, measure=HALVES) for row in mine}
        for first, second in dict.fromkeys((row.first, row.second) for row in mine):
            if first == second:
                continue
            pair = [row for row in mine if (row.first, row.second) == (first, second)]
            errors = [row.error for row in pair if row.error is not None]
            error = float(np.sqrt(np.sum(np.square(errors)))) / len(errors) if errors else None
            numbers = (mean(pair, measure=COSINE), ceilings[first], ceilings[second],
                       mean(pair, measure=CORRECTED), error)  # fmt: skip
            lines.append([runs[0].title(at.level), at.loss, at.part, title_of(first), title_of(second),
                          *map(_cell, numbers), str(min(row.n for row in pair))])  # fmt: skip
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
    """Return each pair of links with the likeness of their updates, beside chance."""
    mine = [row for row in rows if row.kind == LINK]
    lines = []
    for first, second, part in dict.fromkeys((row.first, row.second, row.part) for row in mine):
        pair = [row for row in mine if (row.first, row.second, row.part) == (first, second, part)]
        cells = [_beside(pair, measure) for measure in (COLUMNS, ROWS)]
        cells += [_beside(pair, measure, 1) for measure in (COLUMN_ANGLE, ROW_ANGLE)]
        update = [row for row in pair if row.measure == UPDATE]
        cells.append(
            _cell(mean(update)) + "".join(f" (sd {row.error:.3f})" for row in update[:1] if row.error)
        )
        lines.append([first, second, part, *cells, str(min(row.n for row in pair))])
    notes = (
        "Mean over layers; in brackets what random subspaces of the same rank and dimension give. Shared: "
        "mean squared cosine of the principal angles, of what the updates write (columns, B) and of what "
        "they read (rows, A). Angles: the smallest, degrees. Update: Frobenius cosine of the products B A, "
        "0 by chance, with its standard deviation over layers.",
    )
    header = ("link", "other", "layers", "columns shared", "rows shared", "column angle", "row angle",
              "update", "n")  # fmt: skip
    return Table(f"links-{arm}", f"Updates of the links, {arm}", header, lines, notes)


def link_matrix(rows: Sequence[Similarity]) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return pairs of links, and target layers twice, with how often chance the subspaces share.

    Values (pairs, 2 * targets), columns (B) first, then rows (A); 1 is chance.
    """
    mine = [row for row in rows if row.kind == LINK]
    pairs = list(dict.fromkeys((row.first, row.second) for row in mine))
    parts = list(dict.fromkeys((measure, row.part) for measure in (COLUMNS, ROWS) for row in mine))
    values = np.full((len(pairs), len(parts)), np.nan)
    for i, (first, second) in enumerate(pairs):
        for j, (measure, part) in enumerate(parts):
            wanted = {"first": first, "second": second, "measure": measure, "part": part}
            chance = [row.chance for row in mine if (row.first, row.second, row.measure, row.part)
                      == (first, second, measure, part)]  # fmt: skip
            value = mean(mine, **wanted)
            values[i, j] = np.nan if value is None else value / float(np.mean(chance))
    return [f"{a} and {b}" for a, b in pairs], [f"{part} {measure}" for measure, part in parts], values


def _beside(rows: Sequence[Similarity], measure: str, digits: int = 3) -> str:
    mine = [row for row in rows if row.measure == measure]
    value = mean(mine)
    return "" if value is None else f"{value:.{digits}f} ({np.mean([r.chance for r in mine]):.{digits}f})"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
