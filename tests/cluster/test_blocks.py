"""Blocks: each row in one of them whoever reads it, dialogues whole, bad rows with their file and line."""

import json
import pickle
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jobs import Fake

from gsa.cluster.blocks import InputFiles, PlacedRow, find_files, label_block, open_files
from gsa.data.task import EMOTION, SENTIMENT, Task
from gsa.datasets.records import Columns, ReadOptions
from gsa.errors import InputError
from gsa.prediction.job import JobConfig, Labeller
from gsa.prediction.parts import Part
from gsa.prediction.writers import Writer
from gsa.progress import Progress


def opened(
    folder: Path, task: Task = EMOTION, id_column: str = "", order: str = ""
) -> tuple[InputFiles, Labeller]:
    read = ReadOptions("", Columns(order=order or None))
    inputs, first = open_files(folder, read, task.context, id_column)
    config = JobConfig(None, read, task, "parquet")
    writer = Writer.for_task("jsonl", first, task, "")
    return inputs, Labeller(config, writer, Fake(), Progress("x", disable=True))


def rows_of(inputs: InputFiles) -> list[dict[str, Any]]:
    """Return the rows of all files, as Ray gets them."""
    tables = [table for file in range(len(inputs.files)) for table in inputs.read(file)]
    return [
        {"key": key, "id": id, "row": pickle.loads(row)}
        for table in tables
        for key, id, row in zip(table["key"], table["id"], table["row"], strict=True)
    ]


def values(part: Part) -> list[dict[str, Any]]:
    return [json.loads(line) for line in part.output.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two conversations in two files, their turns shuffled."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text(
        "id,text,dialogue_id,n\n1,second,x,2\n2,first,y,1\n3,third,x,10\n4,,x,4\n5\n"
    )
    lines = [
        {"id": "6", "text": "first", "dialogue_id": "x", "n": "1"},
        {"id": "7", "text": "alone", "n": "1"},
        {"id": "8", "text": "odd", "n": "1", "more": "z"},
    ]
    (folder / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "_SUCCESS.csv").write_text("")
    (folder / "notes.md").write_text("")
    return folder


def test_a_dialogue_has_one_key_whatever_files_hold_it(folder: Path) -> None:
    inputs, _ = opened(folder)
    assert [path.name for path, _ in inputs.files] == ["a.csv", "b.jsonl"]
    rows = rows_of(inputs)
    keys = {row["key"] for row in rows if getattr(row["row"].row, "dialogue", "") == "x"}
    assert len(keys) == 1
    assert len({row["key"] for row in rows}) == 6, "the others have keys of their own"
    sentences, _ = opened(folder, SENTIMENT)
    assert len({row["key"] for row in rows_of(sentences)}) == 8, "a task that reads sentences"


def test_a_block_does_not_depend_on_the_order_of_its_rows(folder: Path) -> None:
    inputs, labeller = opened(folder, order="n")
    rows = [row["row"] for row in rows_of(inputs)]
    part = label_block(labeller, inputs, rows)
    random.Random(3).shuffle(rows)
    assert label_block(labeller, inputs, rows) == part
    labelled = values(part)
    assert [row["id"] for row in labelled] == ["1", "3", "6", "2", "7"], "a dialogue where its first row is"
    turns = {row["id"]: row["truncated_turns"] for row in labelled}  # the fake tells the turn
    assert turns == {"6": 0, "1": 1, "3": 2, "2": 0, "7": 0}
    rejects = [json.loads(line) for line in part.rejects.splitlines()]
    assert [(row["file"], row["row"]) for row in rejects] == [("a.csv", 5), ("a.csv", 6), ("b.jsonl", 3)]
    reasons = [row["reason"] for row in rejects]
    assert reasons[0] == "'text': expected a text, found an empty one"
    assert reasons[2] == "expected the keys of the first row, found 'more' too"
    assert part.counts.first_reason == f"a.csv row 5: {reasons[0]}"
    assert (part.counts.labelled, part.counts.rejected) == (5, 3)


def test_two_conversations_in_lines_are_two_whatever_their_ids(tmp_path: Path) -> None:
    line = json.dumps({"id": "x", "turns": [{"text": "one"}, {"text": "two"}]})
    (tmp_path / "a.jsonl").write_text(f"{line}\n")
    (tmp_path / "b.jsonl").write_text(f"{line}\n")
    inputs, labeller = opened(tmp_path, id_column="id")
    rows = rows_of(inputs)
    assert len({row["key"] for row in rows}) == 2
    assert [row["id"] for row in rows[:2]] == [row["id"] for row in rows[2:]], "but their ids repeat"
    part = label_block(labeller, inputs, [row["row"] for row in rows])
    assert [row["truncated_turns"] for row in values(part)] == [0, 1, 0, 1]


def test_two_chats_are_two_conversations(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Ann: Hello there.\nBob: Hello.\n")
    inputs, labeller = opened(tmp_path, id_column="id")
    rows = rows_of(inputs)
    assert len({row["key"] for row in rows}) == 2
    assert len({row["id"] for row in rows}) == 4
    labelled = values(label_block(labeller, inputs, [row["row"] for row in rows]))
    turns = [(row["dialogue_id"], row["truncated_turns"]) for row in labelled]
    assert turns == [("a.txt", 0), ("a.txt", 1), ("b.txt", 0), ("b.txt", 1)]


def test_ids(folder: Path) -> None:
    (folder / "b.jsonl").write_text(
        '{"id": 3, "text": "x"}\n{"id": "", "text": "x"}\n{"id": [1], "text": "x"}\n'
    )
    inputs, labeller = opened(folder, id_column="id")
    rows = rows_of(inputs)
    same = [row["row"] for row in rows if row["id"] == rows[2]["id"]]
    assert [inputs.id_of(one.row) for one in same] == ["3", "3"]
    part = label_block(labeller, inputs, [row["row"] for row in rows])
    reasons = [json.loads(line)["reason"] for line in part.rejects.splitlines()]
    assert reasons[2:] == ["'id': expected an id, found none", "'id': expected a text or a number, found [1]"]
    with pytest.raises(InputError, match="--id 'key': expected one of id, text"):
        opened(folder, id_column="key")


def test_files_that_do_not_belong_together_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "c.csv").write_text("id,text\n1,x\n")
    with pytest.raises(
        InputError, match=r"c\.csv' and .*a\.csv' differ in the column 'dialogue_id': expected"
    ):
        opened(folder)
    other = tmp_path / "other"
    other.mkdir()
    pl.DataFrame({"id": ["a"], "text": ["x"]}).write_parquet(other / "a.parquet")
    pl.DataFrame({"id": [1], "text": ["x"]}).write_parquet(other / "b.parquet")
    with pytest.raises(InputError, match="differ in the types of its columns"):
        opened(other)
    (tmp_path / "empty").mkdir()
    for name, found in (("empty", "none"), ("missing", "no folder and no file")):
        with pytest.raises(InputError, match=f"expected a folder with files to label, found {found}"):
            find_files(tmp_path / name)


def test_a_row_and_its_place_survive_the_way_to_a_worker(tmp_path: Path) -> None:
    frame = pl.DataFrame({"text": ["a"], "list": [[1, 2]]}).with_columns(when=pl.date(2024, 1, 31))
    frame.write_parquet(tmp_path / "a.parquet")
    inputs, _ = opened(tmp_path)
    (row,) = rows_of(inputs)
    assert isinstance(row["row"], PlacedRow)
    assert dict(row["row"].row.values) == frame.row(0, named=True)
