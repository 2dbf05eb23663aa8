"""Text files: a text a line, or a pasted conversation."""

import io
from pathlib import Path
from typing import Any

import pytest

from gsa.datasets.record_files import format_of, open_records
from gsa.datasets.records import ReadOptions, Record, RecordReader, Rejected
from gsa.errors import InputError


def opened(tmp_path: Path, content: str, format: str = "") -> RecordReader:
    path = tmp_path / "in.txt"
    path.write_text(content, encoding="utf-8")
    return open_records(path, ReadOptions(format_of(path, format)))


def turns(reader: RecordReader) -> list[tuple[Any, ...]]:
    return [(r.row, r.dialogue, r.speaker, r.text) for r in reader.rows if isinstance(r, Record)]


def test_a_line_is_a_text(tmp_path: Path) -> None:
    reader = opened(tmp_path, "It was fine.\r\n\n  \nNote: it broke, twice.\n\u200b\nlast")
    assert reader.columns == ["text"]
    rows = list(reader.rows)
    assert [(r.row, r.text) for r in rows if isinstance(r, Record)] == [
        (1, "It was fine."), (4, "Note: it broke, twice."), (6, "last"),
    ]  # fmt: skip
    assert [(r.row, r.reason) for r in rows if isinstance(r, Rejected)] == [
        (5, "'text': expected a text, found an empty one")
    ]


def test_standard_input_may_be_texts() -> None:
    reader = open_records(None, ReadOptions(format_of(None, "txt")), io.BytesIO(b"fine\nbad\n"))
    assert [row.text for row in reader.rows if isinstance(row, Record)] == ["fine", "bad"]
    reader = open_records(None, ReadOptions("chat"), io.BytesIO(b"Ana: hi\n"))
    assert turns(reader) == [(1, "chat", "Ana", "hi")]


def test_a_pasted_chat_is_a_conversation(tmp_path: Path) -> None:
    reader = opened(tmp_path, "[12:04] Anna: hi\n[12:05] Ben: oh\nreally?\n\n[12:06] Anna: no\n")
    assert reader.columns == ["dialogue_id", "turn", "speaker", "text"]
    assert reader.has_dialogues
    assert turns(reader) == [
        (1, "chat", "Anna", "hi"), (2, "chat", "Ben", "oh\nreally?"), (5, "chat", "Anna", "no"),
    ]  # fmt: skip
    reader = opened(tmp_path, "Anna: hi\nBen: oh\nAnna:\n")
    rows = list(reader.rows)
    assert isinstance(rows[2], Rejected)
    assert (rows[2].row, rows[2].reason) == (3, "line 3: expected a text after 'Anna:', found none")


def test_the_format_may_say_which(tmp_path: Path) -> None:
    chat = "Anna: hi\nBen: oh\n"
    assert [row.text for row in opened(tmp_path, chat, "txt").rows if isinstance(row, Record)] == [
        "Anna: hi", "Ben: oh",
    ]  # fmt: skip
    titled = "".join(f"Title {i}: a text\n" for i in range(9))
    assert opened(tmp_path, titled).columns == ["text"], "nobody speaks twice"
    assert opened(tmp_path, titled, "chat").columns[2] == "speaker"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    for format in ("", "txt", "chat"):
        with pytest.raises(InputError, match="expected a text on a line, found an empty file"):
            opened(tmp_path, "\n \n", format)
