"""Labelled texts as people have them: what is read, what is refused, and how they are divided."""

from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from gsa.data.types import Utterance
from gsa.datasets.custom import read_folder
from gsa.errors import InputError
from gsa.tuning.rows import folds, label_names, labelled_rows, write_rows

TEXTS, LABELS = ["Call me now!", "No hurry.", "Help!"], ["urgent", "can wait", "urgent"]


def test_lists_arrays_series_and_columns_are_read_alike() -> None:
    rows = labelled_rows(TEXTS, LABELS)
    assert [(row.turns[0].text, row.label) for row in rows] == list(zip(TEXTS, LABELS, strict=True))
    assert label_names(rows) == ("can wait", "urgent")
    frame = pl.DataFrame({"body": TEXTS, "urgency": LABELS})
    for texts, labels, data in [
        (np.array(TEXTS), np.array(LABELS), None),
        (frame["body"], frame["urgency"], None),
        ("body", "urgency", frame),
        ("body", "urgency", frame.to_dict(as_series=False)),
        (iter(TEXTS), tuple(LABELS), None),
    ]:
        assert labelled_rows(texts, labels, data) == rows


def test_pandas_is_read_too() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"body": TEXTS, "urgency": LABELS}, index=[7, 7, 9])
    assert labelled_rows("body", "urgency", frame) == labelled_rows(TEXTS, LABELS)
    assert labelled_rows(frame["body"], frame["urgency"].astype("category")) == labelled_rows(TEXTS, LABELS)


def test_a_conversation_has_a_label_of_its_last_turn_or_of_each() -> None:
    chat = [("Ana", "Where is it?"), {"speaker": "Desk", "text": "Let me look."}]
    one, each = labelled_rows([chat, chat], ["calm", ["anger", None]])
    assert one.turns == (Utterance("Where is it?", "Ana"), Utterance("Let me look.", "Desk"))
    assert (one.labels, each.labels) == ((None, "calm"), ("anger", None))
    assert each.label == "anger"


@pytest.mark.parametrize(
    ("texts", "labels", "says"),
    [
        (TEXTS, LABELS[:2], "expected as many labels as texts, found 2 and 3"),
        ("Call me now!", ["urgent"], "texts: expected a list, an array or a Series, found 'Call me now!'"),
        (TEXTS, None, "labels: expected a list, an array or a Series, found None"),
        ([], [], r"texts: expected a list, an array or a Series, found \[\]"),
        (["a", float("nan"), "c"], LABELS, "text 2: expected .* found nan"),
        (["a", " ", "c"], LABELS, "text 2: expected a text, found an empty one"),
        (TEXTS, ["urgent", None, "x"], "label 2: expected a word, found None"),
        (TEXTS, ["urgent", 0.5, "x"], "label 2: expected a word, found 0.5"),
        (TEXTS, ["urgent", " ", "x"], "label 2: expected a word, found ' '"),
        (TEXTS, [True, False, True], "label 1: expected a word, found True"),
        (TEXTS, ["urgent", float("nan"), "x"], "label 2: expected a word, found nan"),
        (TEXTS, ["urgent", "a\0", "x"], r"label 2: expected a word, found the character U\+0000 in 'a"),
        (TEXTS, ["urgent"] * 3, r"labels: expected two or more distinct ones, found \['urgent'\]"),
        ([["a", "b"], "c"], [["x"], "y"], "label 1: expected one of each of 2 turns, found 1"),
        ([["a", "b"], "c"], [[None, None], "y"], "label 1: expected a label at one turn or more, found none"),
        ([["a", "b"], "c"], [["x", 0.5], "y"], "label 1 turn 2: expected a word, found 0.5"),
    ],
)
def test_what_cannot_be_read_is_named(texts: object, labels: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        labelled_rows(texts, labels)


def test_a_missing_column_is_named() -> None:
    frame = pl.DataFrame({"body": TEXTS, "urgency": LABELS})
    with pytest.raises(InputError, match=r"no column 'urgncy' \(did you mean 'urgency'\?\): expected one of"):
        labelled_rows("body", "urgncy", frame)
    wide = {f"column {i}": TEXTS for i in range(2_000)}
    with pytest.raises(
        InputError, match=r"no column 'body': expected one of column 0, .* column 19, \.\.\.$"
    ):
        labelled_rows("body", "urgency", wide)
    for rows, kind in ((frame.rows(named=True), "list"), ("body", "str")):
        with pytest.raises(InputError, match=f"^data: expected a table, such as .* found {kind}$"):
            labelled_rows("body", "urgency", rows)
    with pytest.raises(InputError, match="texts: expected the name of a column of `data`"):
        labelled_rows(TEXTS, "urgency", frame)
    with pytest.raises(InputError, match="texts: found a table"):
        labelled_rows(frame, LABELS)


def test_numbers_are_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for labels in (
        np.array([1, 0, 1]),
        [1.0, 0.0, 1.0],
        ["1", "0", "1"],
        [Decimal("1.00"), 0, np.float32(1)],
    ):
        caplog.clear()
        rows = labelled_rows(TEXTS, labels)
        assert [row.label for row in rows] == ["1", "0", "1"]
        assert "the labels are numbers" in caplog.text
    caplog.clear()
    assert label_names(labelled_rows(TEXTS, [-1, 0, 1])) == ("-1", "0", "1")
    assert "the labels are numbers" in caplog.text


def test_folds_divide_all_rows_by_label() -> None:
    rows = labelled_rows([f"text {i}" for i in range(41)], ["a"] * 20 + ["b"] * 20 + ["rare"])
    parts = folds(rows, 4, seed=0)
    assert np.sum(parts, axis=0).tolist() == [1] * 40 + [0], "a label of one row is always trained on"
    for part in parts:
        assert [rows[i].label for i in np.flatnonzero(part)].count("a") == 5
    assert not np.array_equal(parts, folds(rows, 4, seed=1))
    with pytest.raises(InputError, match="at least as many texts as folds, found 41 and 50"):
        folds(rows, 50, seed=0)


def test_written_rows_are_read_as_a_dataset(tmp_path) -> None:
    chat = ["Where is it?", ("Desk", "Let me look."), ("Ana", "\u201cThanks\u201d")]
    rows = labelled_rows([*TEXTS, chat], [*LABELS, ["urgent", None, "can wait"]])
    write_rows(rows, tmp_path / "train.jsonl")
    examples = read_folder(tmp_path, "own", ["urgent", "can wait"])["train"]
    assert [example.label for example in examples] == [*LABELS, "urgent", "can wait"]
    assert [example.utterance.text for example in examples] == [*TEXTS, chat[0], chat[2][1]]
    assert examples[-1].dialogue.turns == rows[-1].turns


def test_labels_of_one_text_each_have_no_folds(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError, match=r"expected a label that two texts or more have, .*found none"):
        folds(labelled_rows(["a", "b", "c"], ["x", "y", "z"]), 2, 0)
    assert len(folds(labelled_rows(["a", "b", "c", "d"], ["x", "x", "y", "y"]), 4, 0)) == 2
    assert caplog.messages == ["2 folds instead of 4: no label has more texts"]
