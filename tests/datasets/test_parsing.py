import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsa.datasets import parsing
from gsa.errors import InputError


def test_text_has_no_byte_order_mark_and_unix_line_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert parsing.read_text(path) == "one\ntwo\rthree\n"


def test_a_file_that_is_not_utf_8_is_read_as_its_fallback_as_a_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("it’s café".encode("cp1252"))
    assert parsing.read_text(path, fallback="cp1252") == "it’s café"
    # One byte that is not UTF-8, and the whole file is the older kind.
    path.write_bytes("é".encode() + "’".encode("cp1252"))
    assert parsing.read_text(path, fallback="cp1252") == "Ã©’"


@pytest.mark.parametrize(
    ("raw", "fallback", "said"),
    [
        (b"", "", "expected text, found an empty file"),
        (b" \n", "", "expected text, found an empty file"),
        (b"a\nb\0", "", "line 2: expected text, found a NUL byte"),
        (b"a\n\xff", "", "line 2: expected utf-8 text, found byte 0xFF"),
        (b"a\n\n\x81", "cp1252", "line 3: expected cp1252 text, found byte 0x81"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, raw, fallback, said):
    path = tmp_path / "a.txt"
    path.write_bytes(raw)
    with pytest.raises(InputError) as error:
        parsing.read_text(path, fallback)
    assert str(error.value) == f"{path} {said}" or str(error.value) == f"{path}: {said}"


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(InputError, match=r"expected a readable file, found none"):
            parsing.read_text(path)


def test_lines_end_at_line_feeds_alone_and_blank_ones_stay(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a\u2028b\x85c\n\n d\n", newline="")
    assert [line.text for line in parsing.read_lines(path)] == ["a\u2028b\x85c", "", " d"]
    assert parsing.read_lines(path)[2].location == f"{path} line 3"


def test_rows_hold_quoted_newlines_huge_fields_and_know_their_line(tmp_path):
    path = tmp_path / "a.csv"
    huge = "x" * 300_000
    path.write_bytes(f'id , text\r\n1,"two\r\nlines ""here"""\r\n\r\n2,{huge}\r\n'.encode())
    first, second = parsing.read_table(path, ("id", "text"))
    assert first == (f"{path} line 2", {"id": "1", "text": 'two\nlines "here"'})
    assert second.location == f"{path} line 5"
    assert second.values["text"] == huge


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,txt\n1,a\n", "line 1: expected a column 'text', found id, txt"),
        ('id,text\n1,"a\nb"\n2\n', "line 4: expected 2 fields, found 1"),
        ("id,text,text\n1,a,b\n", "line 1: expected one column 'text', found 2"),
        ("id,text\n1,a,b\n", "line 2: expected 2 fields, found 3"),
        ('id,text\n1,"a\nb\n', "line 2: expected a row of a table, found an error: unexpected end of data"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path, content, said):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(InputError) as error:
        list(parsing.read_table(path, ("id", "text")))
    assert str(error.value) == f"{path} {said}"


@pytest.mark.parametrize("content", ["{", "[1,]", "[" * 100_000])
def test_broken_json_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"expected JSON, found"):
        parsing.read_json(path)


def test_json_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"^here: expected an object, found \[1\]$"):
        parsing.require_key([1], "a", str, "here")
    with pytest.raises(InputError, match=r"^here: expected a key 'a', found b, c$"):
        parsing.require_key({"b": 1, "c": 2}, "a", str, "here")
    with pytest.raises(InputError, match=r"^here key 'a': expected a text, found 1$"):
        parsing.require_key({"a": 1}, "a", str, "here")
    with pytest.raises(InputError, match=r"found \"x{56}\.\.\.$"):
        parsing.require_type("x" * 100, int, "here")


def test_an_unknown_label_is_refused():
    assert parsing.lookup("a", {"a": 1}, "here") == 1
    with pytest.raises(InputError) as error:
        parsing.lookup("joi", {"joy": 1, "fear": 2}, "here")
    assert str(error.value) == "here: expected one of joy, fear, found 'joi' (did you mean 'joy'?)"


def test_turns_of_a_dialogue_share_it_even_when_they_stand_apart():
    found = parsing.build_examples(
        [
            parsing.Turn("1", "a1", " Hi. ", " Ada ", "joy", "a"),
            parsing.Turn("2", "b1", "Yes.", "", "joy", "b"),
            parsing.Turn("3", "a2", "What?", "Ben", None, "a"),
            parsing.Turn("4", "a3", "Hi.", "Ada", "fear", "a"),
            parsing.Turn("5", "a", "alone", label="joy"),
        ],
        "own",
    )
    assert [(example.id, example.target, example.label) for example in found] == [
        ("a1", 0, "joy"),
        ("a3", 2, "fear"),
        ("b1", 0, "joy"),
        ("a", 0, "joy"),
    ]
    assert found[0].dialogue is found[1].dialogue
    assert [turn.line() for turn in found[0].dialogue.turns] == ["Ada: Hi.", "Ben: What?", "Ada: Hi."]
    # The sentence called "a" is not part of the dialogue called "a".
    assert len(found[3].dialogue.turns) == 1


def test_an_id_that_comes_twice_is_refused():
    with pytest.raises(InputError, match=r"^line 2: expected a unique id, found 'a', as at line 1$"):
        parsing.build_examples([parsing.Turn("line 1", "a", "x"), parsing.Turn("line 2", "a", "y")], "own")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1))
def test_any_text_comes_back_as_it_was(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.txt"
    path.write_text(content, encoding="utf-8", newline="")
    if content.strip(" \t\n\v\f"):
        assert parsing.read_text(path) == content.removeprefix("\ufeff")
        joined = "\n".join(line.text for line in parsing.read_lines(path))
        assert joined == content.removeprefix("\ufeff").removesuffix("\n")


def test_the_hash_never_changes():
    assert parsing.stable_hash("1_60") == 16760146296088592883
