"""Rows out: valid JSON whatever came in, label lists of the rows, the rows that were asked for."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from jobs import Fake, make_job, predict_by_length, read

from gsa.data.task import SENTIMENT, Task
from gsa.data.types import Example, Prediction
from gsa.datasets.records import Columns, ReadOptions
from gsa.errors import InputError
from gsa.prediction.job import JobConfig, LabelJob, label_file, label_stream
from gsa.prediction.writers import json_line
from gsa.progress import Progress


def strict(line: str | bytes) -> Any:
    """Return JSON as a parser reads it that keeps to the standard."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(line, parse_constant=refuse)


def test_output_is_valid_json_whatever_came_in(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(
        b'{"text": "a", "x": NaN, "y": [1e999, {"z": -Infinity}]}\n{"text": "caf\xe9 \xc3\xa9", "x": NaN}\n'
    )
    label_file(make_job(path, "jsonl"), out)
    row = strict(out.read_text())
    assert (row["x"], row["y"]) == (None, [None, {"z": None}])
    rejected = strict((tmp_path / "out.jsonl.rejects.jsonl").read_text())
    assert rejected["row"] == 2
    table = tmp_path / "in.parquet"
    frame = pl.DataFrame({"text": ["a"], "x": [math.nan], "b": [b"\xff"], "t": [[None, math.inf]]})
    frame.with_columns(d=pl.date(2024, 1, 31), l=pl.concat_list(pl.date(2024, 1, 31))).write_parquet(table)
    label_file(make_job(table, "jsonl"), tmp_path / "table.jsonl")
    row = strict((tmp_path / "table.jsonl").read_text())
    assert [row[name] for name in "xdtl"] == [None, "2024-01-31", [None, None], ["2024-01-31"]]
    label_file(make_job(table, "csv"), tmp_path / "table.csv")
    assert '"[""2024-01-31""]"' in (tmp_path / "table.csv").read_text()


def test_characters_that_utf_8_cannot_encode_are_escaped() -> None:
    line = json_line({"found": "caf\udce9 é", "\ud800": math.nan})
    assert strict(line) == {"found": "caf\\udce9 é", "\\ud800": None}
    line.decode()


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_a_table_reads_back_whatever_line_ends_are_in_its_texts(kind: str, tmp_path: Path) -> None:
    texts = ["a\rb", "a\nb", "a\r\nb", "\rb", 'a "b",\tc', "plain"]
    path, out = tmp_path / "in.jsonl", tmp_path / f"out.{kind}"
    path.write_text("".join(json.dumps({"n\rm": text, "text": "x"}) + "\n" for text in texts))
    label_file(make_job(path, kind), out)
    separator = {"csv": ",", "tsv": "\t"}[kind]
    with out.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, delimiter=separator, strict=True)
    assert (header[0], [row[0] for row in rows]) == ("n\rm", texts)
    assert pl.read_csv(out, separator=separator)["n\rm"].to_list() == texts
    assert list(pd.read_csv(out, sep=separator)["n\rm"]) == texts
    content = out.read_bytes()
    assert content.endswith(b"\n")
    assert not content.endswith(b"\r\n"), "rows end with a line feed"
    assert content.count(b"\r\n") == 1, "that of a text"


def test_rows_that_are_nested_too_deep_end_no_file(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    deep = [f'{{"text": "a", "x": {"[" * depth}NaN{"]" * depth}}}\n' for depth in (99, 600)]
    path.write_text("".join(deep) + f'{{"text": "b", "x": {10**400}}}\n')
    for columns in (Columns(), Columns(order="x")):
        counts = label_file(make_job(path, "jsonl", columns=columns), out, overwrite=True)
        assert (counts.labelled, counts.rejected) == (2, 1)
        x = [strict(line)["x"] for line in out.read_text().splitlines()]
        assert "[" * 99 in json.dumps(x[0])
        assert x[1] == 10**400


def test_only_rows_that_are_asked_for_are_written(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": "x" * n}) + "\n" for n in (96, 90, 60, 3, 2)))
    for only, minimum, kept in (((), 0.0, 5), (("negative",), 0.0, 3), (("negative",), 0.9, 2), ((), 0.9, 2)):
        config = JobConfig(path, ReadOptions("jsonl"), SENTIMENT, "jsonl", only=only, min_probability=minimum)
        out = io.BytesIO()
        counts = label_stream(LabelJob(config, Fake(), Progress("x")), out)
        assert (counts.labelled, counts.dropped) == (5, 5 - kept)
        rows = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [len(row["text"]) for row in rows] == [96, 90, 60, 3, 2][:kept]
        assert counts.labels == {"negative": 3, "neutral": 2}


def test_rows_have_aspects_instructions_and_label_lists_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('text,a,i,l\nfine,food,How?,"bad, good"\nwell,staff,,\nno,,,\nodd,bar,,one\n')
    seen: list[tuple[str, str, tuple[str, ...], str]] = []

    def note(examples: Sequence[Example], tasks: Any, progress: Any = None) -> list[Prediction]:
        seen.extend(
            (e.aspect, t.instruction, t.labels, t.about) for e, t in zip(examples, tasks, strict=True)
        )
        return [predict_by_length(e, t) for e, t in zip(examples, tasks, strict=True)]

    columns = Columns(aspect="a", instruction="i", labels="l")
    for kind in ("csv", "jsonl", "parquet"):
        seen.clear()
        out, rejects = tmp_path / f"out.{kind}", tmp_path / f"out.{kind}.rejects.jsonl"
        counts = label_file(make_job(path, kind, note, columns=columns), out)
        assert seen == [
            ("food", "How?", ("bad", "good"), "Aspect"),
            ("staff", SENTIMENT.instruction, SENTIMENT.labels, "Aspect"),
        ]
        assert (counts.labelled, counts.rejected) == (2, 2)
        reasons = [json.loads(line)["reason"] for line in rejects.read_text().splitlines()]
        assert reasons == [
            "expected an aspect to ask about, found none",
            "task 'sentiment': expected two or more distinct, non-empty labels, found ['one']",
        ]
        table = read(out)
        new = ["predicted", "probabilities", "truncated_turns", "truncated_words", "detected_language"]
        assert table.columns[4:] == new
        probabilities = [json.loads(p) if isinstance(p, str) else p for p in table["probabilities"].to_list()]
        assert [p for p in probabilities[0] if probabilities[0][p] is not None][:2] == ["bad", "good"]
    assert read(tmp_path / "out.csv")["predicted"].to_list()[0] in ("bad", "good")


def test_a_task_about_an_aspect_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text\nfine\n")
    task = Task("aspect", 4, "How?", ("bad", "good"), context=False, about="Aspect")
    counts = label_file(make_job(path, "csv", task=task), tmp_path / "out.csv")
    assert counts.first_reason == "row 2: expected an aspect to ask about, found none"
    path.write_text("text,aspect\nfine,food\n")
    assert label_file(make_job(path, "csv", task=task), tmp_path / "by_name.csv").labelled == 1
    seen: list[Task] = []

    def note(examples: Sequence[Example], asked: Any, progress: Any = None) -> list[Prediction]:
        seen.append(asked)
        return [predict_by_length(example, asked) for example in examples]

    label_file(make_job(path, "csv", note), tmp_path / "other.csv")
    assert seen == [SENTIMENT], "another task does not care for the column"


def test_an_output_may_be_bounded(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
    wide = {"text": "a", **{f"k{i}": 1 for i in range(1000)}}
    path.write_text(json.dumps(wide) + "\n" + '{"text": "b"}\n' * 500)
    config = JobConfig(path, ReadOptions("jsonl"), SENTIMENT, "csv", max_bytes=200_000)
    with pytest.raises(InputError, match="the output is larger than 200,000 bytes: expected a smaller file"):
        label_file(LabelJob(config, Fake(), Progress("x")), out, size=64)
    size = sum(file.stat().st_size for file in (tmp_path / "out.csv.parts").iterdir())
    assert size < 210_000
