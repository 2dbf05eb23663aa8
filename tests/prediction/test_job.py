"""Labelling files: order kept, killed jobs resumed, memory constant, bad rows counted."""

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jobs import Fake, csv, make_job, predict_by_length, read

from gsa.data.task import EMOTION, EMOTIONS, SENTIMENT, Task
from gsa.data.types import Example, Prediction
from gsa.datasets.records import Columns, ReadOptions, Record
from gsa.errors import InputError
from gsa.prediction import parts
from gsa.prediction.job import JobConfig, LabelJob, label_file, label_stream
from gsa.prediction.parts import RowCounts
from gsa.prediction.row_examples import examples_of
from gsa.progress import Progress


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_rows_come_out_labelled_in_their_order(kind: str, tmp_path: Path) -> None:
    out = tmp_path / f"out.{kind}"
    assert label_file(make_job(csv(tmp_path, 25), kind), out, size=4) == RowCounts(25, 0, "")
    table = read(out)
    assert table["id"].to_list() == [str(i) for i in range(25)]
    assert table.columns == ["id", "text", "predicted", "p_negative", "p_neutral", "p_positive",
                             "truncated_turns", "truncated_words", "detected_language"]  # fmt: skip
    for row in table.iter_rows(named=True):
        chances = {label: row[f"p_{label}"] for label in SENTIMENT.labels}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
        assert chances["negative"] == pytest.approx(len(row["text"]) % 97 / 97, abs=1e-6)
        assert row["predicted"] == max(chances, key=lambda label: chances[label])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", out.name]


@pytest.mark.parametrize("task", [EMOTION, EMOTIONS, SENTIMENT])
def test_documents_that_cannot_be_read_are_refused_before_anything_is_written(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if task is SENTIMENT:
        monkeypatch.setitem(sys.modules, "sentencex", None)
    expected = "expected the extra" if task is SENTIMENT else "expected one of a single label"
    source = csv(tmp_path, 3)
    with pytest.raises(InputError, match=expected):
        label_file(make_job(source, "csv", task=task, document=True), tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_killed_job_goes_on_where_it_was(kind: str, tmp_path: Path) -> None:
    source, out = csv(tmp_path, 25), tmp_path / f"out.{kind}"
    label_file(make_job(source, kind), tmp_path / f"whole.{kind}", size=4)
    with pytest.raises(KeyboardInterrupt):
        label_file(make_job(source, kind, Fake(most=14)), out, size=4)
    assert not out.exists()
    folder = tmp_path / f"{out.name}.parts"
    (folder / f"000001.{kind}").write_bytes(b"damaged")
    (folder / "000000.json").unlink()
    again = Fake()
    assert label_file(make_job(source, kind, again), out, size=4) == RowCounts(25, 0, "")
    assert again.seen == 25 - 4, "one of three parts was whole"
    assert out.read_bytes() == (tmp_path / f"whole.{kind}").read_bytes()
    assert not folder.exists()


def test_killed_at_any_write_the_result_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, whole = csv(tmp_path, 9), tmp_path / "whole.csv"
    source.write_text(source.read_text() + "bad\n")
    label_file(make_job(source, "csv"), whole, size=4)
    plain, left = parts.write_atomic, 0

    def failing(path: Path, content: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        plain(path, content)

    monkeypatch.setattr(parts, "write_atomic", failing)
    for stop in range(12):
        out, left = tmp_path / f"out{stop}.csv", stop
        try:
            label_file(make_job(source, "csv"), out, size=4)
        except KeyboardInterrupt:
            left = 100
            label_file(make_job(source, "csv"), out, size=4)
        assert out.read_bytes() == whole.read_bytes()
        assert (tmp_path / f"{out.name}.rejects.jsonl").read_text().count("\n") == 1
    assert left > 0, "the last one was not stopped"


def test_a_kill_while_joining_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = csv(tmp_path, 9), tmp_path / "out.csv"
    monkeypatch.setattr(parts.PartStore, "remove", lambda _: pytest.fail("stopped"))
    with pytest.raises(pytest.fail.Exception):
        label_file(make_job(source, "csv"), out, size=4)
    monkeypatch.undo()
    again = Fake()
    assert label_file(make_job(source, "csv", again), out, size=4).labelled == 9
    assert again.seen == 0


def test_parts_of_another_job_are_not_taken(tmp_path: Path) -> None:
    source, out = csv(tmp_path, 9), tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        label_file(make_job(source, "csv", Fake(most=5)), out, size=4)
    for other, what in (
        (make_job(source, "csv", task=SENTIMENT.with_labels("bad", "good")), "task"),
        (make_job(source, "csv", prefix="x_"), "output"),
        (make_job(source, "csv", columns=Columns("id")), "columns"),
    ):
        with pytest.raises(InputError, match=rf"parts of another job \(its {what} differs\)"):
            label_file(other, out, size=4)
    csv(tmp_path, 10)
    with pytest.raises(InputError, match="its input differs"):
        label_file(make_job(source, "csv"), out, size=4)


def test_an_output_that_is_there_is_kept(tmp_path: Path) -> None:
    source, out = csv(tmp_path, 3), tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(InputError, match="exists already: expected another --output, or --overwrite"):
        label_file(make_job(source, "csv"), out)
    assert out.read_text() == "mine"
    assert label_file(make_job(source, "csv"), out, overwrite=True).labelled == 3
    with pytest.raises(InputError, match="is the input"):
        label_file(make_job(source, "csv"), source, overwrite=True)


def test_parquet_keeps_the_types_of_parquet(tmp_path: Path) -> None:
    path, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    frame = pl.DataFrame({"text": ["a", "b", "c"], "n": [1, None, 3], "list": [[1], [], [2, 3]]})
    frame = frame.with_columns(when=pl.date(2024, 1, 31))
    frame.write_parquet(path)
    label_file(make_job(path, "parquet"), out, size=2)
    assert read(out).select(frame.columns).equals(frame)
    label_file(make_job(path, "csv"), tmp_path / "out.csv", size=2)
    assert (tmp_path / "out.csv").read_text().splitlines()[3].startswith('c,3,"[2, 3]",2024-01-31,')


def test_other_values_of_jsonl_become_texts_in_a_table(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    path.write_text('{"text": "a", "n": 1, "x": {"y": true}}\n{"text": "b"}\n')
    label_file(make_job(path, "parquet"), out)
    assert read(out)["n"].to_list() == ["1", None]
    assert read(out)["x"].to_list() == ['{"y": true}', None]


def test_a_column_of_the_labels_names_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,predicted\na,b\n")
    with pytest.raises(InputError, match="has a column 'predicted' already: expected --prefix"):
        make_job(path, "csv")
    label_file(make_job(path, "csv", prefix="new_"), tmp_path / "out.csv")
    assert read(tmp_path / "out.csv").columns[:3] == ["text", "predicted", "new_predicted"]
    lines = tmp_path / "in.jsonl"
    lines.write_text('{"text": "a"}\n{"text": "b", "p_neutral": 1}\n')
    count = label_file(make_job(lines, "jsonl"), tmp_path / "out.jsonl")
    assert (count.labelled, count.rejected) == (1, 1)
    assert "has the key 'p_neutral', which is a column of the output" in count.first_reason


def test_an_empty_table_is_labelled(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,text\n")
    for kind in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"out.{kind}"
        assert label_file(make_job(path, kind), out) == RowCounts()
        assert len(out.read_bytes()) > 0 or kind == "jsonl"
    assert (tmp_path / "out.csv").read_text().startswith("id,text,predicted,")


def record(row: int, dialogue: str) -> Record:
    return Record(row, {}, f"t{row}", "", dialogue)


def test_turns_of_a_dialogue_are_read_together() -> None:
    records = [record(0, "a"), record(1, "a"), record(2, ""), record(3, ""), record(4, "b")]
    examples = examples_of(records, EMOTION, speakers=True)
    assert [len(example.dialogue.turns) for example in examples] == [2, 2, 1, 1, 1]
    assert [example.target for example in examples] == [0, 1, 0, 0, 0]
    assert examples[0].dialogue is examples[1].dialogue
    sentences = examples_of(records, SENTIMENT, speakers=True)
    assert [len(sentence.dialogue.turns) for sentence in sentences] == [1] * 5


def test_turns_are_read_in_the_order_of_a_column(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,dialogue_id,at\nlate,a,10:02\nearly,a,9:58\nsame,a,9:58\nalone,,\nother,b,1\n")
    asked: list[tuple[list[str], int]] = []

    def listen(examples: Sequence[Example], task: Task, progress: Any = None) -> list[Prediction]:
        asked.extend(([turn.text for turn in e.dialogue.turns], e.target) for e in examples)
        assert examples[0].dialogue is examples[1].dialogue
        return [predict_by_length(example, task) for example in examples]

    job = make_job(path, "csv", listen, EMOTION, columns=Columns(order="at"))
    counts = label_file(job, tmp_path / "out.csv")
    turns = ["early", "same", "late"]
    assert asked == [(turns, 2), (turns, 0), (turns, 1), (["other"], 0)]
    assert counts.first_reason == "row 5: 'at': expected a value to sort turns by, found none"
    out = pl.read_csv(tmp_path / "out.csv")
    assert out["text"].to_list() == ["late", "early", "same", "other"], "rows stay where they are"


def test_speakers_are_read_where_tuning_read_them(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,speaker\nfine,Ana\n")
    heard: list[str] = []

    def listen(examples: Sequence[Example], task: Task, progress: Any = None) -> list[Prediction]:
        heard.extend(example.dialogue.turns[0].line() for example in examples)
        return [predict_by_length(example, task) for example in examples]

    for number, (task, columns) in enumerate(
        [(SENTIMENT, Columns()), (EMOTION, Columns()), (SENTIMENT, Columns(speaker="speaker"))]
    ):
        label_file(make_job(path, "csv", listen, task, columns=columns), tmp_path / f"{number}.csv")
    assert heard == ["fine", "Ana: fine", "Ana: fine"]


def test_streams_are_written_as_they_are_read(tmp_path: Path) -> None:
    out, rejects = io.BytesIO(), tmp_path / "rejects.jsonl"
    lines = "".join(json.dumps({"text": f"t{i}"}) + "\n" for i in range(70)) + "bad\n"
    assert label_stream(stream_job(lines.encode()), out, rejects).labelled == 70
    assert [json.loads(line)["text"] for line in out.getvalue().splitlines()] == [f"t{i}" for i in range(70)]
    assert json.loads(rejects.read_text())["row"] == 71
    with pytest.raises(InputError, match="standard output cannot be Parquet"):
        label_stream(stream_job(lines.encode(), output_format="parquet"), out)


def stream_job(content: bytes, predict: Fake | None = None, output_format: str = "jsonl") -> LabelJob:
    config = JobConfig(None, ReadOptions("jsonl"), SENTIMENT, output_format)
    return LabelJob(config, predict or Fake(), Progress("x"), io.BytesIO(content))


def test_a_stream_into_a_file_is_not_resumed(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    content = b"".join(b'{"text": "t"}\n' for _ in range(9))
    with pytest.raises(KeyboardInterrupt):
        label_file(stream_job(content, Fake(most=5)), out, size=4)
    with pytest.raises(InputError, match="a stream cannot be read again"):
        label_file(stream_job(content), out, size=4)


def test_quotes_as_text_belong_to_the_job(tmp_path: Path) -> None:
    source, out = tmp_path / "in.tsv", tmp_path / "out.tsv"
    source.write_text('text\tid\n"oh no\t1\nfine\t2\nit is 12"\t3\n')
    count = label_file(make_job(source, "tsv", quotes=False), out)
    assert count == RowCounts(3, 0, "")
    assert read(out)["text"].to_list() == ['"oh no', "fine", 'it is 12"']


def test_progress_counts_rows_and_knows_the_total_from_the_bytes_read(tmp_path: Path) -> None:
    source, out = csv(tmp_path, 24), tmp_path / "out.csv"
    totals: list[float | None] = []

    class Spy(Fake):
        def __call__(self, *given: Any, **more: Any) -> list[Prediction]:
            totals.append(job.progress.total)
            return super().__call__(*given, **more)

    job = make_job(source, "csv", Spy(most=20))
    with pytest.raises(KeyboardInterrupt):
        label_file(job, out, size=4)
    assert job.progress.completed == 20
    assert all(total and 20 <= total <= 24 for total in totals)
    job = make_job(source, "csv", Fake())
    label_file(job, out, size=4)
    assert (job.progress.completed, job.progress.total) == (24, 24)
    assert job.progress.line().startswith("x: 24/24 rows, ")


def test_rows_below_the_least_confidence_have_no_label_and_are_counted(tmp_path: Path) -> None:
    job = make_job(csv(tmp_path, 20), "csv")
    job.config = replace(job.config, min_confidence=0.6)
    counts = label_file(job, tmp_path / "out.csv")
    rows = read(tmp_path / "out.csv").rows(named=True)
    highest = [max(row["p_negative"], row["p_neutral"], row["p_positive"]) for row in rows]
    expected = [p < 0.6 for p in highest]
    assert [not row["predicted"] for row in rows] == expected
    assert 0 < counts.uncertain == sum(expected) <= counts.labelled == 20
