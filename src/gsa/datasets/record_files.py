"""Users' files, read one row at a time in constant memory: CSV, TSV, JSONL, Parquet, standard input.

A file is a table with a column of texts and, where wanted, of speakers, dialogue ids, ids and labels; or
JSONL with the same keys; or JSONL with a dialogue a line, ``{"id": ..., "turns": [{"text": ...}, ...]}``.
A row that cannot be read is returned as a Rejected with the reason, and never ends the file.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from gsa.data.types import unreadable
from gsa.datasets.records import ColumnNames, Columns, Rejected, Row, RowParser
from gsa.errors import InputError, suggest

FORMATS = ("csv", "tsv", "jsonl", "parquet")
MAX_LINE_BYTES = 4 * 2**20
"""Bytes of a line, or characters of a field of a table, beyond which a row is rejected."""
PARQUET_BATCH = 2048
EXCERPT = 1000
"""Characters of a malformed line that its Rejected keeps."""
MAX_BAD_LINES = 1000
"""Lines at the start of a JSONL file among which a JSON object must be."""


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read."""

    format: str
    """One of FORMATS."""
    columns: Columns = field(default_factory=Columns)
    quotes: bool = True
    """Whether quotes of CSV and TSV enclose fields; otherwise they are text, and a line is a row."""
    same_keys: bool = False
    """Reject lines of JSONL with a key that the first one lacks, as a table needs."""
    allow_empty: bool = False
    """Accept empty texts."""


@dataclass
class RecordReader:
    """An open file; `rows` can be read once."""

    columns: list[str]
    """Names of all columns in order; of JSONL the keys of the first line."""
    rows: Iterator[Row]
    size: int
    """Bytes, or rows of Parquet; 0 if unknown."""
    schema: dict[str, Any] = field(default_factory=dict)
    """Polars types of the columns, of Parquet only."""
    lines: "LineReader | None" = None
    rows_read: int = 0
    """Of Parquet only."""

    @property
    def fraction(self) -> float:
        """How much was read, from 0 to 1; 0 if the size is unknown."""
        position = self.lines.bytes_read if self.lines else self.rows_read
        return position / self.size if self.size else 0.0

    def close(self) -> None:
        """Close a file that is not read to its end."""
        if self.lines:
            self.lines.stream.close()


def format_of(path: Path | None, name: str = "", option: str = "--format") -> str:
    """Return a file's format: `name` if given, else that of its suffix; JSONL for a stream.

    Raises InputError for an unknown format; `option` is where the user named it.
    """
    format = name or (path.suffix.lower().removeprefix(".") if path else "jsonl")
    if format not in FORMATS:
        origin = f"{option} '{name}'" if name else f"'{path}'"
        raise InputError(
            f"{origin}: expected one of {', '.join(FORMATS)}, found '{format}'{suggest(format, FORMATS)}"
        )
    return format


def open_records(path: Path | None, options: ReadOptions, stream: BinaryIO | None = None) -> RecordReader:
    """Return a reader of a file, or of a byte stream where `path` is None.

    Raises InputError for a file that is missing, empty or of another format, and for missing columns.
    """
    where = str(path) if path else "standard input"
    if path and not path.is_file():
        raise InputError(f"{where}: expected a file, found {'a folder' if path.is_dir() else 'none'}")
    if options.format == "parquet":
        if not path:
            raise InputError("standard input cannot be Parquet: expected csv, tsv or jsonl")
        return _open_parquet(path, options)
    source = path.open("rb") if path else stream
    assert source is not None, "a stream is needed where there is no path"
    size = path.stat().st_size if path else 0
    try:
        return (_open_jsonl if options.format == "jsonl" else _open_csv)(
            LineReader(source, where), size, options
        )
    except InputError:
        if path:
            source.close()
        raise


class LineReader:
    """Iterates over the lines of a byte stream; yields None for a line that is too long."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        """`where` begins the messages of errors."""
        self.stream, self.where = stream, where
        self.number = 0
        """Of the line that was read last."""
        self.bytes_read = 0

    def __iter__(self) -> Iterator[bytes | None]:
        with self.stream:
            while line := self._read():
                self.number += 1
                if self.number == 1:
                    if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                        raise InputError(f"{self.where}: expected UTF-8 text, found UTF-16")
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
                    yield line
                    continue
                while line and not line.endswith(b"\n"):
                    line = self._read()
                yield None

    def _read(self) -> bytes:
        line = self.stream.readline(MAX_LINE_BYTES)
        self.bytes_read += len(line)
        return line

    def text(self) -> Iterator[str]:
        """Yield lines for the csv module; what is not UTF-8 becomes characters that `unreadable` finds."""
        for line in self:
            yield "\0\n" if line is None else line.decode("utf-8", "surrogateescape")


def _open_csv(lines: LineReader, size: int, options: ReadOptions) -> RecordReader:
    csv.field_size_limit(MAX_LINE_BYTES)
    raw_lines: list[str] = []  # of the row that the csv module reads
    reader = csv.reader(
        _copied(lines.text(), raw_lines),
        delimiter="\t" if options.format == "tsv" else ",",
        quoting=csv.QUOTE_MINIMAL if options.quotes else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        header = [name.strip() for name in next((row for row in reader if row), [])]
    except csv.Error as error:
        raise InputError(f"{lines.where} line 1: expected a header of column names, found {error}") from None
    if not header:
        raise InputError(f"{lines.where}: expected a header and rows, found an empty file")
    duplicate = next((name for name in header if header.count(name) > 1), None)
    if duplicate is not None:
        raise InputError(f"{lines.where}: expected each column once, found '{duplicate}' twice")
    if any(map(unreadable, header)):
        raise InputError(f"{lines.where} line 1: expected a header in UTF-8 text, found other bytes")
    parser = RowParser(options.columns.resolve(header, lines.where), options.allow_empty)
    return RecordReader(header, _csv_rows(reader, lines, raw_lines, header, parser), size, lines=lines)


def _copied(lines: Iterable[str], copy: list[str]) -> Iterator[str]:
    for line in lines:
        copy.append(line)
        yield line


def _csv_rows(
    reader: Any, lines: LineReader, raw_lines: list[str], header: list[str], parser: RowParser
) -> Iterator[Row]:
    while True:
        row = lines.number + 1
        raw_lines.clear()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield from _reject_lines(row, raw_lines, f"expected a row of a table, found an error: {error}")
            continue
        if values and len(values) != len(header):
            reason = f"expected {len(header)} fields, found {len(values)}"
            yield from _reject_lines(row, raw_lines, reason, values)
        elif values:
            yield parser.parse(row, dict(zip(header, values, strict=True)))


def _reject_lines(
    first: int, raw_lines: Sequence[str], reason: str, values: Any = None
) -> Iterator[Rejected]:
    """Reject a row; where a stray quote made one row of several lines, each of them."""
    if len(raw_lines) == 1:
        yield Rejected(first, reason, values or _excerpt(raw_lines[0]))
        return
    reason = f"lines {first} to {first + len(raw_lines) - 1} were read as one row: {reason}"
    for row, line in enumerate(raw_lines, first):
        if line.strip():
            yield Rejected(row, reason, _excerpt(line))


def _excerpt(line: str) -> str:
    return line.rstrip("\r\n")[:EXCERPT]


class _Item(NamedTuple):
    """A JSON object with a text: a line, or a turn of a dialogue in one line."""

    row: int
    values: dict[str, Any]
    dialogue: str = ""
    turn: int = 0


def _open_jsonl(lines: LineReader, size: int, options: ReadOptions) -> RecordReader:
    items = _json_items(lines, options.columns.text or "text")
    bad: list[Rejected] = []
    first: _Item | None = None
    for item in islice(items, MAX_BAD_LINES):
        if isinstance(item, _Item):
            first = item
            break
        bad.append(item)
    if first is None:
        reason = f"none (line {bad[0].row}: {bad[0].reason})" if bad else "none"
        raise InputError(f"{lines.where}: expected a JSON object on a line, found {reason}")
    keys = list(first.values)
    names = options.columns.resolve(keys, f"{lines.where} line {first.row}")
    # Other lines may have the columns that the first one lacks.
    names = ColumnNames(names.text, names.speaker or "speaker", names.dialogue or "dialogue_id")
    parser = RowParser(names, options.allow_empty)
    rows = _json_rows(chain(bad, [first], items), parser, keys if options.same_keys else None)
    return RecordReader(keys, rows, size, lines=lines)


def _json_rows(items: Iterable[Rejected | _Item], parser: RowParser, keys: list[str] | None) -> Iterator[Row]:
    for item in items:
        if isinstance(item, Rejected):
            yield item
            continue
        new = next((key for key in item.values if keys is not None and key not in keys), None)
        if new is not None:
            yield Rejected(item.row, f"expected the keys of the first row, found '{new}' too", item.values)
        else:
            yield parser.parse(*item)


def _json_items(lines: LineReader, text: str) -> Iterator[Rejected | _Item]:
    """Yield the objects of all lines, of a dialogue its turns; `text` is the key of texts."""
    for line in lines:
        row = lines.number
        if line is None:
            yield Rejected(row, f"expected a line of at most {MAX_LINE_BYTES} bytes, found a longer one")
            continue
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            json.dumps(item, ensure_ascii=False).encode()  # lone surrogates, as escapes, cannot be written
        except (ValueError, RecursionError) as error:
            excerpt = line[:EXCERPT].decode("utf-8", "backslashreplace").strip()
            yield Rejected(row, f"expected JSON in UTF-8, found an error: {error}".splitlines()[0], excerpt)
            continue
        if not isinstance(item, dict):
            yield Rejected(row, f"expected an object, found {item!r:.60}", item)
        elif "turns" not in item or (text in item and not isinstance(item["turns"], list)):
            yield _Item(row, item)
        elif text in item:
            yield Rejected(row, f"expected either '{text}' or 'turns', found both", item)
        else:
            yield from _turns(row, item)


def _turns(row: int, item: dict[str, Any]) -> Iterator[Rejected | _Item]:
    turns, id = item.pop("turns"), str(item.pop("id", None) or f"line{row}")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        yield Rejected(row, f"'turns': expected a list of objects, found {turns!r:.60}", turns)
        return
    for number, turn in enumerate(turns, start=1):
        yield _Item(row, {**item, "dialogue_id": id, "turn": number, **turn}, id, number)


def _open_parquet(path: Path, options: ReadOptions) -> RecordReader:
    import polars as pl  # slow to import

    try:
        scan = pl.scan_parquet(path)
        schema = dict(scan.collect_schema())
        size = int(scan.select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{path}: expected a Parquet file, found an error: {error}".splitlines()[0]
        ) from None
    names = options.columns.resolve(list(schema), str(path))
    for name in names[:2]:
        if name and schema[name] not in (pl.String, pl.Categorical, pl.Enum):
            raise InputError(f"{path}: column '{name}' is {schema[name]}: expected texts")
    reader = RecordReader(list(schema), iter(()), size, schema)
    reader.rows = _parquet_rows(scan, RowParser(names, options.allow_empty), reader)
    return reader


def _parquet_rows(scan: Any, parser: RowParser, reader: RecordReader) -> Iterator[Row]:
    for frame in scan.collect_batches(chunk_size=PARQUET_BATCH, maintain_order=True):
        for values in frame.iter_rows(named=True):
            reader.rows_read += 1
            yield parser.parse(reader.rows_read, values)
