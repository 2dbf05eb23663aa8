"""Results: one row a number, kept as JSON lines; tables are made from rows and nothing else.

Each stored row carries the CRC of its content; one that differs is refused. Other kinds of rows, each in a
file of its own, are kept the same way: `read_rows`, `write_rows`.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from gsa.atomic_io import write_atomic
from gsa.errors import InputError

FILE, CRC = "results.jsonl", "crc32"
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Result:
    """One measured number."""

    run: str
    seed: int
    level: int
    """Links merged: 0 is the untuned model; -1 a majority baseline, which has no model."""
    dataset: str
    split: str
    metric: str
    value: float
    """Percent."""
    n: int
    """Examples it is taken over."""


def read(root: Path) -> list[Result]:
    """Return a run's rows; raises InputError at a line that is not one, or not as it was stored."""
    remedy = "without the file, gsa eval makes its rows anew from the predictions"
    return read_rows(root / FILE, _result, remedy)


def _result(content: dict[str, Any]) -> Result:
    row = Result(**content)
    if not (isinstance(row.value, int | float) and isinstance(row.level, int) and isinstance(row.n, int)):
        raise TypeError("value, level or n is no number")
    return row


def add(root: Path, rows: Sequence[Result]) -> None:
    """Store rows, each in place of an earlier one of the same level, dataset, split and metric."""
    kept = {_key(row): row for row in [*read(root), *rows]}
    write_rows(root / FILE, [asdict(row) for row in kept.values()])


def read_rows(file: Path, made: Callable[[dict[str, Any]], Kind], remedy: str) -> list[Kind]:
    """Return what `made` makes of each line, none if there is no file.

    Raises InputError, which ends with the remedy, at a line that `made` refuses with a ValueError or
    TypeError, or that is not as it was stored.
    """
    rows = []
    for number, line in enumerate(file.read_bytes().splitlines() if file.is_file() else [], 1):
        try:
            content = json.loads(line)
            if CRC in content and content.pop(CRC) != _crc(content):
                raise ValueError("its checksum differs")
            rows.append(made(content))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{file} line {number}: not a result row: {error}; {remedy}") from None
    return rows


def write_rows(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Store rows, each with the CRC of its content, in place of the file."""
    write_atomic(file, "".join(json.dumps({**content, CRC: _crc(content)}) + "\n" for content in rows))


def _crc(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _key(row: Result) -> tuple[object, ...]:
    return row.run, row.seed, row.level, row.dataset, row.split, row.metric


def forgetting_matrix(
    rows: Sequence[Result], mains: dict[str, str], names: dict[int, str]
) -> list[list[str]]:
    """Return the table of every dataset's main metric after every level, header first.

    `mains` maps datasets to their main metric, `names` levels to their titles; a cell is empty where
    nothing was measured.
    """
    found = {(row.dataset, row.level): row for row in rows if row.metric == mains.get(row.dataset)}
    table = [["dataset", "metric", "n", *names.values()]]
    for dataset, metric in mains.items():
        cells = [found.get((dataset, level)) for level in names]
        n = max((cell.n for cell in cells if cell), default=0)
        table.append([dataset, metric, str(n), *(_cell(cell, n) for cell in cells)])
    return table


def _cell(row: Result | None, n: int) -> str:
    if row is None:
        return ""
    return f"{row.value:.1f}" + ("" if row.n == n else f" (n={row.n})")
