"""Sizes of the pages of a Parquet file, read from their headers without decoding them.

A page of a few bytes may unpack to gigabytes. Polars decodes whatever it is given and does not tell the
sizes, so the headers are read here. They are structs in Thrift's compact protocol; the format's
`parquet.thrift` has the numbers of their fields. The sizes are those that a reader allocates: a page that
unpacks to more is damaged. Delta encodings expand further: a value may repeat the start of the one before
it, and lengths and numbers that do not differ take no bits. Their bounds follow from the values that a header
counts; a page that holds more of them than its header says is left to polars.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gsa.datasets.record_lines import MAX_LINE_BYTES
from gsa.errors import InputError
from gsa.progress import count_of

MAX_PAGE_BYTES = 2**28
"""Unpacked bytes of a page: a reader holds two copies of them."""
MAX_NESTED_VALUES = 2**26
"""Values of a column of lists in a row group, all of which may belong to one row."""
MAX_DELTA_VALUES = 2**24
"""Values of a page in a delta encoding: a reader decodes all lengths or numbers of it, to 12 bytes each."""
MAX_SHARED_BYTES = 2**35
"""Bytes times values of a page whose values share prefixes: a reader of some goes through those before them.
For a column of lists in a row group it is MAX_PAGE_BYTES, as all may belong to one row."""
MAX_FOOTER_BYTES = 2**26
MAGIC = b"PAR1"
DELTA_BYTE_ARRAY = 7
DELTA_ENCODINGS = (5, 6, DELTA_BYTE_ARRAY)
"""Beside it DELTA_BINARY_PACKED and DELTA_LENGTH_BYTE_ARRAY."""


@dataclass(frozen=True)
class RowGroup:
    """What reading some rows of a row group takes."""

    first: int
    """Index of its first row in the file, from 0."""
    rows: int
    row_bytes: float
    """Unpacked bytes of a row in the pages whose rows are longest; a dictionary's entries do not count."""
    shared_bytes: float
    """Bytes of a row in columns whose values share prefixes, if each is as long as its page."""


class _Page(NamedTuple):
    is_dictionary: bool
    values: int
    size: int
    """Bytes that it unpacks to, before its encoding is decoded."""
    encoding: int = 0

    @property
    def mean(self) -> float:
        """Bytes of a value, as it is encoded."""
        return self.size / max(self.values, 1)

    @property
    def shares_prefixes(self) -> bool:
        """Whether a value may repeat the start of the one before it, and so be as long as the page."""
        return self.encoding == DELTA_BYTE_ARRAY

    def exceeded_limit(self) -> str:
        """Return the limit that the page exceeds, empty if there is none."""
        if self.mean > MAX_LINE_BYTES:
            return f"at most {MAX_LINE_BYTES:,} bytes a value"
        if self.size > MAX_PAGE_BYTES:
            return f"pages of at most {MAX_PAGE_BYTES:,} bytes"
        if self.encoding in DELTA_ENCODINGS and self.values > MAX_DELTA_VALUES:
            return f"pages of at most {MAX_DELTA_VALUES:,} values in a delta encoding"
        return ""


class _Chunk(NamedTuple):
    """A column in a row group."""

    column: str
    is_nested: bool
    values: int
    offset: int
    end: int


def read_row_groups(path: Path) -> list[RowGroup]:
    """Return the row groups of a Parquet file in order.

    Raises InputError for damaged headers, and for a page or a list that would fill memory.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return list(_row_groups(data, path))
        except InputError:
            raise
        except (IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: expected a Parquet file, found a damaged header ({error})") from None


def _row_groups(data: mmap.mmap, path: Path) -> Iterator[RowGroup]:
    size = int.from_bytes(data[-8:-4], "little")
    if data[-4:] != MAGIC or size > min(len(data) - 8, MAX_FOOTER_BYTES):
        raise InputError(f"{path}: expected a footer of at most {MAX_FOOTER_BYTES:,} bytes, found {size:,}")
    footer, first = _Compact(data, len(data) - 8 - size).struct(), 0
    for group in footer.get(4) or []:
        rows = group[3]
        sizes = [_row_bytes(data, _chunk(column[3]), first, rows, path) for column in group[1]]
        yield RowGroup(first, rows, sum(mean for mean, _ in sizes), sum(shared for _, shared in sizes))
        first += rows


def _chunk(metadata: dict[int, Any]) -> _Chunk:
    path, offset = metadata[3], metadata[9]
    if 0 < metadata.get(11, 0) < offset:
        offset = metadata[11]  # of the dictionary
    column = ".".join(name.decode("utf-8", "replace") for name in path)
    return _Chunk(column, len(path) > 1, metadata[5], offset, offset + metadata[7])


def _row_bytes(data: mmap.mmap, chunk: _Chunk, first: int, rows: int, path: Path) -> tuple[float, float]:
    """Return the bytes of a row in the page of a column whose rows are longest, and with shared prefixes.

    `first` is the first row of the column's row group.
    """
    if chunk.is_nested and chunk.values > MAX_NESTED_VALUES:
        raise InputError(
            f"{path} rows {first + 1} to {first + rows}: expected lists of at most {MAX_NESTED_VALUES:,} "
            f"values together in '{chunk.column}', found {chunk.values:,}: write it in smaller row groups"
        )
    largest, longest, row, shared = 0.0, 0, first, 0
    max_shared = MAX_PAGE_BYTES if chunk.is_nested else MAX_SHARED_BYTES
    for page in _pages(data, chunk):
        last = first + rows if page.is_dictionary or chunk.is_nested else row + page.values
        limit = page.exceeded_limit()
        if page.shares_prefixes:
            longest = max(longest, page.size)
            shared = page.size * page.values + (shared if chunk.is_nested else 0)
            if shared > max_shared:
                limit = f"pages of shared prefixes with at most {max_shared:,} bytes times values"
        if limit:
            place = f"row {last}" if last == row + 1 else f"rows {row + 1} to {last}"
            raise InputError(
                f"{path} {place}: expected {limit} in column '{chunk.column}', found {page.size:,} bytes in "
                f"{count_of(page.values, 'value')}"
            )
        if not page.is_dictionary:
            row = min(row + page.values, first + rows)
            largest = max(largest, page.mean)
    values = chunk.values / max(rows, 1)
    return largest * values, longest * values


def _pages(data: mmap.mmap, chunk: _Chunk) -> Iterator[_Page]:
    position = chunk.offset
    while position < chunk.end:
        reader = _Compact(data, position)
        header = reader.struct()
        kind = next((key for key in (5, 7, 8) if key in header), 0)  # data, dictionary, data of version 2
        if kind:
            encoding = header[kind][4 if kind == 8 else 2]
            yield _Page(kind == 7, header[kind][1], header[2], encoding)
        if header[3] < 0:
            raise ValueError(f"a page of {header[3]} bytes")
        position = reader.position + header[3]


class _Compact:
    """Reads values of Thrift's compact protocol; raises IndexError or ValueError for what is none."""

    def __init__(self, data: mmap.mmap, position: int) -> None:
        self.data, self.position = data, position

    def struct(self) -> dict[int, Any]:
        """Return the fields of a struct by their number."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = head & 15 == 1 if head & 15 < 3 else self._value(head & 15)
        return fields

    def _byte(self) -> int:
        self.position += 1
        return self.data[self.position - 1]

    def _unsigned(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a number of more than 64 bits")

    def _integer(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)

    def _value(self, kind: int) -> Any:
        """Return a value; of doubles and maps, which no size is made of, None."""
        if kind < 4:
            return self._byte()
        if kind < 7:
            return self._integer()
        if kind == 7:
            self.position += 8
        elif kind == 8:
            return self._bytes()
        elif kind in (9, 10):
            return self._list()
        elif kind == 12:
            return self.struct()
        else:
            raise ValueError(f"a value of type {kind}")
        return None

    def _bytes(self) -> bytes:
        size = self._unsigned()
        self.position += size
        return self.data[self.position - size : self.position]

    def _list(self) -> list[Any]:
        head = self._byte()
        size = self._unsigned() if head >> 4 == 15 else head >> 4
        return [self._value(head & 15) for _ in range(size)]
