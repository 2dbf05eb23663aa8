"""The shared skeleton of dataset readers: files in, turns and examples out, errors that name the place.

A file is UTF-8, with or without a byte order mark, with Unix or Windows line endings. Where older copies of
a dataset are known to be Windows-1252, its reader passes that as the ``fallback``: a file that is not valid
UTF-8 is then decoded as Windows-1252 as a whole, never as a mixture.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gsa.data.types import Dialogue, Example, Utterance
from gsa.errors import InputError, suggest

T = TypeVar("T")

FIELD_LIMIT = 2**31 - 1
"""Characters a field may have: the largest C long of every platform. The csv module allows 128 KiB."""


class Line(NamedTuple):
    """A line of a file without its line ending."""

    location: str
    """File and line number, the beginning of an error message."""
    text: str


class Row(NamedTuple):
    """A row of a table."""

    location: str
    """File and line number, the beginning of an error message."""
    values: Mapping[str, str]
    """The fields by column name."""


class Turn(NamedTuple):
    """A turn as it stands in a file."""

    location: str
    """File and line or key, the beginning of an error message."""
    id: str
    text: str
    speaker: str = ""
    label: str | None = None
    """Gold label of a target; None for a turn that is only context."""
    dialogue: str = ""
    """Id of its dialogue; empty for a single sentence."""
    aspect: str = ""
    """What is asked about, for a task that asks about an aspect."""


def read_text(path: Path, fallback: str = "") -> str:
    """Return the text of a file with Unix line endings.

    Raises InputError for a file that is unreadable, empty or binary, or that neither UTF-8 nor the
    ``fallback`` encoding decodes.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: expected a readable file, found none ({reason})") from error
    if not raw.strip():
        raise InputError(f"{path}: expected text, found an empty file")
    if b"\0" in raw:
        raise InputError(f"{path} line {_line_number(raw, raw.index(0))}: expected text, found a NUL byte")
    return _decode(path, raw, fallback).removeprefix("\ufeff").replace("\r\n", "\n")


def _decode(path: Path, raw: bytes, fallback: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        failure = error
    if fallback:
        try:
            return raw.decode(fallback)
        except UnicodeDecodeError as error:
            failure = error
    place = f"{path} line {_line_number(raw, failure.start)}"
    raise InputError(f"{place}: expected {fallback or 'utf-8'} text, found byte 0x{raw[failure.start]:02X}")


def _line_number(raw: bytes, offset: int) -> int:
    return raw.count(b"\n", 0, offset) + 1


def read_lines(path: Path, fallback: str = "") -> list[Line]:
    """Return the lines of a file, blank ones too, because other files align with them by number.

    Only a line feed ends a line: ``str.splitlines`` would also split at characters that occur in tweets.
    Raises InputError as `read_text` does.
    """
    lines = read_text(path, fallback).split("\n")
    if not lines[-1]:
        lines.pop()
    return [Line(f"{path} line {number}", line) for number, line in enumerate(lines, start=1)]


def read_table(path: Path, columns: Sequence[str], fallback: str = "") -> Iterator[Row]:
    """Yield the rows of a delimited table with a header; quoted fields may hold newlines and have any size.

    Raises InputError as `read_text` does, for a header that does not have each of ``columns`` exactly once,
    and for a malformed row.
    """
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv.reader(io.StringIO(read_text(path, fallback), newline=""), strict=True)
    header: list[str] = []
    start = 1
    try:
        for values in reader:
            location, start = f"{path} line {start}", reader.line_num + 1
            if not values:
                continue
            if not header:
                header = _header(location, values, columns)
            elif len(values) != len(header):
                raise InputError(f"{location}: expected {len(header)} fields, found {len(values)}")
            else:
                yield Row(location, dict(zip(header, values, strict=True)))
    except csv.Error as error:
        raise InputError(
            f"{path} line {start}: expected a row of a table, found an error: {error}"
        ) from error


def _header(location: str, names: Sequence[str], columns: Sequence[str]) -> list[str]:
    header = [name.strip() for name in names]
    for column in columns:
        if column not in header:
            raise InputError(f"{location}: expected a column '{column}', found {', '.join(header)}")
        if header.count(column) > 1:
            raise InputError(f"{location}: expected one column '{column}', found {header.count(column)}")
    return header


def read_json(path: Path) -> Any:
    """Return the value of a JSON file; raises InputError for malformed JSON, and as `read_text` does."""
    text = read_text(path)
    try:
        return json.loads(text)
    # Not only JSONDecodeError: a number of thousands of digits is a plain ValueError.
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, found an error: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: expected JSON, found one nested too deeply") from error


def require_type(value: object, kind: type[T], location: str) -> T:
    """Return a JSON value if it has the given type; raises InputError otherwise."""
    if not isinstance(value, kind):
        excerpt = json.dumps(value, ensure_ascii=False)
        excerpt = excerpt if len(excerpt) <= 60 else f"{excerpt[:57]}..."
        raise InputError(f"{location}: expected {_TYPE_NAMES[kind]}, found {excerpt}")
    return value


def require_key(value: object, key: str, kind: type[T], location: str) -> T:
    """Return a member of a JSON object; raises InputError if it is missing or of another type."""
    members = require_type(value, dict, location)
    if key not in members:
        raise InputError(
            f"{location}: expected a key '{key}', found {', '.join(map(str, members)) or 'none'}"
        )
    return require_type(members[key], kind, f"{location} key '{key}'")


_TYPE_NAMES: Mapping[type, str] = {
    bool: "true or false",
    dict: "an object",
    int: "a whole number",
    list: "a list",
    str: "a text",
}


def lookup(value: str, table: Mapping[str, T], location: str) -> T:
    """Return what a table has for a file's value, such as a label; raises InputError for any other value."""
    try:
        return table[value]
    except KeyError:
        near = suggest(value, table)
        raise InputError(f"{location}: expected one of {', '.join(table)}, found '{value}'{near}") from None


def build_examples(turns: Iterable[Turn], dataset: str) -> list[Example]:
    """Return the examples of a split: labelled turns are targets, the others are context only.

    Turns of one dialogue need not be adjacent; they keep their order, and their examples share one
    Dialogue. Raises InputError for a duplicate id.
    """
    groups: dict[tuple[bool, str], list[Turn]] = {}
    locations: dict[str, str] = {}
    for turn in turns:
        if turn.id in locations:
            first = locations[turn.id]
            raise InputError(f"{turn.location}: expected a unique id, found '{turn.id}', as at {first}")
        locations[turn.id] = turn.location
        # A single sentence never joins a dialogue whose id happens to be the sentence's.
        groups.setdefault((bool(turn.dialogue), turn.dialogue or turn.id), []).append(turn)
    examples = []
    for (_, name), group in groups.items():
        dialogue = Dialogue(name, tuple(Utterance(turn.text.strip(), turn.speaker.strip()) for turn in group))
        for index, turn in enumerate(group):
            if turn.label is not None:
                examples.append(Example(turn.id, dataset, dialogue, index, turn.label, turn.aspect))
    return examples


def unquoted(field: str) -> str:
    """Return a field of a table without the quotation of CSV: outer marks gone, doubled ones single."""
    if len(field) > 1 and field.startswith('"') and field.endswith('"'):
        return field[1:-1].replace('""', '"')
    return field


def fingerprint(text: str) -> str:
    """Return a short hash of a text's letters and digits, to compare texts by."""
    return hashlib.sha256("".join(re.findall(r"[^\W_]", text.casefold())).encode()).hexdigest()[:16]


def stable_hash(word: str) -> int:
    """Return a 64-bit hash of a text that is the same on every machine and in every version."""
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
