"""What runs answer to the paper's two case studies (table 6): rows of `asking` in, a table out.

Rows are kept as `cases.jsonl` beside a run's results, with probabilities and no texts. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gsa.evaluation.results import read_rows, write_rows
from gsa.report.tables import Arms, Table

FILE = "cases.jsonl"


@dataclass(frozen=True)
class Asked:
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
    def answer(self) -> str:
        """The likeliest label."""
        return max(self.probabilities, key=lambda label: self.probabilities[label])


def read(root: Path) -> list[Asked]:
    """Return the rows that are stored with a run, none if there are none; raises InputError for a bad one."""
    return read_rows(root / FILE, _made, "without the file, gsa cases makes its rows anew")


def _made(content: dict[str, Any]) -> Asked:
    row = Asked(**content)
    if not row.probabilities or not all(isinstance(p, int | float) for p in row.probabilities.values()):
        raise TypeError("probabilities are no numbers")
    return row


def lines(rows: Sequence[Asked]) -> list[str]:
    """Return a line a row, for people."""
    return [
        f"level {row.level}  {row.dataset} {row.id} ({row.gold}): {row.answer} "
        f"{row.probabilities[row.answer]:.2f}, {'right' if row.answer == row.gold else 'wrong'}"
        for row in rows
    ]


def store(root: Path, rows: Sequence[Asked]) -> None:
    """Store a run's rows in place of earlier ones."""
    write_rows(root / FILE, [asdict(row) for row in rows])


def table(arms: Arms) -> Table:
    """Return what every level of every arm answers to the paper's two cases, seeds together."""
    rows = []
    for arm, runs in arms.items():
        found = [row for run in runs for row in read(run.root)]
        for level in sorted({row.level for row in found}):
            mine = [row for row in found if row.level == level]
            for dataset, id in dict.fromkeys((row.dataset, row.id) for row in mine):
                each = [row for row in mine if (row.dataset, row.id) == (dataset, id)]
                right = sum(row.answer == row.gold for row in each)
                sure = np.mean([row.probabilities.get(row.gold, 0.0) for row in each])
                rows.append([arm, runs[0].title(level), f"{dataset} {id}", each[0].gold,
                             f"{right} of {len(each)}", f"{sure:.2f}"])  # fmt: skip
    header = ("arm", "level", "case", "gold", "seeds that are right", "mean probability of gold")
    notes = (
        "The paper gives two cases, one model each. Its first is an example of MOSI that the standard "
        "division trains on, so the datasets' own level has read it. Its second is in no dataset; in its "
        "place stands a conversation of our own: no irony, with a bad word and a good one about two sides of "
        "a thing. One example says nothing of which strategy is better.",
    )
    return Table("papers-cases", "The paper's two cases, asked here", header, rows, notes)
