"""Predictions as tables."""

import json
from typing import Any

import pandas as pd
import polars as pl
import pytest

import gsa
from gsa.data.types import Prediction, Truncated
from gsa.errors import InputError
from gsa.prediction import frames
from gsa.prediction.documents import Passage, combine_passages

GOOD = Prediction("positive", {"negative": 0.25, "positive": 0.75}, Truncated(0, 3))
UNSURE = Prediction(None, {"negative": 0.5, "positive": 0.5})
JOY = Prediction("joy", {"joy": 1.0})


def test_a_row_a_prediction() -> None:
    table = gsa.frame([GOOD, UNSURE])
    assert isinstance(table, pl.DataFrame)
    assert table.rows(named=True) == [
        {"predicted": "positive", "p_negative": 0.25, "p_positive": 0.75, "truncated_turns": 0,
         "truncated_words": 3, "detected_language": ""},
        {"predicted": None, "p_negative": 0.5, "p_positive": 0.5, "truncated_turns": 0, "truncated_words": 0,
         "detected_language": ""},
    ]  # fmt: skip
    assert gsa.frame(GOOD).height == 1
    assert gsa.frame([None, GOOD])["predicted"].to_list() == [None, "positive"]
    assert gsa.frame([]).columns == ["predicted", "truncated_turns", "truncated_words", "detected_language"]


def test_conversations_have_numbered_turns() -> None:
    table = gsa.frame([[JOY, JOY], [JOY]])
    assert table.select("conversation", "turn").rows() == [(1, 1), (1, 2), (2, 1)]


def test_predictions_of_several_tasks_have_the_columns_of_all() -> None:
    table = gsa.frame([GOOD, JOY])
    assert table.columns == [
        "predicted", "p_negative", "p_positive", "p_joy", "truncated_turns", "truncated_words",
        "detected_language",
    ]  # fmt: skip
    assert table["p_joy"].to_list() == [None, 1.0]


def test_pandas_on_request_and_where_polars_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = gsa.frame([GOOD, UNSURE], "pandas")
    assert isinstance(table, pd.DataFrame)
    assert table["p_positive"].tolist() == [0.75, 0.5]
    monkeypatch.setattr(frames, "find_spec", lambda name: name == "pandas" or None)
    assert isinstance(gsa.frame([GOOD]), pd.DataFrame)
    with pytest.raises(InputError, match="polars is not installed: expected polars or pandas"):
        gsa.frame([GOOD], "polars")
    with pytest.raises(InputError, match="library 'arrow': expected polars or pandas"):
        gsa.frame([GOOD], "arrow")


def test_documents_have_their_passages_as_labelled_files_do() -> None:
    parts = [Passage("Fine.", 0, GOOD), Passage("Well.", 6, UNSURE)]
    document = combine_passages(parts)
    table = gsa.frame([GOOD, document, None])
    assert table.columns[-2:] == ["detected_language", "passages"]
    assert table["passages"].to_list()[::2] == [None, None]
    assert json.loads(table["passages"][1]) == [
        {"start": 0, "text": "Fine.", "predicted": "positive", "p_negative": 0.25, "p_positive": 0.75},
        {"start": 6, "text": "Well.", "predicted": None, "p_negative": 0.5, "p_positive": 0.5},
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("abc", "expected predictions, found 'abc'"),
        (None, "expected predictions, found None"),
        (["abc"], "prediction 1: expected a Prediction, found 'abc'"),
        ([GOOD, 5], "prediction 2: expected a Prediction, found 5"),
        ([[JOY, "abc"]], "prediction 1 turn 2: expected a Prediction, found 'abc'"),
        (pl.DataFrame({"predicted": ["joy"]}), "predictions: found a table"),
    ],
)
def test_what_is_no_prediction_is_refused(given: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        gsa.frame(given)
