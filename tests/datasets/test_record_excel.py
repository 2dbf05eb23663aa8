"""Excel files: every value a text, and sizes that would fill memory refused."""

import io
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from gsa.datasets import record_excel
from gsa.datasets.record_files import open_records
from gsa.datasets.records import ReadOptions, Record, RecordReader, Rejected
from gsa.errors import InputError


def opened(path: Path) -> RecordReader:
    return open_records(path, ReadOptions("xlsx"))


def excel(path: Path, rows: list[list[Any]]) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                sheet.write(number, column, value)
    return path


def test_an_excel_sheet_is_read_with_every_value_as_a_text(tmp_path: Path) -> None:
    rows = [
        ["id", "text", "speaker"],
        [1, "It was fine.", 7],
        [2.5, None, "Ana"],
        [None] * 3,
        [3, "naïve 好", None],
    ]
    reader = opened(excel(tmp_path / "in.xlsx", rows))
    good, bad, last = reader.rows
    assert reader.columns == ["id", "text", "speaker"]
    assert isinstance(good, Record)
    assert (good.row, good.text, good.speaker) == (2, "It was fine.", "7")
    assert good.values == {"id": "1", "text": "It was fine.", "speaker": "7"}
    assert isinstance(bad, Rejected)
    assert (bad.row, bad.reason) == (3, "'text': expected a text, found none")
    assert isinstance(last, Record)
    assert (last.row, last.text, last.speaker) == (5, "naïve 好", "")
    assert reader.fraction == 1.0


def test_a_workbook_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    """A reader that trusts the compressed data rather than the sizes would fill memory."""
    path, size = tmp_path / "in.xlsx", 10**6
    excel(path, [["text"], ["fine"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", b" " * size)
    assert [row.row for row in opened(path).rows] == [2]
    content, lie = path.read_bytes(), 1000
    for name, offset in (
        (b"PK\x03\x04", 22),
        (b"PK\x01\x02", 24),
    ):  # in the file's own header and the directory
        start = content.rindex(name) + offset
        fields = lie.to_bytes(4, "little")
        content = content[:start] + fields + content[start + 4 :]
        start -= 8
        content = content[:start] + zlib.crc32(b" " * lie).to_bytes(4, "little") + content[start + 4 :]
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(archive.read("xl/more.xml")) == lie
    with pytest.raises(InputError, match=r"found damage in 'xl/more\.xml'"):
        opened(path)


def test_an_excel_file_that_is_none_or_would_fill_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in.xlsx"
    path.write_bytes(b"text\n")
    with pytest.raises(
        InputError, match=r"expected an Excel file \(\.xlsx\), found an error: File is not a zip"
    ):
        opened(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(InputError, match="expected an Excel file, found an error"):
        opened(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 10**6)
    assert path.stat().st_size < 10**4
    with monkeypatch.context() as patch:
        patch.setattr(record_excel, "MAX_WORKBOOK", 10**6 - 1)
        with pytest.raises(
            InputError, match="at most 999,999 bytes unpacked, found 1,000,000: save it as CSV"
        ):
            opened(path)
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "text")
        sheet.write(1_048_575, 16_383, "far off")
    with pytest.raises(
        InputError, match="of at most 67,108,864 cells, found 17,179,869,184, empty ones incl"
    ):
        opened(path)
    excel(path, [])
    with pytest.raises(InputError, match="found an empty sheet"):
        opened(path)
    excel(path, [["text"], ["fine"]])
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(InputError, match=r"Excel files need the extra 'excel': pip install '\.\[excel\]'"):
        opened(path)
    with pytest.raises(InputError, match="standard input cannot be xlsx: expected one of csv"):
        open_records(None, ReadOptions("xlsx"), io.BytesIO())
