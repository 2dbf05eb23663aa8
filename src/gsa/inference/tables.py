"""Users' files in, one row at a time and in constant memory: CSV, TSV, JSONL, Parquet, standard input.

Out come Records, which hold the text and what else is carried to the output, and Rejected rows with the
reason; a bad row never stops a file. Format: a table with a column of texts and, if wanted, of speakers
and dialogue ids (rows of one dialogue stand together); or JSONL lines of the same keys, or of whole
dialogues, ``{"id": ..., "turns": [{"speaker": ..., "text": ...}, ...]}``.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from gsa.errors import InputError, suggest
from gsa.inference.prediction import unreadable

FORMATS = ("csv", "tsv", "jsonl", "parquet")
LONGEST = 4 * 2**20
"""Bytes of a line, or letters of a field, beyond which a row is rejected."""
MOST_TURNS = 10_000
"""Turns of a dialogue beyond which rows are rejected; a dialogue is held in memory as a whole."""
BATCH = 2048


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns to read; None is the usual name, where a table has it."""

    text: str | None = None
    speaker: str | None = None
    dialogue: str | None = None

    def of(self, names: Sequence[str], where: str) -> tuple[str, str, str]:
        """Return the columns of text, speaker and dialogue, the last two empty where there is none.

        Raises InputError, with the nearest name, for a column that is not there.
        """
        wanted = {"text": self.text or "text", "speaker": self.speaker, "dialogue_id": self.dialogue}
        for name in wanted.values():
            if name and name not in names:
                flag = next(key for key, value in wanted.items() if value == name).replace("_", "-")
                raise InputError(
                    f"{where}: found no column '{name}'{suggest(name, names)}: "
                    f"expected --{flag} to be one of {', '.join(names) or 'none'}"
                )
        speaker, dialogue = (
            wanted[key] or (key if key in names else "") for key in ("speaker", "dialogue_id")
        )
        return self.text or "text", speaker, dialogue


@dataclass(frozen=True, slots=True)
class Record:
    """A row to label."""

    row: int
    """Line in the file where it begins; of Parquet, the number of the row. Both from 1."""
    carried: Mapping[str, Any]
    """What goes to the output as it is."""
    text: str
    speaker: str = ""
    dialogue: str = ""
    """Id of its dialogue; empty for a lone text."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be labelled."""

    row: int
    reason: str
    found: Any = None
    """What there was, for the file of rejects."""


Row = Record | Rejected


@dataclass
class Table:
    """An open file of rows."""

    columns: list[str]
    """Names of what is carried, in order; of JSONL, those of the first row."""
    rows: Iterator[Row]
    size: int
    """In the units of `progress`, 0 if unknown."""
    schema: dict[str, Any] = field(default_factory=dict)
    """Types of the columns, of Parquet only."""
    counter: "_Lines | None" = None
    """Counts bytes."""
    read: int = 0
    """Counts rows."""

    @property
    def progress(self) -> float:
        """How much was read, from 0 to 1; 0 if that is unknown."""
        done = self.counter.read if self.counter else self.read
        return done / self.size if self.size else 0.0


def format_of(path: Path | None, named: str = "", flag: str = "--format") -> str:
    """Return a file's format: the one that is named, or that of its ending; of a stream JSONL."""
    found = named or (path.suffix.lower().removeprefix(".") if path else "jsonl")
    if found not in FORMATS:
        what = f"{flag} '{named}'" if named else f"'{path}'"
        raise InputError(
            f"{what}: expected one of {', '.join(FORMATS)}, found '{found}'{suggest(found, FORMATS)}"
        )
    return found


def open_table(
    path: Path | None, kind: str, columns: Columns, stream: BinaryIO | None = None, fixed: bool = False
) -> Table:
    """Open a file, or a stream where `path` is None.

    With `fixed`, rows of JSONL have the keys of the first one, as a table needs. Raises InputError for a
    file that is missing, empty or of another format, and for columns that are not there.
    """
    where = str(path) if path else "standard input"
    if path and not path.is_file():
        raise InputError(f"{where}: expected a file, found {'a folder' if path.is_dir() else 'none'}")
    if kind == "parquet":
        if not path:
            raise InputError("standard input cannot be Parquet: expected csv, tsv or jsonl")
        return _parquet(path, columns)
    lines = _Lines(path.open("rb") if path else stream, where)
    size = path.stat().st_size if path else 0
    return _jsonl(lines, size, columns, fixed) if kind == "jsonl" else _csv(lines, size, columns, kind)


class _Lines:
    """The lines of a byte stream with their numbers; None for one that is too long."""

    def __init__(self, stream: BinaryIO | None, where: str) -> None:
        assert stream is not None
        self.stream, self.where, self.read = stream, where, 0
        self.number = 0

    def __iter__(self) -> Iterator[bytes | None]:
        with self.stream:
            while line := self.stream.readline(LONGEST):
                self.number += 1
                self.read += len(line)
                if self.number == 1:
                    if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                        raise InputError(f"{self.where}: expected UTF-8 text, found UTF-16")
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if len(line) < LONGEST or line.endswith(b"\n"):
                    yield line
                    continue
                while line and not line.endswith(b"\n"):
                    line = self.stream.readline(LONGEST)
                    self.read += len(line)
                yield None

    def text(self) -> Iterator[str]:
        """Yield lines for the csv module; bytes that are not UTF-8 become what `unreadable` finds."""
        for line in self:
            yield "\0\n" if line is None else line.decode("utf-8", "surrogateescape")


def _csv(lines: _Lines, size: int, columns: Columns, kind: str) -> Table:
    csv.field_size_limit(LONGEST)
    reader = csv.reader(lines.text(), delimiter="\t" if kind == "tsv" else ",", strict=True)
    try:
        header = [name.strip() for name in next((row for row in reader if row), [])]
    except csv.Error as error:
        raise InputError(f"{lines.where} line 1: expected a header of column names, found {error}") from None
    if not header:
        raise InputError(f"{lines.where}: expected a header and rows, found an empty file")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{lines.where}: expected each column once, found '{twice}' twice")
    if any(map(unreadable, header)):
        raise InputError(f"{lines.where} line 1: expected a header in UTF-8 text, found other bytes")
    names = columns.of(header, lines.where)
    return Table(header, _csv_rows(reader, lines, header, names), size, counter=lines)


def _csv_rows(reader: Any, lines: _Lines, header: list[str], names: tuple[str, str, str]) -> Iterator[Row]:
    while True:
        row = lines.number + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Rejected(row, f"expected a row of a table, found an error: {error}")
            continue
        if not values:
            continue
        if len(values) != len(header):
            yield Rejected(row, f"expected {len(header)} fields, found {len(values)}", values)
        else:
            yield _record(row, dict(zip(header, values, strict=True)), names)


def _record(row: int, carried: Mapping[str, Any], names: tuple[str, str, str]) -> Row:
    """Return a row as a Record if its texts can be read and what is carried can be written."""
    found = []
    for name in names:
        value = carried.get(name) if name else ""
        value = "" if value is None else value
        if not isinstance(value, str):
            if name == names[2] and isinstance(value, int):
                value = str(value)
            else:
                return Rejected(row, f"'{name}': expected a text, found {value!r:.60}", dict(carried))
        found.append(value.strip())
    odd = next(
        (odd for value in carried.values() if isinstance(value, str) and (odd := unreadable(value))), ""
    )
    if odd:
        return Rejected(row, f"expected UTF-8 text, found {odd}", _escaped(carried))
    if not found[0]:
        return Rejected(row, f"'{names[0]}': expected a text, found an empty one", dict(carried))
    return Record(row, carried, *found)


def _escaped(carried: Mapping[str, Any]) -> dict[str, str]:
    return {name: ascii(value) for name, value in carried.items()}


def _jsonl(lines: _Lines, size: int, columns: Columns, fixed: bool) -> Table:
    """Read JSONL; what the columns are is known from the first line that can be read."""
    items = _items(lines)
    before: list[Rejected] = []
    first: tuple[int, dict[str, Any], str] | None = None
    for item in items:
        if isinstance(item, Rejected):
            before.append(item)
            continue
        first = item
        break
    if first is None:
        raise InputError(f"{lines.where}: expected a JSON object on a line, found none")
    keys = list(first[1])
    named = columns.of(keys, f"{lines.where} line {first[0]}")
    names = (named[0], columns.speaker or "speaker", columns.dialogue or "dialogue_id")
    rows = _jsonl_rows(chain(before, [first], items), names, keys if fixed else None)
    return Table(keys, rows, size, counter=lines)


def _items(lines: _Lines) -> Iterator[Rejected | tuple[int, dict[str, Any], str]]:
    """Yield line number, values and dialogue of each text; the turns of a dialogue one by one."""
    for line in lines:
        row = lines.number
        if line is None:
            yield Rejected(row, f"expected a line of at most {LONGEST} bytes, found a longer one")
            continue
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            json.dumps(item, ensure_ascii=False).encode()  # escapes can write what no file can hold
        except (ValueError, RecursionError) as error:
            found = line[:1000].decode("utf-8", "backslashreplace").strip()
            yield Rejected(row, f"expected JSON in UTF-8, found an error: {error}".splitlines()[0], found)
            continue
        if not isinstance(item, dict):
            yield Rejected(row, f"expected an object, found {item!r:.60}", item)
        elif "turns" in item and "text" not in item:
            yield from _turns(row, item)
        else:
            yield row, item, ""


def _turns(row: int, item: dict[str, Any]) -> Iterator[Rejected | tuple[int, dict[str, Any], str]]:
    turns, id = item.pop("turns"), str(item.pop("id", "") or f"line{row}")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        yield Rejected(row, f"'turns': expected a list of objects, found {turns!r:.60}", turns)
        return
    for number, turn in enumerate(turns, start=1):
        yield row, {**item, "dialogue_id": id, "turn": number, **turn}, f"{row} {id}"


def _jsonl_rows(
    items: Iterable[Rejected | tuple[int, dict[str, Any], str]],
    names: tuple[str, str, str],
    keys: list[str] | None,
) -> Iterator[Row]:
    for item in items:
        if isinstance(item, Rejected):
            yield item
            continue
        row, values, dialogue = item
        new = next((key for key in values if keys is not None and key not in keys), None)
        if new is not None:
            yield Rejected(row, f"expected the keys of the first row, found '{new}' too", values)
            continue
        made = _record(row, values, (names[0], names[1], "" if dialogue else names[2]))
        yield (
            Record(row, values, made.text, made.speaker, dialogue)
            if dialogue and isinstance(made, Record)
            else made
        )


def _parquet(path: Path, columns: Columns) -> Table:
    import polars as pl  # here, because it is slow to import and only Parquet needs it

    try:
        scan = pl.scan_parquet(path)
        schema = dict(scan.collect_schema())
        size = int(scan.select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{path}: expected a Parquet file, found an error: {error}".splitlines()[0]
        ) from None
    names = columns.of(list(schema), str(path))
    for name in names[:2]:
        if name and schema[name] not in (pl.String, pl.Categorical, pl.Enum):
            raise InputError(f"{path}: column '{name}' is {schema[name]}: expected texts")
    table = Table(list(schema), iter(()), size, schema)
    table.rows = _parquet_rows(scan, names, table)
    return table


def _parquet_rows(scan: Any, names: tuple[str, str, str], table: Table) -> Iterator[Row]:
    for frame in scan.collect_batches(chunk_size=BATCH, maintain_order=True):
        for values in frame.iter_rows(named=True):
            table.read += 1
            yield _record(table.read, values, names)
