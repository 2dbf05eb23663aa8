"""Parquet by polars, some rows at a time: refused where a small file would fill memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gsa.datasets.parquet_pages import RowGroup, read_row_groups
from gsa.datasets.record_tables import frame_reader, frame_rows, resolve_header
from gsa.datasets.records import ReadOptions, RecordReader
from gsa.errors import InputError

MAX_SLICE_ROWS = 2**16
MAX_SLICE_BYTES = 2**25
"""Rows, and bytes of their values, that are decoded at once."""
MAX_SHARED_SLICE_BYTES = 2**27
"""The same for values that share prefixes, each counted as long as its page; only a hostile file has such."""


def open_parquet(path: Path, options: ReadOptions) -> RecordReader:
    """Return a reader of Parquet, a slice of rows at a time.

    Raises InputError for a damaged file, for texts that are none, and for pages that would fill memory.
    """
    import polars as pl  # slow to import

    try:
        scan = pl.scan_parquet(path)
        schema = dict(scan.collect_schema())
    except pl.exceptions.PolarsError as error:
        raise _damaged(path, error) from None
    header, names = resolve_header(list(schema), options.columns, str(path))
    if schema[names.text] not in (pl.String, pl.Categorical, pl.Enum):
        raise InputError(f"{path}: column '{names.text}' is {schema[names.text]}: expected texts")
    groups = read_row_groups(path)
    size = sum(group.rows for group in groups)
    return frame_reader(_rows(scan, groups, path), size, header, names, options, 1, schema)


def _rows(scan: Any, groups: list[RowGroup], path: Path) -> Iterator[dict[str, Any] | str]:
    import polars as pl

    for group in groups:
        sizes = (MAX_SLICE_BYTES, group.row_bytes), (MAX_SHARED_SLICE_BYTES, group.shared_bytes)
        step = max(1, min(MAX_SLICE_ROWS, *(int(limit / max(size, 1)) for limit, size in sizes)))
        for start in range(0, group.rows, step):
            try:
                frame = scan.slice(group.first + start, min(step, group.rows - start)).collect()
            except pl.exceptions.PolarsError as error:
                raise _damaged(path, error) from None
            yield from frame_rows(frame)


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: expected a Parquet file, found an error: {error}".splitlines()[0])
