"""Text files: one text a line, or a conversation as chat programs copy it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from gsa.datasets.chat import is_conversation, join_continued, parse_line, resembles_conversation
from gsa.datasets.record_lines import LineReader
from gsa.datasets.records import (
    ENCODING_HINT,
    ColumnNames,
    ReadOptions,
    RecordReader,
    Rejected,
    Row,
    RowParser,
)
from gsa.errors import InputError

HEAD = 200
"""Lines at the start of a file that tell whether it is a conversation."""
CHAT_COLUMNS = ["dialogue_id", "turn", "speaker", "text"]


def open_texts(lines: LineReader, options: ReadOptions) -> RecordReader:
    """Return a reader of a file with one text a line; raises InputError for an empty file."""
    return _texts(_numbered(lines), lines, options)


def open_chat(lines: LineReader, options: ReadOptions) -> RecordReader:
    """Return a reader of a file that is one conversation; raises InputError for an empty file."""
    return _chat(_numbered(lines), lines, options)


def open_text_file(lines: LineReader, options: ReadOptions) -> RecordReader:
    """Return a reader of a conversation if its first lines name speakers, of one text a line otherwise.

    Its options have the format that was found, and its `note` says so where that may be a mistake.
    """
    numbered = _numbered(lines)
    head = list(islice(numbered, HEAD))
    texts = [text for _, text in head]
    if is_conversation(texts, options.untimed_chats):
        reader = _chat(chain(head, numbered), lines, replace(options, format="chat"))
        reader.note = f"{lines.location}: read as one conversation; --format txt reads each line alone"
    else:
        reader = _texts(chain(head, numbered), lines, replace(options, format="txt"))
        if resembles_conversation(texts):
            reader.note = (
                f"{lines.location}: read as one text a line, though lines look like turns of a conversation; "
                "--format chat reads it as one"
            )
    return reader


def _numbered(lines: LineReader) -> Iterator[tuple[int, str]]:
    for line in lines.text():
        if line.strip():
            yield lines.number, line.rstrip("\r\n")
        else:
            lines.skip_blank()


def _first(rows: Iterator[tuple[int, str]], lines: LineReader) -> Iterator[tuple[int, str]]:
    first = next(rows, None)
    if first is None:
        raise InputError(f"{lines.location}: expected a text on a line, found an empty file")
    return chain([first], rows)


def _texts(rows: Iterator[tuple[int, str]], lines: LineReader, options: ReadOptions) -> RecordReader:
    names = options.columns.resolve(["text"], lines.location)
    parser, rows = RowParser(names, ENCODING_HINT), _first(rows, lines)
    return RecordReader(["text"], (parser.parse(row, {"text": text}) for row, text in rows), names, options)


def _chat(rows: Iterator[tuple[int, str]], lines: LineReader, options: ReadOptions) -> RecordReader:
    options.columns.resolve(CHAT_COLUMNS, lines.location)
    names = ColumnNames("text", "speaker", "dialogue_id")
    parser, rows = RowParser(names, ENCODING_HINT), _first(rows, lines)
    turns = _turns(rows, parser)
    return RecordReader(CHAT_COLUMNS, turns, names, options, has_dialogues=True, is_dialogue=True)


def _turns(rows: Iterator[tuple[int, str]], parser: RowParser) -> Iterator[Row]:
    for turn, (row, line) in enumerate(join_continued(rows), start=1):
        try:
            utterance = parse_line(line, row)
        except InputError as error:
            yield Rejected(row, str(error), line)
            continue
        values: dict[str, Any] = {"dialogue_id": "chat", "turn": turn, "speaker": utterance.speaker}
        yield parser.parse(row, {**values, "text": utterance.text})
