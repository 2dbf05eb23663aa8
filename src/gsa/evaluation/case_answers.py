"""What runs answer to the paper's two case studies (table 6): rows in a file of their own.

Rows are kept as `cases.jsonl` beside a run's results, with probabilities and without texts.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gsa.evaluation.results import read_rows, write_rows

FILE = "cases.jsonl"
CASE_IN_TRAINING = ("mosi", "I5y0__X72p0_10")
"""The paper's first case of table 6: its sentence is this example of MOSI's training split."""


@dataclass(frozen=True)
class CaseAnswer:
    """What one level of a run answers to one case."""

    run: str
    seed: int
    level: int
    dataset: str
    id: str
    gold: str
    probabilities: dict[str, float]
    """Of every label."""

    @property
    def predicted(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=lambda label: self.probabilities[label])


def read(root: Path) -> list[CaseAnswer]:
    """Return the rows stored with a run, none if there are none; raises InputError for a bad row."""
    return read_rows(root / FILE, _parse, "without the file, gsa cases makes its rows anew")


def _parse(content: dict[str, Any]) -> CaseAnswer:
    row = CaseAnswer(**content)
    if not row.probabilities or not all(isinstance(p, int | float) for p in row.probabilities.values()):
        raise TypeError("probabilities are not numbers")
    return row


def write(root: Path, rows: Sequence[CaseAnswer]) -> None:
    """Store a run's rows in place of earlier ones."""
    write_rows(root / FILE, [asdict(row) for row in rows])


def lines(rows: Sequence[CaseAnswer]) -> list[str]:
    """Return one line per row for the terminal."""
    return [
        f"level {row.level}  {row.dataset} {row.id} ({row.gold}): {row.predicted} "
        f"{row.probabilities[row.predicted]:.2f}, {'right' if row.predicted == row.gold else 'wrong'}"
        for row in rows
    ]
