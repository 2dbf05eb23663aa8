"""Predictions as a table of polars or pandas."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from gsa.data.types import Prediction
from gsa.errors import InputError
from gsa.prediction.writers import LABEL, LANGUAGE, TURNS, WORDS

LIBRARIES = ("polars", "pandas")


Rows = Sequence[Prediction | None] | Sequence[Sequence[Prediction | None]]

LAST = (TURNS, WORDS, LANGUAGE)
"""Columns behind the labels of all tasks."""


def frame(predictions: Prediction | Rows, library: str = "") -> Any:
    """Return a DataFrame with one row a prediction: its label, probabilities, and what was not read.

    The columns are those of `gsa predict`: `predicted`, `p_LABEL` of every label, `truncated_turns`,
    `truncated_words`. Lists of the turns of conversations give the columns `conversation` and `turn` before
    them, counted from 1. A prediction of None, of a text that was skipped, is a row of nulls. `library` is
    polars or pandas; empty takes the first that is installed. Raises InputError for another one, and where it
    is not installed.
    """
    if library not in ("", *LIBRARIES):
        raise InputError(f"library '{library}': expected polars or pandas")
    installed = next((name for name in LIBRARIES if library in ("", name) and find_spec(name)), None)
    if installed is None:
        raise InputError(f"{library or 'polars'} is not installed: expected polars or pandas")
    items: list[Any] = [predictions] if isinstance(predictions, Prediction) else list(predictions)
    rows: list[dict[str, Any]] = []
    for number, item in enumerate(items, start=1):
        if item is None or isinstance(item, Prediction):
            rows.append(_row(item))
            continue
        rows += [
            {"conversation": number, "turn": turn, **_row(prediction)}
            for turn, prediction in enumerate(item, start=1)
        ]
    names = list(dict.fromkeys(name for row in rows for name in row)) or [LABEL, *LAST]
    names.sort(key=lambda name: name in LAST)  # behind the labels of all tasks
    return import_module(installed).DataFrame({name: [row.get(name) for row in rows] for name in names})


def _row(prediction: Prediction | None) -> dict[str, Any]:
    if prediction is None:
        return dict.fromkeys((LABEL, *LAST))
    probabilities = {f"p_{label}": p for label, p in prediction.probabilities.items()}
    others = (prediction.truncated.turns, prediction.truncated.words, prediction.language)
    return {LABEL: prediction.label, **probabilities, **dict(zip(LAST, others, strict=True))}
