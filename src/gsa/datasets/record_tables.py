"""Tables: CSV and TSV by the csv module, which tells the line of every row; rows of polars' frames."""

import csv
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from gsa.data.types import unreadable
from gsa.datasets.cells import describe_unreadable
from gsa.datasets.record_lines import EXCERPT, MAX_LINE_BYTES, TOO_LONG, LineReader
from gsa.datasets.records import (
    ENCODING_HINT,
    MAX_COLUMNS,
    ColumnNames,
    Columns,
    ReadOptions,
    RecordReader,
    Rejected,
    Row,
    RowParser,
)
from gsa.errors import InputError

logger = logging.getLogger(__name__)

BATCH = 2048
"""Rows of a frame that are made at once."""
MAX_BATCH = 2**25
"""Bytes of the texts of a batch beyond which its rows are made one at a time."""
DELIMITERS = (",", ";", "\t", "|")
"""Of CSV, in the order of preference."""
SEPARATOR = re.compile(r'"?sep=([^"\r\n])"?\r?\n?', re.I)
"""The first line of a CSV file in which Excel is told the delimiter."""
NO_QUOTES = " (--no-quotes reads quotes as text)"
"""Follows the reason of rows that a stray quote makes unreadable."""


def open_csv(lines: LineReader, options: ReadOptions) -> RecordReader:
    """Return a reader of CSV or TSV; raises InputError for an empty file, and for a header of no use."""
    csv.field_size_limit(MAX_LINE_BYTES)
    raw_lines: list[str] = []  # of the row that the csv module reads
    texts = lines.text()
    first = _first_line(texts, lines)
    if separator := SEPARATOR.fullmatch(first):
        options = replace(options, delimiter=options.delimiter or separator[1])
        first = _first_line(texts, lines)
    if first == TOO_LONG:
        raise InputError(f"{lines.location}: expected a header of at most {MAX_LINE_BYTES:,} bytes")
    location = f"{lines.location} line {lines.number}"
    try:
        options = replace(options, delimiter=_delimiter(first, options, lines.location))
        reader = csv.reader(
            _copied(chain([first] if first else [], texts), raw_lines),
            delimiter=options.delimiter,
            quoting=csv.QUOTE_MINIMAL if options.quotes else csv.QUOTE_NONE,
            strict=True,
        )
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise InputError(f"{location}: expected a header of column names, found {_problem(error)}") from None
    if not header:
        raise InputError(f"{lines.location}: expected a header and rows, found an empty file")
    if name := next(filter(unreadable, header), ""):
        problem = f"{describe_unreadable(name)}{ENCODING_HINT}"
        raise InputError(f"{location}: expected a header in UTF-8 text, found {problem}")
    header, names = resolve_header(header, options.columns, lines.location)
    hint = NO_QUOTES if options.quotes else ""
    rows = _csv_rows(reader, lines, raw_lines, RowParser(names, ENCODING_HINT), header, hint)
    return RecordReader(header, rows, names, options, has_dialogues=bool(names.dialogue))


def _first_line(texts: Iterable[str], lines: LineReader) -> str:
    """Return the first line that is not blank, or an empty text."""
    for line in texts:
        if line.strip("\r\n"):
            return line
        lines.skip_blank(b"\r\n")
    return ""


def _problem(error: csv.Error) -> str:
    """Return what is wrong with a row; the csv module's words for a carriage return are about Python."""
    is_return = "new-line character" in str(error)
    return "a carriage return outside of quotes" if is_return else f"an error: {error}"


def _delimiter(header: str, options: ReadOptions, location: str) -> str:
    """Return the delimiter that is asked for, or that of CSV which divides the header into most fields."""
    if options.delimiter:
        return options.delimiter
    if options.format == "tsv":
        return "\t"
    counts = {mark: len(next(csv.reader([header], delimiter=mark), [])) for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: counts[mark])
    if best != ",":
        logger.info("%s: the delimiter is %r", location, best)
    return best


def resolve_header(header: Sequence[str], columns: Columns, location: str) -> tuple[list[str], ColumnNames]:
    """Return distinct column names, as polars makes them, and those that are read.

    Raises InputError for too many columns, and for a repeated one that is read.
    """
    if len(header) > MAX_COLUMNS:
        raise InputError(f"{location}: expected at most {MAX_COLUMNS:,} columns, found {len(header):,}")
    distinct: list[str] = []
    taken, counts = set(header), dict.fromkeys(header, 0)
    for name in header:
        unique = name
        while counts[name] and unique in taken:
            unique, counts[name] = f"{name}_duplicated_{counts[name] - 1}", counts[name] + 1
        counts[name] += not counts[name]
        taken.add(unique)
        distinct.append(unique)
    names = columns.resolve(distinct, location)
    repeated = next((name for name in names if name and counts.get(name, 0) > 1), None)
    if repeated:
        raise InputError(f"{location}: expected one column '{repeated}', found several")
    return distinct, names


def _copied(lines: Iterable[str], copy: list[str]) -> Iterator[str]:
    for line in lines:
        copy.append(line)
        yield line


def _csv_rows(
    reader: Any, lines: LineReader, raw_lines: list[str], parser: RowParser, header: list[str], hint: str
) -> Iterator[Row]:
    while True:
        row = lines.number + 1
        raw_lines.clear()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"expected a row of a table, found {_problem(error)}"
            yield from _reject_lines(row, raw_lines, reason + hint)
            continue
        if values and len(values) != len(header):
            reason = f"expected {len(header)} fields, found {len(values)}"
            yield from _reject_lines(row, raw_lines, reason + (hint if len(raw_lines) > 1 else ""), values)
        elif values:
            yield parser.parse(row, dict(zip(header, values, strict=True)))
        else:
            lines.skip_blank(b"\r\n")


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


def frame_rows(frame: Any) -> Iterator[dict[str, Any] | str]:
    """Yield the rows of a frame, for one with a cell that is too long the reason why it is rejected.

    Long texts, which a small file may repeat, are made one at a time.
    """
    import polars as pl  # slow to import

    sizes = frame.select(pl.col(pl.String).str.len_bytes(), pl.col(pl.Binary).bin.size())
    for start in range(0, frame.height, BATCH):
        batch, lengths = frame[start : start + BATCH], sizes[start : start + BATCH]
        total = sum(value or 0 for value in lengths.sum().row(0)) if lengths.width else 0
        long: dict[int, str] = {}
        for column in lengths if total > MAX_LINE_BYTES else ():
            for row in (column > MAX_LINE_BYTES).arg_true():
                reason = f"expected at most {MAX_LINE_BYTES:,} bytes, found {column[row]:,}"
                long[row] = f"'{column.name}': {reason}"
        if long:
            is_short = pl.int_range(pl.len()).is_in(list(long)).not_()
            batch = batch.with_columns(pl.when(is_short).then(pl.all()))
        rows = batch.iter_rows(named=True, buffer_size=1 if total > MAX_BATCH else 512)
        yield from (long.get(number, values) for number, values in enumerate(rows))


def frame_reader(
    rows: Iterable[dict[str, Any] | str], size: int, header: list[str], names: ColumnNames,
    options: ReadOptions, first: int, schema: dict[str, Any],
) -> RecordReader:  # fmt: skip
    """Return the reader of `frame_rows`, whose first row has the number `first`.

    Below a header empty rows are skipped, as those of CSV are.
    """
    parser, read = RowParser(names), 0

    def parsed() -> Iterator[Row]:
        nonlocal read
        for values in rows:
            read += 1
            if isinstance(values, str):
                yield Rejected(read + first - 1, values)
            elif first == 1 or any(value is not None for value in values.values()):
                yield parser.parse(read + first - 1, values)

    return RecordReader(
        header,
        parsed(),
        names,
        options,
        size,
        lambda: read,
        schema=schema,
        has_dialogues=bool(names.dialogue),
    )
