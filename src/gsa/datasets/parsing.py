"""What every reader shares: text, tables and JSON in, turns and examples out, errors that say where.

A file is UTF-8, with or without a byte order mark, with Unix or Windows line ends. Where older copies
of a dataset are known to be Windows-1252, a reader names that as the ``fallback``: then a file that is
not valid UTF-8 from its first byte to its last is read as Windows-1252, the whole of it; never a mix.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gsa.data.types import Dialogue, Example, Utterance
from gsa.errors import InputError, suggest

T = TypeVar("T")

FIELD_LIMIT = 2**31 - 1
"""The csv module's own limit is 128 KiB a field; this is the largest that fits every platform's C long."""


class Line(NamedTuple):
    """A line of a file, without its end."""

    where: str
    """File and line, as messages begin."""
    text: str


class Row(NamedTuple):
    """A row of a table."""

    where: str
    """File and line, as messages begin."""
    values: Mapping[str, str]


class Turn(NamedTuple):
    """A turn as a reader found it."""

    where: str
    """File and line or key, as messages begin."""
    id: str
    text: str
    speaker: str = ""
    label: str | None = None
    """Gold label of a target; None for a turn that is only context."""
    dialogue: str = ""
    """Id of its dialogue; empty for a lone sentence."""


def text(path: Path, fallback: str = "") -> str:
    """Return a file's text, Windows line ends made Unix ones; raises InputError for what is no text."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: expected a readable file, found none ({reason})") from error
    if not raw.strip():
        raise InputError(f"{path}: expected text, found an empty file")
    if b"\0" in raw:
        raise InputError(f"{path} line {_line_of(raw, raw.index(0))}: expected text, found a NUL byte")
    return _decode(path, raw, fallback).removeprefix("\ufeff").replace("\r\n", "\n")


def _decode(path: Path, raw: bytes, fallback: str) -> str:
    for encoding in ("utf-8", fallback):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            if encoding == (fallback or "utf-8"):
                line = _line_of(raw, error.start)
                found = f"byte 0x{raw[error.start]:02X}"
                raise InputError(f"{path} line {line}: expected {encoding} text, found {found}") from error
    raise AssertionError("unreachable: the last encoding returns or raises")  # pragma: no cover


def _line_of(raw: bytes, offset: int) -> int:
    return raw.count(b"\n", 0, offset) + 1


def lines(path: Path, fallback: str = "") -> list[Line]:
    """Return the lines of a file, blank ones too: other files align with them by number.

    Only a line feed ends a line. ``str.splitlines`` would also break at characters that tweets hold.
    """
    found = text(path, fallback).split("\n")
    if not found[-1]:
        found.pop()
    return [Line(f"{path} line {number}", line) for number, line in enumerate(found, start=1)]


def rows(path: Path, columns: Sequence[str], delimiter: str = ",", fallback: str = "") -> Iterator[Row]:
    """Yield the rows of a table with a header; quoted fields may hold newlines and be of any size."""
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text(path, fallback), newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    start = 1
    try:
        for values in reader:
            where, start = f"{path} line {start}", reader.line_num + 1
            if not values:
                continue
            if not header:
                header = _header(where, values, columns)
            elif len(values) != len(header):
                raise InputError(f"{where}: expected {len(header)} fields, found {len(values)}")
            else:
                yield Row(where, dict(zip(header, values, strict=True)))
    except csv.Error as error:
        raise InputError(
            f"{path} line {start}: expected a row of a table, found an error: {error}"
        ) from error


def _header(where: str, found: Sequence[str], columns: Sequence[str]) -> list[str]:
    header = [name.strip() for name in found]
    for column in columns:
        if column not in header:
            raise InputError(f"{where}: expected a column '{column}', found {', '.join(header)}")
        if header.count(column) > 1:
            raise InputError(f"{where}: expected one column '{column}', found {header.count(column)}")
    return header


def parse_json(source: str, where: str) -> Any:
    """Return the value of a JSON text; raises InputError for broken JSON."""
    try:
        return json.loads(source)
    # Not only JSONDecodeError: a number of thousands of digits is a plain ValueError.
    except ValueError as error:
        raise InputError(f"{where}: expected JSON, found an error: {error}") from error
    except RecursionError as error:
        raise InputError(f"{where}: expected JSON, found one nested too deeply") from error


def read_json(path: Path) -> Any:
    """Return the value of a JSON file."""
    return parse_json(text(path), str(path))


def typed(value: object, kind: type[T], where: str) -> T:
    """Return a JSON value that must be of one kind."""
    if not isinstance(value, kind):
        raise InputError(f"{where}: expected {_KINDS[kind]}, found {_shown(value)}")
    return value


def member(value: object, key: str, kind: type[T], where: str) -> T:
    """Return the member of a JSON object that must be there and of one kind."""
    found = typed(value, dict, where)
    if key not in found:
        raise InputError(f"{where}: expected a key '{key}', found {', '.join(map(str, found)) or 'none'}")
    return typed(found[key], kind, f"{where} key '{key}'")


_KINDS: Mapping[type, str] = {
    bool: "true or false",
    dict: "an object",
    int: "a whole number",
    list: "a list",
    str: "a text",
}


def _shown(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def choose(value: str, table: Mapping[str, T], where: str) -> T:
    """Return what a file's own label stands for; raises InputError for one that it should not hold."""
    try:
        return table[value]
    except KeyError:
        near = suggest(value, table)
        raise InputError(f"{where}: expected one of {', '.join(table)}, found '{value}'{near}") from None


def examples(turns: Iterable[Turn], dataset: str) -> list[Example]:
    """Return the examples of a split: labelled turns are the targets, the others only context.

    Turns of one dialogue need not stand together; they keep their order, and their examples share
    one Dialogue. Raises InputError for an id that is there twice.
    """
    groups: dict[tuple[bool, str], list[Turn]] = {}
    seen: dict[str, str] = {}
    for turn in turns:
        if turn.id in seen:
            raise InputError(f"{turn.where}: expected a new id, found '{turn.id}' of {seen[turn.id]} again")
        seen[turn.id] = turn.where
        # A lone sentence never joins a dialogue that happens to be called as it is.
        groups.setdefault((bool(turn.dialogue), turn.dialogue or turn.id), []).append(turn)
    found = []
    for (_, name), group in groups.items():
        dialogue = Dialogue(name, tuple(Utterance(turn.text.strip(), turn.speaker.strip()) for turn in group))
        for index, turn in enumerate(group):
            if turn.label is not None:
                found.append(Example(turn.id, dataset, dialogue, index, turn.label))
    return found


def stable_hash(word: str) -> int:
    """Return a number that depends on a text alone, not on the machine, the version or a seed."""
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
