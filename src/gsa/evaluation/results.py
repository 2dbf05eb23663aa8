"""Results: one row per measured number, kept as JSON lines; tables are made from rows alone.

Each stored row carries the CRC of its content, and a row that differs from it is refused. Other kinds of
rows, each in a file of its own, are kept the same way: `read_rows`, `write_rows`.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from gsa.atomic_io import write_atomic
from gsa.chain.run_folder import RunFolder
from gsa.errors import InputError
from gsa.evaluation.metrics import Answers, measure

FILE, CRC = RunFolder(Path()).results_file.name, "crc32"
SETTINGS = "chosen.json"
"""What a baseline was trained on, and the settings chosen on dev, by dataset."""
MAJORITY = -1
"""The level of rows of the majority baseline, which has no model."""
Row = TypeVar("Row")


@dataclass(frozen=True)
class Result:
    """One measured number."""

    run: str
    seed: int
    level: int
    """Links merged: 0 is the untuned model, `MAJORITY` the majority baseline."""
    dataset: str
    split: str
    metric: str
    value: float
    """Percent."""
    n: int
    """Examples it is taken over."""
    precision: str = "float32"
    """Of the weights."""


def results_of(answers: Answers, metrics: Sequence[str], **key: Any) -> list[Result]:
    """Return one row per metric; `key` is run, seed, level, dataset, split and precision."""
    return [
        Result(**key, metric=metric, value=round(value, 4), n=n)
        for metric, (value, n) in measure(answers, metrics).items()
    ]


def read(root: Path) -> list[Result]:
    """Return a run's rows; raises InputError at a line that is not a row, or not as it was stored."""
    remedy = "without the file, gsa eval makes its rows anew from the predictions"
    return read_rows(RunFolder(root).results_file, _result, remedy)


def _result(content: dict[str, Any]) -> Result:
    row = Result(**content)
    if not (isinstance(row.value, int | float) and isinstance(row.level, int) and isinstance(row.n, int)):
        raise TypeError("value, level or n is not a number")
    return row


def write(root: Path, rows: Iterable[Result]) -> None:
    """Store rows in place of all rows of a run."""
    write_rows(RunFolder(root).results_file, [asdict(row) for row in rows])


def add(root: Path, rows: Sequence[Result]) -> None:
    """Store rows; each replaces an earlier row of the same run, level, dataset, split and metric."""
    write(root, {key(row): row for row in [*read(root), *rows]}.values())


def read_rows(file: Path, parse: Callable[[dict[str, Any]], Row], remedy: str) -> list[Row]:
    """Return `parse` of each line; an empty list if there is no file.

    Raises InputError, which ends with the remedy, at a line that `parse` refuses with a ValueError or
    TypeError, or that is not as it was stored.
    """
    rows = []
    for number, line in enumerate(file.read_bytes().splitlines() if file.is_file() else [], 1):
        try:
            content = json.loads(line)
            if CRC in content and content.pop(CRC) != _crc(content):
                raise ValueError("its checksum differs")
            rows.append(parse(content))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{file} line {number}: not a result row: {error}; {remedy}") from None
    return rows


def write_rows(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Store rows, each with the CRC of its content, in place of the file."""
    write_atomic(file, "".join(json.dumps({**content, CRC: _crc(content)}) + "\n" for content in rows))


def to_json_lines(rows: Sequence[Result]) -> str:
    """Return rows as JSON lines, without checksums."""
    return "\n".join(json.dumps(asdict(row)) for row in rows)


def _crc(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def key(row: Result) -> tuple[object, ...]:
    """Return what a row is a result of; of two rows of one key the later one holds."""
    return row.run, row.seed, row.level, row.dataset, row.split, row.metric


def forgetting_matrix(
    rows: Sequence[Result], metrics: Mapping[str, str], titles: Mapping[int, str]
) -> list[list[str]]:
    """Return the table of every dataset's main metric after every level, header first.

    `metrics` has each dataset's main metric, `titles` a title per level; a cell is empty where nothing was
    measured.
    """
    main_rows = {(row.dataset, row.level): row for row in rows if row.metric == metrics.get(row.dataset)}
    table = [["dataset", "metric", "n", *titles.values()]]
    for dataset, metric in metrics.items():
        cells = [main_rows.get((dataset, level)) for level in titles]
        n = max((cell.n for cell in cells if cell), default=0)
        table.append([dataset, metric, str(n), *(_cell(cell, n) for cell in cells)])
    return table


def _cell(row: Result | None, n: int) -> str:
    if row is None:
        return ""
    return f"{row.value:.1f}" + ("" if row.n == n else f" (n={row.n})")
