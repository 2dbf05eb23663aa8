"""Tables as spreadsheets and programs write them: Excel, semicolons, columns without a name of their own."""

import time
import tracemalloc
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gsa.datasets.record_files import format_of, open_records
from gsa.datasets.records import MAX_COLUMNS, Columns, ReadOptions, Record, RecordReader, Rejected
from gsa.errors import InputError


def opened(path: Path, columns: Columns | None = None, **options: Any) -> RecordReader:
    return open_records(path, ReadOptions(format_of(path), columns or Columns(), **options))


def test_empty_rows_are_skipped_where_there_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pl.DataFrame({"text": ["a", None]}).write_parquet(path)
    first, second = opened(path).rows
    assert isinstance(first, Record)
    assert isinstance(second, Rejected), "a row of Parquet is a row"


def test_long_texts_that_a_small_parquet_repeats_do_not_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pl.select(text=pl.repeat("x" * 10**6, 200)).write_parquet(path)
    assert path.stat().st_size < 10**6
    tracemalloc.start()
    try:
        count = sum(1 for row in opened(path).rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 200
    assert peak < 50 * 10**6, "200 MB as rows"


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_the_delimiter_of_a_csv_is_found(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f'text{delimiter}id\n"one, two; three | four"{delimiter}1\n')
    reader = opened(path)
    (record,) = reader.rows
    assert isinstance(record, Record)
    assert dict(record.values) == {"text": "one, two; three | four", "id": "1"}
    assert reader.options.delimiter == delimiter


def test_the_delimiter_may_be_given(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text~a;b\nx;y~z\n")
    (record,) = opened(path, delimiter="~").rows
    assert isinstance(record, Record)
    assert dict(record.values) == {"text": "x;y", "a;b": "z"}
    path.write_text("text;id\nfine;1\n")
    with pytest.raises(InputError, match="found no column 'text'"):
        opened(path, delimiter=",")


@pytest.mark.parametrize("line", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\nsep=;\n"])
def test_the_first_line_of_excel_names_the_delimiter(line: str, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"{line}text;a,b,c\nfine;1\n", newline="")
    for delimiter in ("", ";"):
        reader = opened(path, delimiter=delimiter)
        (record,) = reader.rows
        assert isinstance(record, Record)
        assert dict(record.values) == {"text": "fine", "a,b,c": "1"}
        assert record.row == line.count("\n") + 2
        assert reader.options.delimiter == ";"


def test_columns_that_nobody_asked_about_are_carried_along(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(",text,x,x,,x_duplicated_0\n0,fine,a,b,c,d\n")
    reader = opened(path)
    (record,) = reader.rows
    assert reader.columns == ["", "text", "x", "x_duplicated_1", "_duplicated_0", "x_duplicated_0"]
    assert isinstance(record, Record)
    assert list(record.values.values()) == ["0", "fine", "a", "b", "c", "d"]
    for columns in (Columns("x"), Columns(speaker="x"), Columns(dialogue="x")):
        with pytest.raises(InputError, match="expected one column 'x', found several"):
            opened(path, columns)


def test_a_header_of_any_length_is_read_or_refused_at_once(tmp_path: Path) -> None:
    path, names = tmp_path / "in.csv", [f"c{i}" for i in range(MAX_COLUMNS - 1)]
    path.write_text(",".join(["text", *names]) + "\n")
    assert len(opened(path).columns) == MAX_COLUMNS
    began = time.process_time()
    with pytest.raises(InputError, match=r"found no column 'txt' \(did you mean 'text'\?\).*c18, \.\.\.$"):
        opened(path, Columns("txt"))
    path.write_text(",".join(["text", *names, "one"]) + "\n")
    with pytest.raises(InputError, match="expected at most 16,384 columns, found 16,385"):
        opened(path)
    path.write_text(",".join(f"{i:x}" for i in range(600_000)) + "\n")
    with pytest.raises(InputError, match="expected at most 16,384 columns, found 600,000"):
        opened(path)
    path.write_text(",".join(f"{i:x}" for i in range(780_000)) + "\n")
    with pytest.raises(InputError, match="expected a header of at most 4,194,304 bytes"):
        opened(path)
    path.write_text(",".join(["x" * 4000] * 500) + "\n")
    with pytest.raises(InputError, match="found no column 'text'"):
        opened(path)
    assert time.process_time() - began < 20, "nothing quadratic: that took minutes"


def test_a_stray_quote_names_the_option_that_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "in.tsv"
    path.write_text('text\tid\n"stray\t1\nlast\t2\n"x" y\t3\n')
    reasons = [row.reason for row in opened(path).rows if isinstance(row, Rejected)]
    assert len(reasons) == 3
    assert all(reason.endswith("(--no-quotes reads quotes as text)") for reason in reasons)
    assert [row.text for row in opened(path, quotes=False).rows if isinstance(row, Record)] == [
        '"stray', "last", '"x" y',
    ]  # fmt: skip
    path.write_text("text\tid\nshort\n")
    assert [row.reason for row in opened(path).rows] == ["expected 2 fields, found 1"]  # type: ignore[union-attr]
