import gzip
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsa.data.types import is_blank
from gsa.datasets import custom
from gsa.datasets.records import Columns
from gsa.errors import InputError

LABELS = ("good", "bad")


@pytest.fixture
def write(tmp_path):
    def to(name, content):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return to


def jsonl(*items):
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)


def shown(examples):
    return [(e.id, e.utterance.line(), e.label, len(e.dialogue.turns)) for e in examples]


def test_jsonl(write):
    path = write(
        "a.jsonl",
        jsonl(
            {"text": "Nice.", "label": "good", "speaker": "Ada", "id": "n1", "source": "ignored"},
            {"text": "Not nice.", "label": "bad"},
            {"id": "d", "turns": [{"text": "Well?", "speaker": "Ada"}, {"text": "No.", "label": "bad"}]},
        )
        + "\n"
        + jsonl({"turns": [{"text": "Yes.", "label": "good"}, {"text": "Oh.", "label": None}]}),
    )
    found = custom.read_file(path, "mine", LABELS)
    assert shown(found) == [
        ("n1", "Ada: Nice.", "good", 1),
        ("line2", "Not nice.", "bad", 1),
        ("d_2", "No.", "bad", 2),
        ("line5_1", "Yes.", "good", 2),
    ]
    assert {e.dataset for e in found} == {"mine"}


def test_csv_rows_of_one_dialogue_need_not_stand_together(write):
    content = 'label,text,dialogue_id,speaker,id\n,"Well,\nwell?",d1,Ada,\ngood,Nice.,,,n1\nbad,No.,d1,Ben,\n'
    found = custom.read_file(write("a.csv", content), "mine", LABELS)
    assert shown(found) == [("line5", "Ben: No.", "bad", 2), ("n1", "Nice.", "good", 1)]


def test_a_table_may_be_parquet(tmp_path):
    rows = {
        "text": ["Well?", "No.", "Nice."],
        "label": [None, "bad", "good"],
        "dialogue_id": ["d", "d", None],
    }
    pl.DataFrame({**rows, "id": [7, 8, 9]}).write_parquet(tmp_path / "train.parquet")
    examples = custom.read_folder(tmp_path, "mine", LABELS)["train"]
    assert shown(examples) == [("8", "No.", "bad", 2), ("9", "Nice.", "good", 1)]
    pl.DataFrame({"text": ["x", None], "label": ["bad", "bad"]}).write_parquet(tmp_path / "test.parquet")
    with pytest.raises(InputError, match=r"test.parquet row 2: 'text': expected a text, found none"):
        custom.read_folder(tmp_path, "mine", LABELS)


def test_lines_of_jsonl_with_a_dialogue_id_are_a_dialogue(write):
    rows = [{"text": "Well?", "dialogue_id": "d"}, {"text": "No.", "dialogue_id": "d", "label": "bad"}]
    assert shown(custom.read_file(write("a.jsonl", jsonl(*rows)), "mine")) == [("line2", "No.", "bad", 2)]


def test_any_label_will_do_when_none_are_given(write):
    path = write("a.csv", "text,label\nx,anything\n")
    assert custom.read_file(path, "mine")[0].label == "anything"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.md", "x", "expected one of csv, tsv, jsonl, parquet, xlsx, txt, chat, found 'md'"),
        ("a.jsonl", "{", r"found none \(line 1: expected JSON in UTF-8, found an error"),
        ("a.jsonl", "[]", r"found none \(line 1: expected an object or a text, found \[\]\)"),
        ("a.jsonl", "{}", "line 1: found no column 'text': expected the text column to be one of none"),
        ("a.jsonl", '{"text": "x", "turns": []}', "line 1: expected either 'text' or 'turns', found both"),
        ("a.jsonl", '{"text": 1}', "line 1: 'text': expected a text, found 1"),
        ("a.jsonl", '{"text": "\\u0000"}', r"line 1: expected UTF-8 text, found the character U\+0000"),
        (
            "a.jsonl",
            '{"text": "x", "id": "\\ud800"}',
            r"line 1: expected JSON in UTF-8, found an error: 'utf-8' codec",
        ),
        ("a.jsonl", "9" * 5000, r"line 1: expected JSON in UTF-8, found an error"),
        ("a.jsonl", '{"text": "x", "label": 1}', "line 1: expected a label out of good, bad, found '1'"),
        (
            "a.jsonl",
            '{"text": "x", "label": [1]}',
            r"line 1: 'label': expected a text or a number, found \[1\]",
        ),
        ("a.csv", "text,label\n ,bad\n", "line 2: 'text': expected a text, found an empty one"),
        (
            "a.csv",
            "text,lable\nx,bad\n",
            r"expected a column 'label' \(did you mean 'lable'\?\), found text, lable",
        ),
        ("a.jsonl", '{"turns": [7]}', r"line 1: turn 1 expected an object or a text, found 7"),
        ("a.jsonl", '{"turns": []}', r"line 1: 'turns': expected a list of turns, found \[\]"),
        (
            "a.jsonl",
            '\n{"text": "x", "label": "god"}',
            r"line 2: .*good, bad, found 'god' \(did you mean 'goo",
        ),
        ("a.jsonl", '{"text": "x"}', "line 1: expected a label, found none"),
        (
            "a.jsonl",
            '{"turns": [{"text": "x"}]}',
            "turn 1: expected a label at a turn of 'line1', found none",
        ),
        (
            "a.jsonl",
            '{"text": "x", "id": "a", "label": "bad"}\n' * 2,
            "line 2: expected a unique id, found 'a'",
        ),
        ("a.csv", "text\nx\n", "a.csv: expected a column 'label', found text"),
        ("a.csv", "text,label\nx,\n", "line 2: expected a label, found none"),
        ("a.csv", "text,label\nx,bad,y\n", "line 2: expected 2 fields, found 3"),
        ("a.csv", "text,label\n", "expected one example or more, found none"),
        ("a.tsv", "text\tlabel\nx\tworse\n", "line 2: expected a label out of good, bad, found 'worse'"),
        ("a.csv", "", "found an empty file"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(write, name, content, said):
    with pytest.raises(InputError, match=said) as error:
        custom.read_file(write(name, content), "mine", LABELS)
    assert "\n" not in str(error.value)


def test_a_folder_has_a_file_a_split(write, tmp_path):
    write("train.csv", "text,label\nx,good\n")
    write("test.jsonl", jsonl({"text": "y", "label": "bad"}))
    found = custom.read_folder(tmp_path, "mine", LABELS)
    assert {split: shown(examples) for split, examples in found.items()} == {
        "train": [("line2", "x", "good", 1)],
        "dev": [],
        "test": [("line1", "y", "bad", 1)],
    }


def test_a_folder_with_two_files_for_a_split_or_with_none_is_refused(write, tmp_path):
    with pytest.raises(InputError, match=r"expected train or test examples"):
        custom.read_folder(tmp_path, "mine", LABELS)
    write("dev.csv", "text,label\nx,good\n")
    with pytest.raises(InputError, match=r"expected train or test examples"):
        custom.read_folder(tmp_path, "mine", LABELS)
    write("dev.tsv", "text\tlabel\nx\tgood\n")
    with pytest.raises(InputError, match=r"expected one file for the dev split, found dev.csv and dev.tsv"):
        custom.read_folder(tmp_path, "mine", LABELS)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.lists(st.tuples(words, words), min_size=1))
def test_any_jsonl_text_comes_back(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("custom") / "a.jsonl"
    pairs = [(text, speaker) for text, speaker in pairs if not is_blank(text)]
    if not pairs:
        return
    rows = [{"text": text, "speaker": speaker, "label": "good"} for text, speaker in pairs]
    path.write_text(jsonl(*rows), encoding="utf-8")
    found = custom.read_file(path, "mine")
    assert [(e.utterance.text, e.utterance.speaker) for e in found] == [
        (text.strip(), speaker.strip()) for text, speaker in pairs
    ]


def test_columns_have_any_name_and_labels_may_be_numbers(tmp_path):
    columns = Columns("review", "who", "talk")
    (tmp_path / "train.csv").write_text("review,stars,who,talk\nFine.,5,Ada,7\nBad.,1,,7\n")
    pl.DataFrame({"review": ["Well."], "stars": [5.0], "who": [3], "talk": [None]}).write_parquet(
        tmp_path / "dev.parquet"
    )
    row = {"review": "No.", "stars": 1, "who": None, "talk": None}
    (tmp_path / "test.ndjson.gz").write_bytes(gzip.compress(jsonl(row).encode()))
    splits = custom.read_folder(tmp_path, "mine", ("1", "5"), columns, "stars")
    assert {split: shown(examples) for split, examples in splits.items()} == {
        "train": [("line2", "Ada: Fine.", "5", 2), ("line3", "Bad.", "1", 2)],
        "dev": [("line1", "3: Well.", "5", 1)],
        "test": [("line1", "No.", "1", 1)],
    }
    with pytest.raises(InputError, match=r"expected a column 'star'.*did you mean 'stars'"):
        custom.read_folder(tmp_path, "mine", ("1", "5"), columns, "star")


def test_an_excel_file_is_a_split(tmp_path):
    pl.DataFrame({"text": ["Fine.", "Bad."], "label": ["good", "bad"]}).write_excel(tmp_path / "train.xlsx")
    assert shown(custom.read_folder(tmp_path, "mine", LABELS)["train"]) == [
        ("line2", "Fine.", "good", 1),
        ("line3", "Bad.", "bad", 1),
    ]
