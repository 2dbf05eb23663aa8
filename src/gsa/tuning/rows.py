"""Labelled texts and conversations as people have them in memory: to rows, and to the files of a dataset."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from gsa.data.types import Utterance, unreadable
from gsa.datasets.cells import as_name
from gsa.datasets.records import MAX_NAMES
from gsa.errors import InputError, suggest
from gsa.prediction.inputs import as_list, dialogue

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledRow:
    """A text with its label, or a conversation with a label at some of its turns."""

    turns: tuple[Utterance, ...]
    labels: tuple[str | None, ...]
    """Of each turn; None is context only."""

    @property
    def label(self) -> str:
        """The last label, by which rows are stratified."""
        return next(label for label in reversed(self.labels) if label is not None)


def labelled_rows(texts: Any, labels: Any, data: Any = None) -> list[LabelledRow]:
    """Return a row for each text or conversation.

    `texts` and `labels` are lists, arrays or Series, or with `data`, a table, names of its columns. A
    conversation has one label, of its last turn, or a list of them, one a turn, None for context only.
    Raises InputError that names the first input, or label, that cannot be read.
    """
    if data is not None:
        texts, labels = _column(data, texts, "texts"), _column(data, labels, "labels")
    texts, labels = _list(texts, "texts"), _list(labels, "labels")
    if len(texts) != len(labels):
        raise InputError(f"expected as many labels as texts, found {len(labels)} and {len(texts)}")
    rows = [_row(*pair, number) for number, pair in enumerate(zip(texts, labels, strict=True), start=1)]
    if len(names := label_names(rows)) < 2:
        raise InputError(f"labels: expected two or more distinct ones, found {list(names)}")
    if all(map(_is_number, names)):
        logger.warning("the labels are numbers: words such as 'urgent' tell the model what they mean")
    return rows


def label_names(rows: Iterable[LabelledRow]) -> tuple[str, ...]:
    """Return the distinct labels of rows, sorted."""
    return tuple(sorted({label for row in rows for label in row.labels if label is not None}))


def _column(data: Any, name: Any, what: str) -> Any:
    if not isinstance(name, str):
        raise InputError(f"{what}: expected the name of a column of `data`, found {name!r:.60}")
    try:
        return data[name]
    except Exception:  # pandas, polars and dicts raise errors of their own
        names = getattr(
            data, "columns", getattr(data, "column_names", None)
        )  # the latter of datasets.Dataset
        names = data if isinstance(data, Mapping) else names
        if names is None:
            kind = type(data).__name__
            raise InputError(
                f"data: expected a table, such as a DataFrame or a dict of columns, found {kind}"
            ) from None
        columns = [str(column) for column in names]
        shown = f"{', '.join(columns[:MAX_NAMES]) or 'none'}{', ...' if len(columns) > MAX_NAMES else ''}"
        raise InputError(
            f"{what}: `data` has no column '{name}'{suggest(name, columns)}: expected one of {shown}"
        ) from None


def _list(values: Any, what: str) -> list[Any]:
    items = as_list(values, what)
    if not isinstance(items, list) or not items:
        raise InputError(f"{what}: expected a list, an array or a Series, found {values!r:.60}")
    return items


def _row(text: Any, label: Any, number: int) -> LabelledRow:
    turns = dialogue(text, f"text {number}").turns
    if isinstance(label, str) or not isinstance(label, Sequence | np.ndarray):
        labels: list[str | None] = [None] * (len(turns) - 1) + [_label(label, f"label {number}")]
        return LabelledRow(turns, tuple(labels))
    if len(label) != len(turns):
        raise InputError(f"label {number}: expected one of each of {len(turns)} turns, found {len(label)}")
    labels = [
        None if value is None else _label(value, f"label {number} turn {turn}")
        for turn, value in enumerate(label, start=1)
    ]
    if not any(labels):
        raise InputError(f"label {number}: expected a label at one turn or more, found none")
    return LabelledRow(turns, tuple(labels))


def _label(value: Any, where: str) -> str:
    name = as_name(value)
    if not name or not (isinstance(value, str) or _is_number(name)):
        raise InputError(f"{where}: expected a word, found {value!r:.60}")
    if character := unreadable(name):
        raise InputError(f"{where}: expected a word, found {character} in {value!r:.60}")
    return name


def _is_number(label: str) -> bool:
    return label.removeprefix("-").isdecimal()


def folds(rows: Sequence[LabelledRow], count: int, seed: int) -> list[np.ndarray]:
    """Return for each of `count` folds which rows are in it, about equally many of each label.

    A row whose label no other row has is in no fold, so that it is always trained on. There are no more folds
    than rows of the commonest label. Raises InputError for fewer rows than folds, and where each label is
    that of one row.
    """
    if len(rows) < count:
        raise InputError(f"expected at least as many texts as folds, found {len(rows)} and {count}")
    labels = [row.label for row in rows]
    _, indices, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.max() < 2:
        raise InputError("expected a label that two texts or more have, to hold some of them out, found none")
    if counts.max() < count:
        logger.warning("%d folds instead of %d: no label has more texts", counts.max(), count)
    is_alone = counts[indices] == 1
    fold_of = np.full(len(rows), -1)
    common = np.flatnonzero(~is_alone)
    count = min(count, int(counts.max()))
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    for number, (_, members) in enumerate(splitter.split(common, indices[common])):
        fold_of[common[members]] = number
    return [fold_of == number for number in range(count)]


def write_rows(rows: Iterable[LabelledRow], file: Path) -> None:
    """Write rows as a JSONL file of a custom dataset (docs/data.md)."""
    with file.open("w", encoding="utf-8") as lines:
        for number, row in enumerate(rows, start=1):
            lines.write(json.dumps(_json(row, f"{file.stem}-{number}"), ensure_ascii=False) + "\n")


def _json(row: LabelledRow, id: str) -> Mapping[str, Any]:
    turns = [
        {"text": turn.text, "speaker": turn.speaker, "label": label or ""}
        for turn, label in zip(row.turns, row.labels, strict=True)
    ]
    return {"id": id, **turns[0]} if len(turns) == 1 else {"id": id, "turns": turns}
