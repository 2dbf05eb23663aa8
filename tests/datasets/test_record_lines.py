"""Text files in the encodings and the compression that programs write."""

import gzip
import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from gsa.datasets import record_lines
from gsa.datasets.record_files import format_of, open_records, output_format_of
from gsa.datasets.records import Columns, ReadOptions, Record, RecordReader, Rejected
from gsa.errors import InputError

TABLE = "text,id\nIt was café noir – “fine”.,1\nlast,2\n"


def opened(path: Path, **options: Any) -> RecordReader:
    return open_records(path, ReadOptions(format_of(path), **options))


def texts(reader: RecordReader) -> list[str]:
    return [row.text if isinstance(row, Record) else row.reason for row in reader.rows]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_the_encoding_of_a_file_is_found(encoding: str, name: str, compressed: bool, tmp_path: Path) -> None:
    content = TABLE.encode(encoding)
    path = tmp_path / ("in.csv.gz" if compressed else "in.csv")
    path.write_bytes(gzip.compress(content) if compressed else content)
    reader = opened(path)
    assert reader.options.encoding == name
    assert texts(reader) == ["It was café noir – “fine”.", "last"]
    assert reader.fraction == 1.0
    assert texts(opened(path, encoding=reader.options.encoding)) == ["It was café noir – “fine”.", "last"]


def test_windows_1252_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gsa")
    path = tmp_path / "in.csv"
    path.write_bytes("text\nfine\ncafé\n".encode("cp1252"))
    assert texts(opened(path)) == ["fine", "café"]
    assert caplog.messages == [
        f"{path}: not UTF-8, read as cp1252 ('é' in line 3); --encoding names another one"
    ]


MACINTOSH = {
    "in.csv": 'id,text\r1,"two\nlines"\r\r2,last\r',
    "in.tsv": "id\ttext\r1\ttwo lines\r\r2\tlast",
    "in.jsonl": '{"id": 1, "text": "two\\nlines"}\r\r{"id": 2, "text": "last"}\r',
    "in.txt": "two lines\r\rlast\r",
}
"""Files whose lines end with a carriage return alone, as Excel's "CSV (Macintosh)"."""


@pytest.mark.parametrize("name", MACINTOSH)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_carriage_return_alone_ends_lines(name: str, encoding: str, tmp_path: Path) -> None:
    content = MACINTOSH[name].encode(encoding)
    for path, data in ((tmp_path / name, content), (tmp_path / f"{name}.gz", gzip.compress(content))):
        path.write_bytes(data)
        reader = opened(path)
        rows = list(reader.rows)
        assert all(isinstance(row, Record) for row in rows), rows
        assert [" ".join(row.text.split()) for row in rows if isinstance(row, Record)] == [
            "two lines", "last",
        ]  # fmt: skip
        assert rows[1].row == rows[0].row + 2 + (name == "in.csv"), "blank lines and those in quotes count"
        assert reader.fraction == 1.0


def test_carriage_returns_of_other_files_stay(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b'id,text\n1,"a\rb"\n2,a\rb\n3,last\n')
    first, bad, last = opened(path).rows
    assert isinstance(first, Record)
    assert first.text == "a\rb"
    assert isinstance(bad, Rejected)
    assert bad.reason.startswith("expected a row of a table, found a carriage return outside of quotes")
    assert isinstance(last, Record)
    assert last.row == 4
    path.write_bytes(b"\ntext\rid\n")
    with pytest.raises(
        InputError, match="line 2: expected a header of column names, found a carriage return"
    ):
        opened(path)


def test_a_long_first_line_of_a_macintosh_is_found(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"x" * 10**5 + b"\r" + "café\r".encode("cp1252") * 10**4)
    found = texts(opened(path))
    assert (len(found), found[-1]) == (10**4 + 1, "café")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "shift-jis", "gbk"])
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.txt"])
def test_encodings_that_are_not_found_are_named(
    name: str, encoding: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gsa")
    lines = {"in.csv": "text\n今日は\n", "in.jsonl": '{"text": "今日は"}\n', "in.txt": "今日は\n"}[name]
    path = tmp_path / name
    path.write_bytes(lines.encode(encoding))
    try:
        messages = texts(opened(path)) + caplog.messages
    except InputError as error:
        messages = [str(error)]
    assert any("--encoding" in message for message in messages), messages
    assert texts(opened(path, encoding=encoding)) == ["今日は"]


def test_utf_8_with_a_damaged_row_stays_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_lines, "SCANNED_BYTES", 2**17)
    path = tmp_path / "in.csv"
    path.write_bytes("text\ncafé\n".encode() + b"caf\xe9\n")
    assert texts(opened(path)) == [
        "café",
        "expected UTF-8 text, found the byte 0xE9 ('é' in the encoding cp1252) (--encoding names another "
        "encoding)",
    ]
    path.write_bytes(b"text\nfine\nodd \x81\n")
    assert "0x81" in texts(opened(path))[1], "no character of Windows-1252"
    path.write_bytes(b"text\n" + b"fine\n" * 2**15 + "café\n".encode("cp1252"))
    assert "0xE9" in texts(opened(path))[-1], "too far behind to be found"


def test_a_stream_names_the_encoding_that_would_read_it() -> None:
    content = "text\ncafé\n".encode("cp1252")
    assert (
        "'é' in the encoding cp1252" in texts(open_records(None, ReadOptions("csv"), io.BytesIO(content)))[0]
    )
    options = ReadOptions("csv", encoding="cp1252")
    assert texts(open_records(None, options, io.BytesIO(content))) == ["café"]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("fine", "café")).encode()
    assert texts(open_records(None, ReadOptions("jsonl"), io.BytesIO(gzip.compress(lines)))) == [
        "fine",
        "café",
    ]


def test_an_encoding_may_be_given(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes("text\nпривет\n".encode("cp1251"))
    assert texts(opened(path, encoding="cp1251")) == ["привет"]
    for name in ("utf-88", "base64"):
        with pytest.raises(InputError, match=f"--encoding '{name}': expected an encoding such as utf-8"):
            opened(path, encoding=name)
    path.write_bytes("text\nfine\n".encode("utf-16") + b"\xd8")
    with pytest.raises(InputError, match=r"line \d: expected another --encoding, found an error"):
        list(opened(path).rows)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:40] + b"\0" * 9 + data[49:]])
def test_damaged_gzip_is_one_sentence(damage: Any, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    content = "".join(json.dumps({"text": f"{i**5} {i**7}"}) + "\n" for i in range(3000)).encode()
    path.write_bytes(damage(gzip.compress(content)))
    with pytest.raises(InputError, match=r"line \d+: expected whole gzip data, found an error"):
        list(opened(path).rows)


def test_the_suffix_names_the_format(tmp_path: Path) -> None:
    names = {"a.csv.gz": "csv", "a.NDJSON": "jsonl", "a.ndjson.gz": "jsonl", "a.txt": "", "a.xlsx": "xlsx"}
    assert {name: format_of(Path(name)) for name in names} == names
    with pytest.raises(InputError, match=r"expected parquet that is not compressed, found '\.gz'"):
        format_of(Path("a.parquet.gz"))
    with pytest.raises(InputError, match=r"'a\.gz': expected one of csv, tsv"):
        format_of(Path("a.gz"))
    for name in ("a.xlsx", "a.csv.gz", "a.txt"):
        with pytest.raises(
            InputError, match=f"--output '{name}': expected one of csv, tsv, jsonl, parquet, found"
        ):
            output_format_of(Path(name))
    assert output_format_of(Path("a.ndjson")) == "jsonl"


def test_rejected_lines_of_gzip_keep_their_number(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}\nbad\n'))
    rejected = [row for row in opened(path).rows if isinstance(row, Rejected)]
    assert [(row.row, row.found) for row in rejected] == [(2, "bad")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    ("name", "head", "blank", "last"),
    [
        ("in.jsonl", "", "\n", '{"text": "last"}\n'),
        ("in.jsonl", '{"text": "a"}\n', " \t\r\n", '{"text": "last"}'),
        ("in.csv", "", "\r\n", "text\nlast\n"),
        ("in.csv", 'text\n"a\n\n\nb"\n', "\n", "last\n"),
        ("in.txt", "", "  \n", "last\n"),
        ("in.txt", "a\n", "\n", "  last"),
    ],
)
def test_blank_lines_are_counted_a_block_at_a_time(
    name: str,
    head: str,
    blank: str,
    last: str,
    encoding: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = 0
    read = record_lines.LineReader._read

    def counted(reader: record_lines.LineReader) -> bytes:
        nonlocal reads
        reads += 1
        return read(reader)

    monkeypatch.setattr(record_lines.LineReader, "_read", counted)
    for path, pack in ((tmp_path / name, bytes), (tmp_path / f"{name}.gz", gzip.compress)):
        path.write_bytes(pack((head + blank * 10**5 + last).encode(encoding)))
        reads = 0
        reader = opened(path)
        rows = [row for row in reader.rows if isinstance(row, Record)]
        assert reader.blank_lines() == 10**5
        assert rows[-1].text == "last"
        assert rows[-1].row == head.count("\n") + 10**5 + last.count("\n", 0, last.index("last")) + 1
        assert len(rows) == 1 + bool(head)
        assert reads < 1000


@pytest.mark.parametrize(
    ("content", "blank_lines"),
    [
        ("", 0), ("a\nb", 0), ("a\n\n", 1), ("\n \na\n", 2), ("a\n\n\nb\n\t", 3),
        ("\n" * 10**5 + "a\n\nb\n" + " \n" * 10**5 + "  ", 2 * 10**5 + 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("format", ["txt", "jsonl", "csv"])
def test_each_blank_line_is_counted_once(format: str, content: str, blank_lines: int, tmp_path: Path) -> None:
    path = tmp_path / "in"
    if format == "csv":  # where a line of white space is a row
        content = re.sub("[ \t]+", "", content) + "\n" * content.endswith((" ", "\t"))
    row = '{"text": "%s"}' if format == "jsonl" else "%s"
    path.write_text(row % "first" + "\n" + re.sub("[ab]", lambda match: row % match[0], content))
    reader = open_records(path, ReadOptions(format, Columns("first" if format == "csv" else None)))
    assert len(list(reader.rows)) == len(re.findall("[ab]", content)) + (format != "csv")
    assert reader.blank_lines() == blank_lines


def test_an_endless_stretch_of_blank_lines_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_lines, "MAX_BLANK_BYTES", 10**6)
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(b"text\nfine\n" + b"\n" * 10**6 + b"last\n"))
    assert texts(opened(path)) == ["fine", "last"]
    path.write_bytes(gzip.compress(b"text\nfine\n" + b"\n" * (10**6 + 2) + b"last\n"))
    with pytest.raises(InputError, match=r"line 3: expected at most 1,000,000 bytes of blank lines in a row"):
        texts(opened(path))
