"""Parquet files of any size are read a slice at a time; those that would fill memory are refused unread."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gsa.datasets import parquet_pages, record_parquet, record_tables
from gsa.datasets.parquet_pages import read_row_groups
from gsa.datasets.record_files import open_records
from gsa.datasets.records import ReadOptions, Record, RecordReader, Rejected
from gsa.errors import InputError


def opened(path: Path) -> RecordReader:
    return open_records(path, ReadOptions("parquet"))


needs_pyarrow = pytest.mark.skipif(not find_spec("pyarrow"), reason="polars writes no delta encoding")


def write_encoded(path: Path, encoding: str, texts: list[Any], **options: Any) -> None:
    """Write a column of texts, or of lists of them, in an encoding that polars reads and does not write."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["a"] * len(texts), "note": texts})
    name = "note.list.element" if isinstance(texts[0], list) else "note"
    pq.write_table(table, path, use_dictionary=False, column_encoding={name: encoding}, **options)


def failure(path: Path) -> str:
    """Read a file to its end; return the sentence that refuses it, if it is refused."""
    try:
        for _ in opened(path).rows:
            pass
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("compression", ["zstd", "snappy", "uncompressed"])
def test_a_text_of_200_megabytes_is_refused_before_it_is_decoded(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    frame = pl.DataFrame({"text": ["fine", "x" * (20 if compression == "uncompressed" else 200) * 10**6]})
    frame.write_parquet(path, compression=compression, row_group_size=1)  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"in\.parquet row 2: .*4,194,304 bytes a value in column 'text', found 2\d+"
    ):
        opened(path)


def test_a_column_that_nobody_asked_about_is_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pl.DataFrame({"text": ["a", "b"], "note": [b"", b"x" * 10**7]}).write_parquet(path)
    with pytest.raises(InputError, match=r"rows 1 to 2: expected at most .* in column 'note', found 10,0"):
        opened(path)


def test_a_page_that_unpacks_to_too_much_names_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_pages, "MAX_PAGE_BYTES", 10**5)
    path = tmp_path / "in.parquet"
    texts = [f"{number} {'x' * 100}" for number in range(3000)]
    pl.DataFrame({"text": texts}).write_parquet(path, row_group_size=1000, data_page_size=10**6)
    with pytest.raises(InputError, match=r"rows 1 to 1000: expected pages of at most 100,000 bytes"):
        opened(path)


def test_a_list_that_would_fill_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_pages, "MAX_NESTED_VALUES", 10**4)
    path = tmp_path / "in.parquet"
    pl.DataFrame({"text": ["a", "b"], "n": [[1], [0] * 10**5]}).write_parquet(path)
    with pytest.raises(
        InputError, match=r"rows 1 to 2: expected lists of at most 10,000 values .* found 100,001"
    ):
        opened(path)


@needs_pyarrow
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_texts_in_a_delta_encoding_are_read(encoding: str, version: str, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    texts = [None if n % 100 == 99 else f"https://example.org/{n % 30}/{'é' * (n % 40)}" for n in range(3000)]
    options = {"data_page_version": version, "row_group_size": 1700, "data_page_size": 10_000}
    write_encoded(path, encoding, texts, **options)
    assert [row.values["note"] for row in opened(path).rows if isinstance(row, Record)] == texts
    lists = [texts[n : n + 3] for n in range(50)]
    write_encoded(path, encoding, lists)
    assert [row.values["note"] for row in opened(path).rows if isinstance(row, Record)] == lists


@needs_pyarrow
def test_values_that_share_prefixes_come_in_slices_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_parquet, "MAX_SHARED_SLICE_BYTES", 10**6)
    path = tmp_path / "in.parquet"
    texts = ["x" * 50_000 + str(n) for n in range(200)]
    write_encoded(path, "DELTA_BYTE_ARRAY", texts)
    assert path.stat().st_size < 10_000
    sizes: list[int] = []
    frame_rows = record_tables.frame_rows

    def measured(frame: pl.DataFrame) -> object:
        sizes.append(frame["note"].str.len_bytes().sum())
        return frame_rows(frame)

    monkeypatch.setattr(record_parquet, "frame_rows", measured)
    assert [row.values["note"] for row in opened(path).rows if isinstance(row, Record)] == texts
    assert max(sizes) <= 10**6


@needs_pyarrow
@pytest.mark.parametrize("is_list", [False, True])
def test_prefixes_shared_by_too_many_values_are_refused(
    is_list: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_pages, "MAX_PAGE_BYTES" if is_list else "MAX_SHARED_BYTES", 2 * 10**6)
    path = tmp_path / "in.parquet"
    write_encoded(path, "DELTA_BYTE_ARRAY", [["x" * 1000] if is_list else "x" * 1000] * 2000)
    column = r"note\.list\.element" if is_list else "note"
    with pytest.raises(
        InputError,
        match=r"in\.parquet rows 1 to 2000: expected pages of shared prefixes with at most 2,000,000 bytes "
        rf"times values in column '{column}', found 1,\d\d\d bytes in 2,000 values",
    ):
        opened(path)


@needs_pyarrow
@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_lengths_that_take_no_bits_are_bounded(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_pages, "MAX_DELTA_VALUES", 1999)
    path = tmp_path / "in.parquet"
    write_encoded(path, encoding, [""] * 2000)
    limit = r"expected pages of at most 1,999 values in a delta encoding in column 'note', found .* in 2,000"
    with pytest.raises(InputError, match=limit):
        opened(path)


def test_a_long_text_among_others_is_a_rejected_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_tables, "MAX_LINE_BYTES", 1000)
    path = tmp_path / "in.parquet"
    frame = pl.DataFrame(
        {"text": ["a", "x" * 1001, "é" * 500, "b"], "note": [b"", b"", b"", b"y" * 2000], "n": [1, 2, 3, 4]}
    )
    frame.write_parquet(path)
    rows = list(opened(path).rows)
    assert [row.row for row in rows] == [1, 2, 3, 4]
    assert [row.text for row in rows if isinstance(row, Record)] == ["a", "é" * 500]
    assert [row.reason for row in rows if isinstance(row, Rejected)] == [
        "'text': expected at most 1,000 bytes, found 1,001",
        "'note': expected at most 1,000 bytes, found 2,000",
    ]


def test_rows_come_in_slices_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_parquet, "MAX_SLICE_BYTES", 10**5)
    path = tmp_path / "in.parquet"
    texts = [f"{number:04} {'x' * number}" for number in range(2000)]
    pl.DataFrame({"text": texts}).write_parquet(path, row_group_size=700, data_page_size=5000)
    heights: list[int] = []
    frame_rows = record_tables.frame_rows

    def counted(frame: pl.DataFrame) -> object:
        heights.append(frame.height)
        return frame_rows(frame)

    monkeypatch.setattr(record_parquet, "frame_rows", counted)
    reader = opened(path)
    records = [row for row in reader.rows if isinstance(row, Record)]
    assert [record.text for record in records] == [text.strip() for text in texts]
    assert [record.row for record in records] == list(range(1, 2001))
    assert reader.fraction == 1.0
    assert sum(heights) == 2000
    assert max(heights[:2]) > max(heights[-3:-1]), "longer texts come in smaller slices"
    assert max(heights) <= 10**5 / 700 + 1


def test_the_sizes_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    frame = pl.DataFrame({"text": [f"{n} {'y' * 95}" for n in range(2500)], "tags": [["a", "b"]] * 2500})
    frame.write_parquet(path, row_group_size=1000)
    groups = read_row_groups(path)
    assert [(group.first, group.rows) for group in groups] == [(0, 1000), (1000, 1000), (2000, 500)]
    assert all(95 < group.row_bytes < 130 for group in groups)


def test_a_table_of_no_rows_and_one_of_none_but_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pl.DataFrame({"text": []}, schema={"text": pl.String}).write_parquet(path)
    assert list(opened(path).rows) == []
    pl.select(text=pl.repeat(None, 10**7, dtype=pl.String)).write_parquet(path)
    assert next(opened(path).rows) == Rejected(1, "'text': expected a text, found none", {"text": None})


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    texts = [f"{number} {number**9}" for number in range(5000)]
    pl.DataFrame({"text": texts}).write_parquet(path, row_group_size=1000, data_page_size=4000)
    content = path.read_bytes()
    for place in range(3, len(content), len(content) // 60):
        path.write_bytes(
            content[:place] + bytes(byte ^ 0x55 for byte in content[place : place + 8]) + content[place + 8 :]
        )
        sentence = failure(path)
        assert not sentence or sentence.startswith(str(path))
        assert "\n" not in sentence
