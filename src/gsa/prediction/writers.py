"""Labelled rows out: CSV, TSV, JSONL or Parquet, part by part, and the parts joined to one file.

In: rows as dictionaries. Out: bytes of a part, and a whole file in the order of the parts.
"""

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gsa.atomic_io import atomic_path
from gsa.data.task import Task
from gsa.data.types import Prediction
from gsa.errors import InputError

EXTRA = ("predicted", "truncated_turns", "truncated_words")
DIGITS = 6
"""Of a probability; float32 has no more."""
GROUP = 65536
"""Rows of a row group in a joined Parquet file."""


def labelled(carried: Mapping[str, Any], found: Prediction, prefix: str = "") -> dict[str, Any]:
    """Return a row of the output: what is carried, the label, its probabilities, what was truncated."""
    return {
        **carried,
        f"{prefix}predicted": found.label,
        **{f"{prefix}p_{label}": round(p, DIGITS) for label, p in found.probabilities.items()},
        f"{prefix}truncated_turns": found.truncated.turns,
        f"{prefix}truncated_words": found.truncated.words,
    }


@dataclass(frozen=True)
class Shape:
    """How the output looks."""

    kind: str
    """`csv`, `tsv`, `jsonl` or `parquet`."""
    columns: list[str]
    """All of them, in order."""
    new: frozenset[str]
    """Those that the labels add."""
    schema: dict[str, Any] = field(default_factory=dict)
    """Types of the carried columns, where the input has any; otherwise they are texts."""
    prefix: str = ""

    @classmethod
    def of(
        cls, kind: str, carried: Sequence[str], schema: dict[str, Any], task: Task, prefix: str
    ) -> "Shape":
        """Return the output's columns; raises InputError where the input already has one of them."""
        chances = [f"p_{label}" for label in task.labels]
        new = [prefix + name for name in (EXTRA[0], *chances, *EXTRA[1:])]
        taken = next((name for name in new if name in carried), None)
        if taken:
            raise InputError(
                f"the input has a column '{taken}' already: expected --prefix with other names for the labels"
            )
        return cls(kind, [*carried, *new], frozenset(new), schema, prefix)

    def part(self, rows: Sequence[Mapping[str, Any]], first: bool) -> bytes:
        """Return rows as the bytes of one part; the first part of a table has the header."""
        if self.kind == "parquet":
            return self._parquet(rows)
        if self.kind == "jsonl":
            lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
            return "".join(lines).encode()
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter="\t" if self.kind == "tsv" else ",", lineterminator="\n")
        if first:
            writer.writerow(self.columns)
        writer.writerows([_text(row.get(name)) for name in self.columns] for row in rows)
        return out.getvalue().encode()

    def _parquet(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        import polars as pl

        types: dict[str, Any] = {name: self.schema.get(name, pl.String) for name in self.columns}
        for name in self.new:
            bare = name.removeprefix(self.prefix)
            types[name] = pl.String if bare == EXTRA[0] else pl.Int64 if bare in EXTRA else pl.Float64
        columns = {
            name: [row.get(name) if kind != pl.String else _text(row.get(name), None) for row in rows]
            for name, kind in types.items()
        }
        out = io.BytesIO()
        pl.DataFrame(columns, schema=types).write_parquet(out)
        return out.getvalue()

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """Put parts together to the output, which appears whole or not at all."""
        with atomic_path(output) as draft:
            if self.kind == "parquet":
                import polars as pl

                pl.scan_parquet(list(parts)).sink_parquet(draft, maintain_order=True, row_group_size=GROUP)
            else:
                concatenate(parts, draft)


def concatenate(parts: Sequence[Path], output: Path) -> None:
    """Write the bytes of parts one after the other."""
    with output.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out)


def _text(value: Any, nothing: str | None = "") -> str | None:
    if value is None or isinstance(value, str):
        return nothing if value is None else value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else str(value)
