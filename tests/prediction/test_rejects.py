"""Rows that cannot be labelled go to a file of their own, which replaces no other."""

import io
import json
from pathlib import Path

import pytest
from jobs import Fake, csv, make_job, read

from gsa.errors import InputError
from gsa.prediction.job import label_file, label_stream
from gsa.prediction.parts import RowCounts


def test_bad_rows_go_to_the_rejects(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("id,text\n1,fine\n2\n3, \n4,good\n")
    count = label_file(make_job(path, "csv"), out, size=2)
    assert count == RowCounts(2, 2, "row 3: expected 2 fields, found 1")
    assert read(out)["id"].to_list() == ["1", "4"]
    rejects = tmp_path / "out.csv.rejects.jsonl"
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [row["row"] for row in found] == [3, 4]
    assert found[1]["found"] == {"id": "3", "text": " "}
    path.write_text("id,text\n1,fine\n")
    label_file(make_job(path, "csv"), out, overwrite=True)
    assert not rejects.exists(), "those of an earlier job are gone"


@pytest.mark.parametrize("rows", ["", "bad\n"], ids=["none bad", "one bad"])
def test_no_file_that_is_there_becomes_the_rejects(rows: str, tmp_path: Path) -> None:
    source, out, mine = csv(tmp_path, 3), tmp_path / "out.csv", tmp_path / "mine.txt"
    source.write_text(source.read_text() + rows)
    content = source.read_bytes()
    mine.write_text("mine")
    (tmp_path / "linked.csv").hardlink_to(source)
    for rejects, overwrite, says in (
        (mine, False, r"mine\.txt' exists already: expected another --rejects, or --overwrite"),
        (source, True, r"in\.csv' is the input: expected another --rejects"),
        (tmp_path / "linked.csv", True, r"linked\.csv' is the input"),
        (out, True, r"out\.csv' is the output: expected another --rejects"),
        (tmp_path, True, "is a folder: expected the name of a file for --rejects"),
    ):
        with pytest.raises(InputError, match=says):
            label_file(make_job(source, "csv"), out, rejects, overwrite)
        if rejects != out:
            with pytest.raises(InputError, match=says):
                label_stream(make_job(source, "csv"), io.BytesIO(), rejects, overwrite)
    assert (source.read_bytes(), mine.read_text()) == (content, "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "linked.csv", "mine.txt"]
    label_file(make_job(source, "csv"), out, mine, overwrite=True)
    assert mine.read_text().count("\n") == bool(rows), "a file that is named is there in any case"
    label_stream(make_job(source, "csv"), io.BytesIO(), mine, overwrite=True)
    assert mine.read_text().count("\n") == bool(rows)


def test_the_rejects_of_an_output_are_not_the_input(tmp_path: Path) -> None:
    source = tmp_path / "out.csv.rejects.jsonl"
    source.write_text('{"text": "fine"}\n')
    with pytest.raises(InputError, match="is the input: expected another --output or --rejects"):
        label_file(make_job(source, "csv"), tmp_path / "out.csv", overwrite=True)
    assert source.is_file()


def test_rejects_are_named_as_before_the_kill(tmp_path: Path) -> None:
    source, out, mine = csv(tmp_path, 9), tmp_path / "out.csv", tmp_path / "mine.txt"
    with pytest.raises(KeyboardInterrupt):
        label_file(make_job(source, "csv", Fake(most=5)), out, tmp_path / "bad.jsonl", size=4)
    mine.write_text("mine")
    with pytest.raises(InputError, match="its rejects differs"):
        label_file(make_job(source, "csv"), out, mine, size=4)
    assert mine.read_text() == "mine"
    (tmp_path / "bad.jsonl").write_text("of a kill while joining")
    assert label_file(make_job(source, "csv"), out, tmp_path / "bad.jsonl", size=4).labelled == 9
    assert (tmp_path / "bad.jsonl").read_text() == ""
