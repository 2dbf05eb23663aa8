"""Labelled rows out: CSV, TSV, JSONL or Parquet, encoded part by part, and the parts joined to one file."""

import csv
import io
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gsa.atomic_io import atomic_path
from gsa.data.task import Task
from gsa.data.types import Prediction
from gsa.datasets.records import RecordReader
from gsa.errors import InputError

LABEL, TURNS, WORDS = "predicted", "truncated_turns", "truncated_words"
PASSAGES = "passages"
"""Of documents: each passage with its place, label and probabilities."""
LANGUAGE = "detected_language"
"""Of texts that are plainly not English."""
PROBABILITIES = "probabilities"
"""The one column of all probabilities where each row has a label list of its own."""
DIGITS = 6
"""Of a probability; float32 has no more."""
ROW_GROUP = 65536
"""Rows of a row group of a joined Parquet file."""


@dataclass(frozen=True)
class Writer:
    """The format and the columns of an output."""

    format: str
    """`csv`, `tsv`, `jsonl` or `parquet`."""
    columns: list[str]
    """All columns in order: those of the input, then the new ones."""
    new_columns: frozenset[str]
    prefix: str = ""
    """Of the names of the new columns."""
    schema: dict[str, Any] = field(default_factory=dict)
    """Polars types of the input's columns, where it has any; otherwise they are texts."""
    own_labels: bool = False
    """Whether each row has a label list of its own."""

    @classmethod
    def for_task(
        cls, format: str, reader: RecordReader, task: Task, prefix: str, documents: bool = False
    ) -> "Writer":
        """Return the writer of a task, with a column of passages for `documents`.

        Raises InputError where the input already has a new column.
        """
        columns, own_labels = reader.columns, bool(reader.names.labels)
        probabilities = [PROBABILITIES] if own_labels else [f"p_{label}" for label in task.labels]
        passages = [PASSAGES] if documents else []
        new = [prefix + name for name in (LABEL, *probabilities, TURNS, WORDS, LANGUAGE, *passages)]
        taken = next((name for name in new if name in columns), None)
        if taken:
            raise InputError(
                f"the input has a column '{taken}' already: expected --prefix with other names for the labels"
            )
        return cls(format, [*columns, *new], frozenset(new), prefix, reader.schema, own_labels)

    def row(self, values: Mapping[str, Any], prediction: Prediction) -> dict[str, Any]:
        """Return a row of the output: the input's values, the label, its probabilities, the truncation."""
        rounded = {label: round(p, DIGITS) for label, p in prediction.probabilities.items()}
        by_label = {f"p_{label}": p for label, p in rounded.items()}
        probabilities = {PROBABILITIES: rounded} if self.own_labels else by_label
        truncated = {TURNS: prediction.truncated.turns, WORDS: prediction.truncated.words}
        new: dict[str, Any] = {
            LABEL: prediction.label,
            **probabilities,
            **truncated,
            LANGUAGE: prediction.language,
        }
        if self.prefix + PASSAGES in self.new_columns:
            new[PASSAGES] = passage_rows(prediction)
        return {**values, **{self.prefix + name: value for name, value in new.items()}}

    def encode(self, rows: Sequence[Mapping[str, Any]], header: bool) -> bytes:
        """Return rows as the bytes of one part; the first part of CSV and TSV has the `header`."""
        if self.format == "parquet":
            return self._to_parquet(rows)
        if self.format == "jsonl":
            return b"".join(map(json_line, rows))
        lines = _Lines()
        writer = csv.writer(lines, delimiter="\t" if self.format == "tsv" else ",", lineterminator="\r\n")
        if header:
            writer.writerow(self.columns)
        writer.writerows([_text(row.get(name), "") for name in self.columns] for row in rows)
        return "".join(lines).encode()

    def _to_parquet(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        import polars as pl  # slow to import

        types: dict[str, Any] = {name: self.schema.get(name, pl.String) for name in self.columns}
        types |= dict.fromkeys(self.new_columns, pl.Float64)
        kinds = {LABEL: pl.String, PROBABILITIES: pl.String, TURNS: pl.Int64, WORDS: pl.Int64}
        kinds |= {LANGUAGE: pl.String, PASSAGES: pl.String}
        types |= {self.prefix + name: kinds[name] for name in kinds if self.prefix + name in self.new_columns}
        columns = {
            name: [_text(row.get(name), None) if kind == pl.String else row.get(name) for row in rows]
            for name, kind in types.items()
        }
        out = io.BytesIO()
        pl.DataFrame(columns, schema=types).write_parquet(out)
        return out.getvalue()

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """Write the parts as one file, which appears complete or not at all."""
        with atomic_path(output) as draft:
            if self.format == "parquet":
                import polars as pl

                scan = pl.scan_parquet(list(parts))
                scan.sink_parquet(draft, maintain_order=True, row_group_size=ROW_GROUP)
            else:
                concatenate(parts, draft)


class _Lines(list[str]):
    """What a csv.writer writes, a row an item, with a line feed as the line end.

    The writer quotes fields with characters of its own line end, which has to have the carriage return: most
    readers end a row there too.
    """

    def write(self, line: str) -> None:
        self.append(line.removesuffix("\r\n") + "\n")


def passage_rows(prediction: Prediction) -> list[dict[str, Any]]:
    """Return each passage of a document with its place, label and probabilities; none of a text."""
    return [
        {
            "start": passage.start,
            "text": passage.text,
            LABEL: passage.prediction.label,
            **{f"p_{label}": round(p, DIGITS) for label, p in passage.prediction.probabilities.items()},
        }
        for passage in getattr(prediction, "passages", ())
    ]


def concatenate(parts: Sequence[Path], output: Path) -> None:
    """Write the bytes of parts one after the other."""
    with output.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out)


def json_line(value: object) -> bytes:
    """Return a value as a line of JSON in UTF-8.

    NaN and infinity become null, what JSON has no type for a text, and characters that UTF-8 cannot encode
    their escapes.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)
        return text.encode() + b"\n"
    except ValueError:
        return json_line(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value).encode("utf-8", "backslashreplace").decode()


def _text(value: Any, null: str | None) -> str | None:
    if value is None or isinstance(value, str):
        return null if value is None else value
    return json_line(value).decode().rstrip("\n") if isinstance(value, bool | list | dict) else str(value)
