"""Users' files, read one row at a time in constant memory: tables, JSON lines, texts and conversations.

A table (CSV, TSV, Parquet, Excel) has a column of texts and, where wanted, of speakers, dialogue ids, ids and
labels. JSON, by line or in one array, has the same keys, or dialogues, ``{"id": ..., "turns": [{"text": ...},
...]}``. A text file has one text a line, or is a conversation. A row that cannot be read is returned as a
Rejected with the reason, and never ends the file.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from gsa.datasets import record_excel, record_json, record_parquet, record_tables, record_texts
from gsa.datasets.record_lines import LineReader, find_encoding
from gsa.datasets.records import ReadOptions, RecordReader
from gsa.errors import InputError, suggest

FORMATS = ("csv", "tsv", "jsonl", "parquet")
"""What is read and written."""
INPUT_FORMATS = (*FORMATS, "xlsx", "txt", "chat")
"""What is read."""
SUFFIXES = {"ndjson": "jsonl", "json": "jsonl"}
"""Suffixes that are not the name of their format."""
STREAMED_SUFFIXES = (*FORMATS, *SUFFIXES, "txt")
"""Suffixes of files that are read in constant memory."""
INPUT_SUFFIXES = (*STREAMED_SUFFIXES, "gz", "xlsx")
"""Suffixes of files that are read; `.gz` stands behind that of a text format."""
BINARY = {"parquet": record_parquet.open_parquet, "xlsx": record_excel.open_excel}
TEXT = {
    "csv": record_tables.open_csv,
    "tsv": record_tables.open_csv,
    "jsonl": record_json.open_jsonl,
    "txt": record_texts.open_texts,
    "chat": record_texts.open_chat,
    "": record_texts.open_text_file,
}


def format_of(path: Path | None, name: str = "") -> str:
    """Return an input's format: `name` if given, else that of its suffix; JSONL for a stream.

    A .txt file has the format "": its content tells whether it is texts or a conversation. Raises InputError
    for an unknown format.
    """
    if name or not path:
        return _known(name or "jsonl", INPUT_FORMATS, f"--format '{name}'")
    inner = Path(path.stem) if path.suffix.lower() == ".gz" else path
    format = _known(_suffix(inner), INPUT_FORMATS, f"'{path}'")
    if format in BINARY and inner is not path:
        raise InputError(f"'{path}': expected {format} that is not compressed, found '{path.suffix}'")
    return "" if format == "txt" else format


def output_format_of(path: Path) -> str:
    """Return the format that an output's suffix names; raises InputError for one that is not written."""
    suffix = path.suffix.lower()
    return _known("json" if suffix == ".json" else _suffix(path), FORMATS, f"--output '{path}'")


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower().removeprefix(".")
    return SUFFIXES.get(suffix, suffix)


def _known(format: str, formats: Sequence[str], origin: str) -> str:
    if format not in formats:
        near = suggest(format, formats)
        raise InputError(f"{origin}: expected one of {', '.join(formats)}, found '{format}'{near}")
    return format


def is_readable(path: Path) -> bool:
    """Return whether a file's suffix names a format that is read."""
    try:
        format_of(path)
    except InputError:
        return False
    return True


def open_records(path: Path | None, options: ReadOptions, stream: BinaryIO | None = None) -> RecordReader:
    """Return a reader of a file, or of a byte stream where `path` is None.

    Raises InputError for a file that is missing, empty or of another format, and for missing columns.
    """
    location = str(path) if path else "standard input"
    if path and not path.is_file():
        raise InputError(f"{location}: expected a file, found {'a folder' if path.is_dir() else 'none'}")
    if options.format in BINARY:
        if not path:
            text_formats = ", ".join(name for name in INPUT_FORMATS if name not in BINARY)
            raise InputError(f"standard input cannot be {options.format}: expected one of {text_formats}")
        return BINARY[options.format](path, options)
    if path and not options.encoding:
        options = replace(options, encoding=find_encoding(path))
    source = path.open("rb") if path else stream
    assert source is not None, "a stream is needed where there is no path"
    try:
        lines = LineReader(source, location, options.encoding)
        reader = TEXT[options.format](lines, options)
    except InputError as error:
        if path:
            source.close()
            raise
        if options.format != "jsonl":
            raise
        raise InputError(f"{error}; --format csv or txt reads a table, or a text a line") from None
    reader.options = replace(reader.options, encoding=lines.encoding)
    reader.size = path.stat().st_size if path else 0
    reader.position, reader.close = lines.position, lines.close
    reader.blank_lines = lambda: lines.blank_lines
    return reader
