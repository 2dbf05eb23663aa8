"""Excel files by polars, as a whole: refused where a small file would fill memory."""

import re
import zipfile
from pathlib import Path

from gsa.datasets.record_tables import frame_reader, frame_rows, resolve_header
from gsa.datasets.records import ReadOptions, RecordReader
from gsa.errors import InputError

MAX_WORKBOOK = 2**28
"""Bytes of an Excel file without its compression; it is read as a whole."""
MAX_CELLS = 2**26
"""Cells of an Excel sheet, empty ones included: a million rows of 64 columns."""
SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
DIMENSION = re.compile(rb'<dimension ref="[A-Z]+[0-9]+:([A-Z]{1,3})([0-9]{1,7})"')


def open_excel(path: Path, options: ReadOptions) -> RecordReader:
    """Return a reader of an Excel file's first sheet, with every value as a text.

    Raises InputError for a damaged file, for one that is too large, and where its reader is not installed.
    """
    import polars as pl  # slow to import

    _check_workbook(path)
    try:
        frame = pl.read_excel(path, engine="calamine", has_header=False, infer_schema_length=0,
                              drop_empty_rows=False, drop_empty_cols=False, raise_if_empty=False)  # fmt: skip
    except ImportError:
        raise InputError(
            f"{path}: Excel files need the extra 'excel': pip install '.[excel]' in a clone"
        ) from None
    except Exception as error:  # the reader's own exceptions are not public
        raise InputError(f"{path}: expected an Excel file, found an error: {error}".splitlines()[0]) from None
    header = [re.sub(r"\s+", " ", name or "").strip() for name in frame.row(0)] if frame.height else []
    if not header:
        raise InputError(f"{path}: expected a header and rows, found an empty sheet")
    header, names = resolve_header(header, options.columns, str(path))
    frame.columns = header
    return frame_reader(frame_rows(frame[1:]), frame.height - 1, header, names, options, 2, {})


def _check_workbook(path: Path) -> None:
    """Raise InputError for what is no zip archive, for a damaged one, and for one that would fill memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
            if size > MAX_WORKBOOK:
                raise InputError(
                    f"{path}: expected an Excel file of at most {MAX_WORKBOOK:,} bytes unpacked, found "
                    f"{size:,}: save it as CSV"
                )
            damaged = next((info.filename for info in archive.infolist() if not _is_whole(archive, info)), "")
            for name in archive.namelist() if not damaged else []:
                if SHEET.fullmatch(name) and (cells := _cells(archive, name)) > MAX_CELLS:
                    raise InputError(
                        f"{path}: expected a sheet of at most {MAX_CELLS:,} cells, found {cells:,}, empty "
                        "ones included: save it as CSV"
                    )
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path}: expected an Excel file (.xlsx), found an error: {error}") from None
    if damaged:
        raise InputError(f"{path}: expected a whole Excel file, found damage in '{damaged}'")


def _is_whole(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Return whether a file unpacks to what the archive says of it, and to no more bytes than it says."""
    size, left = info.file_size, info.file_size
    info.file_size += 1  # beyond which zipfile reads nothing, whatever there is
    try:
        with archive.open(info) as file:
            while block := file.read(2**20):
                left -= len(block)
    except zipfile.BadZipFile:  # its checksum differs
        return False
    finally:
        info.file_size = size
    return not left


def _cells(archive: zipfile.ZipFile, sheet: str) -> int:
    """Return the number of cells of a sheet, empty ones included, as its head says."""
    with archive.open(sheet) as file:
        match = DIMENSION.search(file.read(2**16))
    if not match:
        return 0
    width = 0
    for letter in match[1]:
        width = 26 * width + letter - ord("A") + 1
    return width * int(match[2])
