"""Users' files, row by row: every format says the same, and a bad row stops nothing."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gsa.datasets import record_files, record_json, record_lines, record_tables
from gsa.datasets.record_files import format_of, open_records
from gsa.datasets.records import ENCODING_HINT, Columns, ReadOptions, Record, RecordReader, Rejected
from gsa.errors import InputError

ROWS = [
    {"id": "1", "text": "It was fine.", "speaker": "Ana", "dialogue_id": "a"},
    {"id": "2", "text": 'A "quoted", broken\nline', "speaker": "", "dialogue_id": "a"},
    {"id": "3", "text": "naïve 好 \U0001f600", "speaker": "Ben", "dialogue_id": ""},
]


def written(folder: Path, kind: str, rows: list[dict[str, Any]] = ROWS) -> Path:
    path = folder / f"in.{kind}"
    frame = pl.DataFrame(rows)
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        frame.write_csv(path, separator="\t" if kind == "tsv" else ",")
    return path


def opened(path: Path, columns: Columns | None = None, **options: Any) -> RecordReader:
    return open_records(path, ReadOptions(format_of(path), columns or Columns(), **options))


def both(reader: RecordReader) -> tuple[list[Record], list[Rejected]]:
    rows = list(reader.rows)
    return [r for r in rows if isinstance(r, Record)], [r for r in rows if isinstance(r, Rejected)]


@pytest.mark.parametrize("kind", record_files.FORMATS)
def test_every_format_says_the_same(kind: str, tmp_path: Path) -> None:
    reader = opened(written(tmp_path, kind))
    records, rejected = both(reader)
    assert not rejected
    assert reader.columns == ["id", "text", "speaker", "dialogue_id"]
    assert [(r.text, r.speaker, r.dialogue) for r in records] == [
        (row["text"], row["speaker"], row["dialogue_id"]) for row in ROWS
    ]
    assert [dict(r.values) for r in records] == ROWS
    assert reader.fraction == 1.0


def test_rows_are_named_by_the_line_where_they_begin(tmp_path: Path) -> None:
    records, _ = both(opened(written(tmp_path, "csv")))
    assert [record.row for record in records] == [2, 3, 5]


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b'\xef\xbb\xbftext,label\r\nfine,good\r\n\r\n"two\r\nlines",bad\r\n')
    records, _ = both(opened(path))
    assert [(r.row, r.text, r.values["label"]) for r in records] == [
        (2, "fine", "good"),
        (4, "two\r\nlines", "bad"),
    ]


def test_bad_rows_of_a_table_are_rejected_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(
        b'text,id\nfine,1\nshort\n"a"b,3\n ,4\n\xff\xfe\xc3\xa9,5\na\0b,6\nlong,7,x\nlast,8\n"open,9\n'
    )
    records, rejected = both(opened(path))
    assert [record.text for record in records] == ["fine", "last"]
    assert [(r.row, r.reason.split(":")[-1].removesuffix(ENCODING_HINT).strip()) for r in rejected] == [
        (3, "expected 2 fields, found 1"),
        (4, "',' expected after '\"' (--no-quotes reads quotes as text)"),
        (5, "expected a text, found an empty one"),
        (6, "expected UTF-8 text, found the byte 0xFF ('ÿ' in the encoding cp1252)"),
        (7, "expected UTF-8 text, found the character U+0000"),
        (8, "expected 2 fields, found 3"),
        (10, "unexpected end of data (--no-quotes reads quotes as text)"),
    ]
    assert all(json.dumps(r.found).encode() for r in rejected)


SWALLOWED = b"""text,id
fine,1
"a stray quote,2
b,3

%s,4
he said "no" twice,5
"x" y,6
last,7
""" % (b"c" * 2000)


def test_lines_that_a_stray_quote_swallows_are_counted_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(SWALLOWED)
    records, rejected = both(opened(path))
    assert [record.text for record in records] == ["fine", "last"]
    assert [(r.row, r.found) for r in rejected] == [
        (3, '"a stray quote,2'),
        (4, "b,3"),
        (6, "c" * record_lines.EXCERPT),
        (7, 'he said "no" twice,5'),
        (8, '"x" y,6'),
    ]
    assert rejected[0].reason.startswith("lines 3 to 7 were read as one row: expected a row of a table")
    assert rejected[4].reason.startswith("expected a row of a table")
    path.write_text('text,id\n"open,1\nb,2\n12",3,4\nlast,5\n')
    records, rejected = both(opened(path))
    assert [record.text for record in records] == ["last"]
    assert {r.reason for r in rejected} == {
        "lines 2 to 4 were read as one row: expected 2 fields, found 3 (--no-quotes reads quotes as text)"
    }
    assert [r.found for r in rejected] == ['"open,1', "b,2", '12",3,4']


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_quotes_may_be_text(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.{kind}"
    path.write_bytes(SWALLOWED.replace(b",", b"\t" if kind == "tsv" else b","))
    records, rejected = both(opened(path, quotes=False))
    assert not rejected
    assert [(r.row, r.text) for r in records] == [
        (2, "fine"), (3, '"a stray quote'), (4, "b"), (6, "c" * 2000), (7, 'he said "no" twice'),
        (8, '"x" y'), (9, "last"),
    ]  # fmt: skip


def test_bad_lines_of_jsonl_are_rejected_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [b"nonsense", b'{"text": "fine"}', b"", b"[1]", b'{"text": 5}', b'{"txt": "a"}',
             b'{"text": "\\ud800"}', b'{"text": "a\\u0000"}', b'{"text": "\xff \xc3\xa9"}', b'{"turns": []}',
             b'{"turns": [1]}', b'{"text": "a", "speaker": [5]}', b'{"text": ' + b"9" * 5000 + b"}",
             b"[" * 100_000, b'{"text": "last", "dialogue_id": 7}']  # fmt: skip
    path.write_bytes(b"\n".join(lines))
    records, rejected = both(opened(path))
    assert [(r.row, r.text, r.dialogue) for r in records] == [(2, "fine", ""), (15, "last", "7")]
    assert [r.row for r in rejected] == [1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    assert rejected[1].reason == "expected an object or a text, found [1]"
    assert rejected[2].reason == "'text': expected a text, found 5"
    assert rejected[3].reason == "'text': expected a text, found none"
    assert all(json.dumps(r.found).encode() for r in rejected)


def test_a_line_without_end_is_rejected_in_constant_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (record_lines, record_json, record_tables):
        monkeypatch.setattr(module, "MAX_LINE_BYTES", 100)
    rows = [json.dumps({"text": text}) for text in ("first", "x" * 350, "last")]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(rows) + "\n")
    records, rejected = both(opened(path))
    assert [(r.row, r.text) for r in records] == [(1, "first"), (3, "last")]
    assert [(r.row, r.reason) for r in rejected] == [
        (2, "expected a line of at most 100 bytes, found a longer one")
    ]
    table = tmp_path / "in.csv"
    table.write_text("text,id\nfirst,1\n" + "x" * 350 + ',2\nlast,3\n"open,4\n' + "y,5\n" * 60)
    records, rejected = both(opened(table))
    assert [r.text for r in records][:2] == ["first", "last"]
    assert records[-1].text == "y", "an open quote costs the characters of a field, not the rest of the file"


def test_dialogues_of_jsonl_are_flattened(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    turns = [{"speaker": "Ana", "text": "Hi"}, {"text": ""}, {"text": "Bye", "label": "joy"}]
    path.write_text(
        json.dumps({"id": "c1", "topic": "x", "turns": turns}) + "\n" + json.dumps({"turns": turns[:1]})
    )
    records, rejected = both(opened(path))
    assert [(r.row, r.text, r.speaker) for r in records] == [
        (1, "Hi", "Ana"),
        (1, "Bye", ""),
        (2, "Hi", "Ana"),
    ]
    assert dict(records[1].values) == {
        "topic": "x",
        "dialogue_id": "c1",
        "turn": 3,
        "text": "Bye",
        "label": "joy",
    }
    assert [(r.dialogue, r.turn) for r in records] == [("c1", 1), ("c1", 3), ("line2", 1)]
    assert records[0].dialogue_key == records[1].dialogue_key != records[2].dialogue_key
    assert records[2].values["dialogue_id"] == "line2"
    assert [(r.row, r.reason) for r in rejected] == [
        (1, "turn 2 'text': expected a text, found an empty one")
    ]


def test_turns_may_be_texts_and_a_bad_one_is_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        json.dumps({"id": 1.0, "turns": ["hi", 7, {"text": "yo", "speaker": "Ana"}, None, ["Ana", "oh"]]})
        + "\n" + json.dumps({"turns": [{"role": "user", "content": "a"}, "b", {"text": "c", "speaker": 2}]})
        + "\n" + json.dumps({"id": [1], "turns": ["d"]}) + "\n"
    )  # fmt: skip
    records, rejected = both(opened(path))
    assert [(r.text, r.speaker, r.dialogue, r.turn) for r in records] == [
        ("hi", "", "1", 1), ("yo", "Ana", "1", 3),
        ("a", "user", "line2", 1), ("b", "", "line2", 2), ("c", "2", "line2", 3),
    ]  # fmt: skip
    assert dict(records[0].values) == {"dialogue_id": "1", "turn": 1, "text": "hi"}
    assert [r.reason for r in rejected] == [
        "turn 2 expected an object or a text, found 7",
        "turn 4 expected an object or a text, found none",
        "turn 5 expected an object or a text, found ['Ana', 'oh']",
        "'id': expected a text or a number, found [1]",
    ]
    path.write_text('{"messages": [{"role": "user", "content": "a"}, "b"]}\n')
    records, _ = both(opened(path))
    assert [(r.text, r.speaker) for r in records] == [("a", "user"), ("b", "")]
    path.write_text('{"turns": ["a", {"said": "b"}]}\n')
    records, _ = both(opened(path, Columns("said")))
    assert [r.text for r in records] == ["a", "b"], "under the key that is named"


def test_deep_nesting_is_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    deep = [f'{{"text": "a", "x": {"[" * depth}NaN{"]" * depth}}}' for depth in (99, 100, 600)]
    path.write_text("\n".join([*deep, '{"text": "last"}']) + "\n")
    records, rejected = both(opened(path))
    assert [r.row for r in records] == [1, 4]
    reason = "expected JSON in UTF-8, found more than 100 nested lists and objects"
    assert [(r.row, r.reason) for r in rejected] == [(2, reason), (3, reason)]
    assert rejected[0].found == deep[1]


ODD = ['a "[b]", {c}', "back\\\\slash \\", "x,\ny", "ü😀", "]"]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", ["in.json", "in.jsonl", "in.json.gz"])
def test_an_array_is_read_by_its_elements(indent: int | None, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    array = [{"text": text, "tags": [1, {"a": []}]} for text in ODD]
    content = ("\ufeff\n" + json.dumps(array, indent=indent, ensure_ascii=False) + "\n").encode()
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    records, rejected = both(opened(path))
    assert [(r.row, r.text) for r in records] == [(i, text) for i, text in enumerate(ODD, start=1)]
    assert not rejected


def test_an_array_of_dialogues_or_of_texts(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text(json.dumps([{"id": "d", "turns": ["Hi!", {"text": "Bye.", "speaker": "B"}]}]))
    records, _ = both(opened(path))
    assert [(r.dialogue, r.text, r.speaker) for r in records] == [("d", "Hi!", ""), ("d", "Bye.", "B")]
    path.write_text('["Good.", "Bad, \\"really\\"."]')
    records, _ = both(opened(path))
    assert [r.text for r in records] == ["Good.", 'Bad, "really".']


def test_a_bad_element_of_an_array_is_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('[{"text": "a"}, {"text": oops}, 7,\n {"text": "b"}]\n{"text": "c"}\n')
    records, rejected = both(opened(path))
    assert [(r.row, r.text) for r in records] == [(1, "a"), (4, "b"), (5, "c")]
    assert [(r.row, r.reason[:30]) for r in rejected] == [
        (2, "expected JSON in UTF-8, found "),
        (3, "expected an object or a text, "),
    ]


@pytest.mark.parametrize("end", ["", ",", ', {"text": "c'])
def test_an_array_that_does_not_end_is_read_so_far(end: str, tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('[{"text": "a"},\n{"text": "b"}' + end)
    records, rejected = both(opened(path))
    assert [r.text for r in records] == ["a", "b"]
    assert rejected[-1].reason == "expected a ']' that ends the array, found the end of the file"
    assert [r.row for r in rejected] == ([3, 4] if "c" in end else [3])


def test_the_end_of_an_array_is_no_blank_line(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    for indent in (None, 1):
        path.write_text(json.dumps([{"text": "a"}, {"text": "b"}], indent=indent) + "\n")
        reader = opened(path)
        assert len(both(reader)[0]) == 2
        assert reader.blank_lines() == 0


def test_an_array_longer_than_its_buffers_is_read_whole(tmp_path: Path) -> None:
    """Escapes and elements lie across the ends of blocks wherever these are."""
    texts = [("\\" * (i % 7) + '"') * (i % 11) + str(i) for i in range(20_000)]
    path = tmp_path / "in.json"
    path.write_text(json.dumps([{"text": text} for text in texts]))
    assert path.stat().st_size > 3 * 2**16
    records, rejected = both(opened(path))
    assert [r.text for r in records] == texts
    assert not rejected


def test_lines_after_an_array_of_one_line_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('[7]\n{"text": "b"}\n[\n')
    records, rejected = both(opened(path))
    assert [r.text for r in records] == ["b"], "a bad line is a bad line"
    assert [r.row for r in rejected] == [1, 3]


def test_two_dialogues_of_one_id_are_two(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": "a", "turns": [{"text": "Hi"}]}\n' * 2)
    records, _ = both(opened(path))
    assert [record.dialogue for record in records] == ["a", "a"]
    assert records[0].dialogue_key != records[1].dialogue_key


def test_a_line_has_a_text_or_turns(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a", "turns": 3}\n{"text": "b", "turns": []}\n{"turns": [{"text": "c"}]}\n')
    records, rejected = both(opened(path))
    assert [record.text for record in records] == ["a", "c"], "a number of turns is a column like any other"
    assert [r.reason for r in rejected] == ["expected either 'text' or 'turns', found both"]


def test_bad_lines_before_the_first_object_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_json, "MAX_BAD_LINES", 3)
    path = tmp_path / "in.jsonl"
    path.write_text('1\n2\n{"text": "a"}\n3\n')
    records, rejected = both(opened(path))
    assert [[row.row for row in rows] for rows in (records, rejected)] == [[3], [1, 2, 4]]
    path.write_text('1\n2\n3\n{"text": "a"}\n')
    with pytest.raises(InputError, match=r"found none \(line 1: expected an object or a text, found 1"):
        opened(path)


def test_a_table_of_jsonl_has_the_keys_of_its_first_row(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a", "id": 1}\n{"text": "b"}\n{"text": "c", "new": 2}\n')
    assert len(both(opened(path))[0]) == 3
    records, rejected = both(opened(path, same_keys=True))
    assert [r.text for r in records] == ["a", "b"]
    assert rejected[0].reason == "expected the keys of the first row, found 'new' too"


def test_columns_by_name(tmp_path: Path) -> None:
    rows = [{"review": "fine", "who": "Ana", "talk": 7}]
    for kind in record_files.FORMATS:
        records, _ = both(opened(written(tmp_path, kind, rows), Columns("review", "who", "talk")))
        assert (records[0].text, records[0].speaker, records[0].dialogue) == ("fine", "Ana", "7")


def test_parquet_keeps_types_and_rejects_nothing_but_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pl.DataFrame({"text": ["a", None, "c"], "n": [1, 2, 3]}).write_parquet(path)
    reader = opened(path)
    assert reader.schema["n"] == pl.Int64
    records, rejected = both(reader)
    assert [(r.row, r.values["n"]) for r in records] == [(1, 1), (3, 3)]
    assert rejected == [Rejected(2, "'text': expected a text, found none", {"text": None, "n": 2})]


def test_streams_have_no_size() -> None:
    stream = io.BytesIO(b"text\nfine\n")
    reader = open_records(None, ReadOptions("csv"), stream)
    assert [r.text for r in both(reader)[0]] == ["fine"]
    assert reader.fraction == 0.0
    with pytest.raises(InputError, match="standard input cannot be parquet"):
        open_records(None, ReadOptions("parquet"))


def test_a_header_alone_is_a_table_of_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,id\n")
    assert both(opened(path)) == ([], [])


@pytest.mark.parametrize(
    ("name", "content", "columns", "says"),
    [
        ("in.csv", b"text\nx", Columns("txt"), r"'txt' \(did you mean 'text'\?\): expected the text column"),
        ("in.csv", b"text,who\nx,y", Columns(speaker="whom"), r"mean 'who'\?\): expected the speaker"),
        ("in.csv", b"text,talk\nx,y", Columns(dialogue="tlk"), r"mean 'talk'\?\): expected the dialogue id"),
        ("in.csv", b"review\nx", Columns(), "found no column 'text': expected the text column to be one"),
        ("in.csv", b"", Columns(), "expected a header and rows, found an empty file"),
        ("in.csv", b"text,text\na,b", Columns(), "expected one column 'text', found several"),
        ("in.csv", b'"text"x\na', Columns(), "line 1: expected a header of column names"),
        ("in.csv", b"text,\xff\na,\xc3\xa9", Columns(), "expected a header in UTF-8 text"),
        ("in.jsonl", b"", Columns(), "expected a JSON object on a line or in an array, found none"),
        ("in.jsonl", b'[1]\n2\n', Columns(), r"found none \(line 1: expected an object or a text"),
        ("in.jsonl", b'{"review": "a"}', Columns(), "line 1: found no column 'text'"),
        ("in.parquet", b"text", Columns(), "expected a Parquet file, found an error"),
    ],
)  # fmt: skip
def test_files_that_are_not_as_expected(
    name: str, content: bytes, columns: Columns, says: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        opened(path, columns)


def test_parquet_texts_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pl.DataFrame({"text": [1, 2]}).write_parquet(path)
    with pytest.raises(InputError, match="column 'text' is Int64: expected texts"):
        opened(path)


def test_formats_and_files_that_are_none(tmp_path: Path) -> None:
    assert format_of(None) == "jsonl"
    assert format_of(Path("x.CSV")) == "csv"
    assert format_of(Path("x.txt"), "tsv") == "tsv"
    with pytest.raises(
        InputError, match=r"'x\.md': expected one of csv, tsv, jsonl, parquet, xlsx, txt, chat, found 'md'"
    ):
        format_of(Path("x.md"))
    with pytest.raises(InputError, match=r"--format 'jsn'.*did you mean 'jsonl'"):
        format_of(None, "jsn")
    with pytest.raises(InputError, match="expected a file, found none"):
        opened(tmp_path / "none.csv")
    with pytest.raises(InputError, match="expected a file, found a folder"):
        open_records(tmp_path, ReadOptions("csv"))
