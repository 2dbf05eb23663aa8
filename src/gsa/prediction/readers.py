"""Users' files in, one row at a time and in constant memory: CSV, TSV, JSONL, Parquet, standard input.

Out come Records, which hold the text and what else is carried to the output, and Rejected rows with the
reason; a bad row never stops a file. Format: a table with a column of texts and, if wanted, of speakers
and dialogue ids (rows of one dialogue stand together); or JSONL lines of the same keys, or of whole
dialogues, ``{"id": ..., "turns": [{"speaker": ..., "text": ...}, ...]}``.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from gsa.data.types import unreadable
from gsa.errors import InputError, suggest
from gsa.prediction.rows import LONGEST, Columns, Lines, Record, Rejected, Row, Table, record

FORMATS = ("csv", "tsv", "jsonl", "parquet")
BATCH = 2048
SHOWN = 1000
"""Letters of a line that could not be read, of which its reject keeps the beginning."""


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
    path: Path | None,
    kind: str,
    columns: Columns,
    stream: BinaryIO | None = None,
    fixed: bool = False,
    quotes: bool = True,
) -> Table:
    """Open a file, or a stream where `path` is None.

    With `fixed`, rows of JSONL have the keys of the first one, as a table needs. Without `quotes`, those of
    CSV and TSV are text like any other sign, and a line is a row. Raises InputError for a file that is
    missing, empty or of another format, and for columns that are not there.
    """
    where = str(path) if path else "standard input"
    if path and not path.is_file():
        raise InputError(f"{where}: expected a file, found {'a folder' if path.is_dir() else 'none'}")
    if kind == "parquet":
        if not path:
            raise InputError("standard input cannot be Parquet: expected csv, tsv or jsonl")
        return _parquet(path, columns)
    source = path.open("rb") if path else stream
    assert source is not None, "a stream is needed where there is no path"
    lines = Lines(source, where)
    size = path.stat().st_size if path else 0
    try:
        if kind == "jsonl":
            return _jsonl(lines, size, columns, fixed)
        return _csv(lines, size, columns, "\t" if kind == "tsv" else ",", quotes)
    except InputError:
        if path:
            source.close()
        raise


def _csv(lines: Lines, size: int, columns: Columns, delimiter: str, quotes: bool) -> Table:
    csv.field_size_limit(LONGEST)
    kept: list[str] = []  # the lines of the row that is read
    reader = csv.reader(
        _keeping(lines.text(), kept),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        strict=True,
    )
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
    return Table(header, _csv_rows(reader, lines, kept, header, names), size, counter=lines)


def _keeping(lines: Iterable[str], kept: list[str]) -> Iterator[str]:
    for line in lines:
        kept.append(line)
        yield line


def _csv_rows(
    reader: Any, lines: Lines, kept: list[str], header: list[str], names: tuple[str, str, str]
) -> Iterator[Row]:
    while True:
        row = lines.number + 1
        kept.clear()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield from _rejected(row, kept, f"expected a row of a table, found an error: {error}")
            continue
        if not values:
            continue
        if len(values) != len(header):
            reason = f"expected {len(header)} fields, found {len(values)}"
            yield from _rejected(row, kept, reason, values)
        else:
            yield record(row, dict(zip(header, values, strict=True)), names)


def _rejected(first: int, kept: Sequence[str], reason: str, values: Any = None) -> Iterator[Rejected]:
    """Reject a row; where a stray quote made one of several lines, each of them, as it was."""
    if len(kept) == 1:
        yield Rejected(first, reason, values or _beginning(kept[0]))
        return
    several = f"lines {first} to {first + len(kept) - 1} were read as one row: {reason}"
    for row, line in enumerate(kept, first):
        if line.strip():
            yield Rejected(row, several, _beginning(line))


def _beginning(line: str) -> str:
    return line.rstrip("\r\n")[:SHOWN]


def _jsonl(lines: Lines, size: int, columns: Columns, fixed: bool) -> Table:
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


def _items(lines: Lines) -> Iterator[Rejected | tuple[int, dict[str, Any], str]]:
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
            found = line[:SHOWN].decode("utf-8", "backslashreplace").strip()
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
        made = record(row, values, (names[0], names[1], "" if dialogue else names[2]))
        yield (
            Record(row, values, made.text, made.speaker, dialogue, whole=True)
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
            yield record(table.read, values, names)
