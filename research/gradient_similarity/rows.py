"""Rows of measured similarities, kept as `similarity.jsonl` beside a run's results. Imports no torch."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gsa.evaluation.results import read_rows, write_rows

FILE = "similarity.jsonl"
GRADIENT, LINK = "gradient", "link"
GOLD, SHUFFLED = "gold", "shuffled"
RECIPE_LOSS = "recipe"
COSINE, CORRECTED, HALVES = "cosine", "corrected", "halves"
COLUMNS, ROWS, COLUMN_ANGLE, ROW_ANGLE, UPDATE = "columns", "rows", "column angle", "row angle", "update"


@dataclass(frozen=True, order=True)
class Condition:
    """The model, loss and labels that gradients are taken with."""

    level: int
    loss: str
    part: str

    @property
    def description(self) -> str:
        """Loss and labels in words."""
        loss = "the recipe's losses" if self.loss == RECIPE_LOSS else f"loss '{self.loss}'"
        return loss + (", labels shuffled" if self.part == SHUFFLED else "")

    @property
    def file_suffix(self) -> str:
        """The end of a file's name."""
        return f"level-{self.level}-{self.loss}-{self.part}"


@dataclass(frozen=True)
class Similarity:
    """How similar two directions are."""

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
    """None where noise hides it, or a link is zero."""
    error: float | None
    """Gradients: standard error of `corrected`. Links: standard deviation over layers."""
    chance: float
    """The mean for independent directions."""
    n: int
    """Examples per dataset, the smaller number of two; or layers."""

    @property
    def key(self) -> tuple[object, ...]:
        """What a row is about; a row replaces an earlier one with the same key."""
        return (self.run, self.seed, self.level, self.kind, self.loss, self.first, self.second, self.part,
                self.measure)  # fmt: skip

    @property
    def condition(self) -> Condition:
        """The condition of a gradient."""
        return Condition(self.level, self.loss, self.part)


def read(root: Path) -> list[Similarity]:
    """Return a run's rows, none if there are none; raises InputError for a damaged line."""
    return read_rows(
        root / FILE, _parse, "without the file, `gradient_similarity measure` makes its rows anew"
    )


def _parse(content: dict[str, Any]) -> Similarity:
    row = Similarity(**content)
    numbers = (row.level, row.chance, row.n, row.value or 0.0, row.error or 0.0)
    if not all(isinstance(number, int | float) for number in numbers):
        raise TypeError("level, value, error, chance or n is not a number")
    return row


def add(root: Path, rows: Iterable[Similarity]) -> None:
    """Store rows, each in place of an earlier one with the same key."""
    by_key = {row.key: row for row in [*read(root), *rows]}
    write_rows(root / FILE, [asdict(row) for row in by_key.values()])


def select(rows: Iterable[Similarity], **fields: object) -> list[Similarity]:
    """Return the rows that have these values."""
    return [row for row in rows if all(getattr(row, key) == value for key, value in fields.items())]


def mean(rows: Iterable[Similarity], **fields: object) -> float | None:
    """Return the mean value over seeds of the rows with these fields; None if one is None."""
    values = [row.value for row in select(rows, **fields)]
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present and len(present) == len(values) else None


def conditions(rows: Sequence[Similarity]) -> list[Condition]:
    """Return the conditions of the gradients, untuned first."""
    return sorted({row.condition for row in rows if row.kind == GRADIENT})
