"""JSON lines, or a JSON array: a row a line or element, or a dialogue with its turns."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

from gsa.data.types import unreadable
from gsa.datasets.cells import describe_unreadable, excerpt, name_cell
from gsa.datasets.record_lines import EXCERPT, MAX_LINE_BYTES, LineReader
from gsa.datasets.records import (
    ENCODING_HINT,
    MAX_COLUMNS,
    ReadOptions,
    RecordReader,
    Rejected,
    Row,
    RowParser,
)
from gsa.errors import InputError

MAX_BAD_LINES = 1000
"""Lines at the start of a file among which a JSON object must be."""
MAX_NESTING = 100
"""Lists and objects in one another."""
TURNS = ("turns", "messages")
"""Keys of a dialogue's turns; the second is that of chats with ``role`` and ``content``."""


class _Item(NamedTuple):
    """A JSON object with a text: a line, or a turn of a dialogue in one line."""

    row: int
    values: dict[str, Any]
    dialogue: str = ""
    turn: int = 0


def open_jsonl(lines: LineReader, options: ReadOptions) -> RecordReader:
    """Return a reader of JSON lines or of a JSON array.

    Raises InputError where no JSON object is among the first lines or elements.
    """
    lines.split_array()
    items = _items(lines, options.columns.text)
    bad: list[Rejected] = []
    first: _Item | None = None
    for item in islice(items, MAX_BAD_LINES):
        if isinstance(item, _Item):
            first = item
            break
        bad.append(item)
    if first is None:
        reason = f"none ({lines.unit} {bad[0].row}: {bad[0].reason})" if bad else "none"
        raise InputError(f"{lines.location}: expected a JSON object on a line or in an array, found {reason}")
    keys = list(first.values)
    names = options.columns.resolve(keys, f"{lines.location} {lines.unit} {first.row}")
    # Other lines may have the columns that the first one lacks.
    names = names._replace(speaker=names.speaker or "speaker", dialogue=names.dialogue or "dialogue_id")
    parser = RowParser(names, ENCODING_HINT)
    rows = _rows(chain(bad, [first], items), parser, set(keys) if options.same_keys else None)
    has_dialogues = bool(first.turn) or names.dialogue in first.values
    return RecordReader(keys, rows, names, options, has_dialogues=has_dialogues)


def _rows(items: Iterable[Rejected | _Item], parser: RowParser, keys: set[str] | None) -> Iterator[Row]:
    for item in items:
        if isinstance(item, Rejected):
            yield item
            continue
        new = next((key for key in item.values if keys is not None and key not in keys), None)
        if new is not None:
            yield Rejected(item.row, f"expected the keys of the first row, found '{new}' too", item.values)
        else:
            yield parser.parse(*item)


def _items(lines: LineReader, text: str | None) -> Iterator[Rejected | _Item]:
    """Yield the objects of all lines, of a dialogue its turns; `text` is the key of texts."""
    for line in lines:
        row = lines.number
        if line is None:
            yield Rejected(
                row, f"expected a {lines.unit} of at most {MAX_LINE_BYTES} bytes, found a longer one"
            )
            continue
        if not line.strip():
            lines.skip_blank()
            continue
        decoded = lines.decode(line)
        try:
            item = json.loads(decoded)
            json.dumps(item, ensure_ascii=False).encode()  # lone surrogates, as escapes, cannot be written
            problem = "" if _is_shallow(item) else f"more than {MAX_NESTING} nested lists and objects"
        except (ValueError, RecursionError) as error:
            problem = f"an error: {error}".splitlines()[0]
            if unreadable(decoded):
                problem = f"{describe_unreadable(decoded)}{ENCODING_HINT}"
        if problem:
            beginning = line[:EXCERPT].decode("utf-8", "backslashreplace").strip()
            yield Rejected(row, f"expected JSON in UTF-8, found {problem}", beginning)
            continue
        yield from _objects(row, item, (text,) if text else ("text", "content"))
    if lines.array and not lines.array.has_ended:
        yield Rejected(lines.number + 1, "expected a ']' that ends the array, found the end of the file")


def _is_shallow(item: Any) -> bool:
    """Return whether a JSON value has at most MAX_NESTING lists and objects in one another.

    What is nested deeper may be read but not written, as both recurse.
    """
    level = [item]
    for _ in range(MAX_NESTING + 1):
        containers = [value for value in level if isinstance(value, dict | list)]
        if not containers:
            return True
        children = (value.values() if isinstance(value, dict) else value for value in containers)
        level = list(chain.from_iterable(children))
    return False


def _objects(row: int, item: Any, texts: tuple[str, ...]) -> Iterator[Rejected | _Item]:
    if isinstance(item, str):
        item = {texts[0]: item}
    if not isinstance(item, dict):
        yield Rejected(row, f"expected an object or a text, found {item!r:.60}", item)
        return
    if len(item) > MAX_COLUMNS:
        yield Rejected(row, f"expected at most {MAX_COLUMNS:,} keys, found {len(item):,}")
        return
    text = next((key for key in texts if key in item), None)
    key = next((key for key in TURNS if key in item and (not text or isinstance(item[key], list))), None)
    if key is None:
        yield _Item(row, item)
    elif text:
        yield Rejected(row, f"expected either '{text}' or '{key}', found both", item)
    else:
        yield from _turns(row, item, key, texts[0])


def _turns(row: int, item: dict[str, Any], key: str, text: str) -> Iterator[Rejected | _Item]:
    """Yield the turns of a dialogue, of which one may also be a text alone, as that of `text`."""
    turns = item.pop(key)
    if not isinstance(turns, list) or not turns:
        yield Rejected(row, f"'{key}': expected a list of turns, found {turns!r:.60}", turns)
        return
    try:
        id = name_cell(item, "id") or f"line{row}"
    except InputError as error:
        yield Rejected(row, str(error), {**item, key: turns})
        return
    item.pop("id", None)
    for number, turn in enumerate(turns, start=1):
        if isinstance(turn, str):
            turn = {text: turn}
        if isinstance(turn, dict):
            yield _Item(row, {**item, "dialogue_id": id, "turn": number, **turn}, id, number)
        else:
            yield Rejected(row, f"turn {number} expected an object or a text, found {excerpt(turn)}", turn)
