"""Predictions as a table of polars or pandas."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from gsa.data.types import Prediction
from gsa.errors import InputError
from gsa.prediction.documents import DocumentPrediction
from gsa.prediction.inputs import as_list
from gsa.prediction.writers import LABEL, LANGUAGE, PASSAGES, TURNS, WORDS, json_line, passage_rows

LIBRARIES = ("polars", "pandas")

Rows = Sequence[Prediction | None] | Sequence[Sequence[Prediction | None]]

ALWAYS = (TURNS, WORDS, LANGUAGE)
"""Columns behind the labels."""
LAST = (*ALWAYS, PASSAGES)
"""The same, and that of documents."""


def frame(predictions: Prediction | Rows, library: str = "") -> Any:
    """Return a DataFrame with one row a prediction: its label, probabilities, and what was not read.

    The columns are those of `gsa predict`: `predicted`, `p_LABEL` of every label, `truncated_turns`,
    `truncated_words`, `detected_language`, and `passages` (JSON) where there are documents. Lists of the
    turns of conversations give the columns `conversation` and `turn` before them, counted from 1. A
    prediction of None, of a text that was skipped, is a row of nulls. `library` is polars or pandas; empty
    takes the first that is installed. Raises InputError for another one, where it is not installed, and for
    what is no Prediction.
    """
    if library not in ("", *LIBRARIES):
        raise InputError(f"library '{library}': expected polars or pandas")
    installed = next((name for name in LIBRARIES if library in ("", name) and find_spec(name)), None)
    if installed is None:
        raise InputError(f"{library or 'polars'} is not installed: expected polars or pandas")
    items = [predictions] if isinstance(predictions, Prediction) else as_list(predictions, "predictions")
    if not isinstance(items, list | tuple):
        raise InputError(f"expected predictions, found {items!r:.60}")
    rows: list[dict[str, Any]] = []
    for number, item in enumerate(items, start=1):
        if item is None or isinstance(item, Prediction):
            rows.append(_row(item, f"prediction {number}"))
            continue
        turns = as_list(item)
        if not isinstance(turns, list | tuple):
            raise InputError(f"prediction {number}: expected a Prediction, found {item!r:.60}")
        rows += [
            {"conversation": number, "turn": turn, **_row(prediction, f"prediction {number} turn {turn}")}
            for turn, prediction in enumerate(turns, start=1)
        ]
    names = list(dict.fromkeys(name for row in rows for name in row)) or [LABEL, *ALWAYS]
    names.sort(key=lambda name: LAST.index(name) + 1 if name in LAST else 0)  # behind the labels of all tasks
    return import_module(installed).DataFrame({name: [row.get(name) for row in rows] for name in names})


def _row(prediction: Prediction | None, location: str) -> dict[str, Any]:
    if prediction is None:
        return dict.fromkeys((LABEL, *ALWAYS))
    if not isinstance(prediction, Prediction):
        raise InputError(f"{location}: expected a Prediction, found {prediction!r:.60}")
    probabilities = {f"p_{label}": p for label, p in prediction.probabilities.items()}
    others = (prediction.truncated.turns, prediction.truncated.words, prediction.language)
    row = {LABEL: prediction.label, **probabilities, **dict(zip(ALWAYS, others, strict=True))}
    if isinstance(prediction, DocumentPrediction):
        row[PASSAGES] = json_line(passage_rows(prediction)).decode().rstrip("\n")
    return row
