"""Values of rows as people's programs write them: numbers, missing values, chats, label lists."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gsa.data.types import is_blank
from gsa.datasets.record_files import format_of, open_records
from gsa.datasets.records import (
    ColumnNames,
    Columns,
    ReadOptions,
    Record,
    Rejected,
    RowParser,
    checked_delimiter,
)
from gsa.errors import InputError


def parsed(values: dict[str, Any], **names: str) -> Any:
    return RowParser(ColumnNames("text", **names)).parse(1, {"text": "a", **values})


def test_speakers_and_ids_may_be_numbers() -> None:
    names = {"speaker": "who", "dialogue": "talk"}
    for who, talk, expected in (
        (0, 1.0, ("0", "1")), (None, float("nan"), ("", "")), (" Ana ", "7", ("Ana", "7")),
        (2.5, 10**20, ("2.5", str(10**20))),
    ):  # fmt: skip
        record = parsed({"who": who, "talk": talk}, **names)
        assert (record.speaker, record.dialogue) == expected
    for value in (True, [1], {"a": 1}):
        rejected = parsed({"who": value}, **names)
        assert rejected.reason.startswith("'who': expected a text or a number, found ")


def test_chats_with_role_and_content_are_read_as_speaker_and_text(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    chat = [
        {"role": "user", "content": "Hi", "time": 3},
        {"role": None, "content": "Oh"},
        {"role": 0, "content": None},
    ]
    flat = {"role": "user", "content": "Fine", "dialogue_id": 4}
    for key in ("turns", "messages"):
        path.write_text(json.dumps({"id": 9, key: chat}) + "\n" + json.dumps(flat) + "\n")
        reader = open_records(path, ReadOptions("jsonl"))
        rows = list(reader.rows)
        assert reader.has_dialogues
        records = [(r.text, r.speaker, r.dialogue, r.turn) for r in rows if isinstance(r, Record)]
        assert records == [("Hi", "user", "9", 1), ("Oh", "", "9", 2), ("Fine", "user", "4", 0)]
        assert rows[0].values["time"] == 3, "further keys are carried along"
        assert rows[2].reason == "turn 3 'content': expected a text, found none"
    table = tmp_path / "in.csv"
    table.write_text("role,content\nuser,Hi\n")
    (record,) = open_records(table, ReadOptions("csv")).rows
    assert isinstance(record, Record)
    assert (record.text, record.speaker) == ("Hi", "user")


def test_numbers_of_parquet_are_speakers_and_ids(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pl.DataFrame({"text": ["a", "b"], "speaker": [0, None], "dialogue_id": [1.0, None]}).write_parquet(path)
    rows = list(open_records(path, ReadOptions(format_of(path))).rows)
    assert [(r.speaker, r.dialogue) for r in rows if isinstance(r, Record)] == [("0", "1"), ("", "")]


def test_sort_keys_order_numbers_and_times() -> None:
    for values in (
        [-1, 2, 10.5], ["2", "10"], ["9:05", "10:01", "10:02"], ["2024-01-09T23:00", "2024-01-10T01:00"],
        ["turn 2", "turn 10"], [1, "09", "x"], [Decimal("2.4"), "2.5", Decimal("2.6"), 10**400],
    ):  # fmt: skip
        keys = [parsed({"t": value}, order="t").order for value in values]
        assert keys == sorted(keys)
        assert len(set(keys)) == len(keys)
    for value in (None, " ", float("nan")):
        assert parsed({"t": value}, order="t").reason == "'t': expected a value to sort turns by, found none"


def test_aspects_instructions_and_label_lists_may_be_columns() -> None:
    names = {"aspect": "a", "instruction": "i", "labels": "l"}
    record = parsed({"a": "food", "i": "How is it?", "l": "bad, good ,so so"}, **names)
    assert (record.aspect, record.instruction, record.labels) == (
        "food",
        "How is it?",
        ("bad", "good", "so so"),
    )
    assert parsed({"l": ["bad", 1]}, **names).labels == ("bad", "1")
    assert parsed({"l": None}, **names).labels == parsed({"l": ""}, **names).labels == ()
    for value in (5, {"a": 1}, [], ["a", None], "a,,b"):
        assert parsed({"l": value}, **names).reason.startswith("'l': expected a list of labels, found ")


def test_a_column_without_a_name_is_no_aspect() -> None:
    """As the index that pandas writes to CSV."""
    assert parsed({"": "0"}).aspect == ""
    assert parsed({"": "0", "a": "food"}, aspect="a").aspect == "food"
    assert parsed({"a": ["food"]}, aspect="a").aspect == "", "of use only to a task about an aspect"


def test_text_that_shows_nothing_is_empty() -> None:
    nothing = ["", " \n\t", "\u200b\u200d\ufeff", "\u2060 \u00ad", "\u200e", "\ufe0f", "\x07"]
    assert all(map(is_blank, nothing))
    assert not any(map(is_blank, ["a", "\u200ba", "👍🏽", "好", ".", "\u0639"]))
    assert isinstance(parsed({"text": "\u200b"}), Rejected)


def test_delimiters_have_names() -> None:
    assert [checked_delimiter(name) for name in ("", ";", "tab", "\\t", "\t")] == ["", ";", "\t", "\t", "\t"]
    for name in (";;", '"', "\n"):
        with pytest.raises(InputError, match=r"--delimiter .*expected one character, such as ; or tab"):
            checked_delimiter(name)


def test_a_column_has_a_role_in_messages() -> None:
    for columns, role in (
        (Columns(order="t"), "order"),
        (Columns(aspect="t"), "aspect"),
        (Columns(labels="t"), "labels"),
    ):
        with pytest.raises(
            InputError, match=f"found no column 't'.*expected the {role} column to be one of text"
        ):
            columns.resolve(["text"], "in.csv")
