"""Text files: one text a line, or a conversation as chat programs copy it."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from gsa.datasets.chat import is_conversation, join_continued, parse_line
from gsa.datasets.record_lines import LineReader
from gsa.datasets.records import ColumnNames, ReadOptions, RecordReader, Rejected, Row, RowParser
from gsa.errors import InputError

logger = logging.getLogger(__name__)

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

    Its options have the format that was found.
    """
    numbered = _numbered(lines)
    head = list(islice(numbered, HEAD))
    if not is_conversation([text for _, text in head]):
        return _texts(chain(head, numbered), lines, replace(options, format="txt"))
    logger.info("%s: read as one conversation; --format txt reads each line alone", lines.location)
    return _chat(chain(head, numbered), lines, replace(options, format="chat"))


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
    parser, rows = RowParser(names), _first(rows, lines)
    return RecordReader(["text"], (parser.parse(row, {"text": text}) for row, text in rows), names, options)


def _chat(rows: Iterator[tuple[int, str]], lines: LineReader, options: ReadOptions) -> RecordReader:
    options.columns.resolve(CHAT_COLUMNS, lines.location)
    names = ColumnNames("text", "speaker", "dialogue_id")
    parser, rows = RowParser(names), _first(rows, lines)
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
