"""Custom datasets: a folder of users' labelled files, such as ``train.csv``, ``dev.jsonl``, ``test.xlsx``.

Format: that of `record_files`, with a column or key ``label`` and, where wanted, ``id``. Turns with a label
are targets, the others are context only; rows of one dialogue need not be adjacent. A row without an id is
named after its line. A label may be a number.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from gsa.data.types import Example
from gsa.datasets import parsing
from gsa.datasets.cells import as_name
from gsa.datasets.dataset import Splits
from gsa.datasets.record_files import BINARY, FORMATS, SUFFIXES, format_of, open_records
from gsa.datasets.records import Columns, ReadOptions, Record, Rejected
from gsa.errors import InputError, suggest

FILE_SUFFIXES = (*FORMATS, "xlsx", *SUFFIXES)
"""Of files with labels; those of text may be followed by `.gz`."""
LABEL = "label"
"""The usual column of labels."""


def read_file(
    path: Path,
    dataset: str,
    labels: Sequence[str] | None = None,
    columns: Columns | None = None,
    label_column: str = LABEL,
) -> list[Example]:
    """Return the examples of one file; with `labels`, any other label is refused.

    Raises InputError, with file and line, for the first row that is not as docs/data.md says.
    """
    turns = list(_turns(path, columns or Columns(), label_column))
    if not turns:
        raise InputError(f"{path}: expected one example or more, found none")
    for turn in turns:
        if labels is not None and turn.label is not None and turn.label not in labels:
            expected = f"expected a label out of {', '.join(labels)}"
            raise InputError(
                f"{turn.location}: {expected}, found '{turn.label}'{suggest(turn.label, labels)}"
            )
    _check_labelled(turns)
    return parsing.build_examples(turns, dataset)


def read_folder(
    folder: Path,
    dataset: str,
    labels: Sequence[str] | None = None,
    columns: Columns | None = None,
    label_column: str = LABEL,
) -> Splits:
    """Return the splits of a folder; one without a file is empty. `labels` None takes any.

    Raises InputError for two files of one split, for no train and no test file, and as `read_file` does.
    """
    splits: Splits = {}
    suffixes = [*FILE_SUFFIXES, *(f"{suffix}.gz" for suffix in FILE_SUFFIXES if suffix not in BINARY)]
    for split in ("train", "dev", "test"):
        files = [file for suffix in suffixes if (file := folder / f"{split}.{suffix}").is_file()]
        if len(files) > 1:
            names = " and ".join(file.name for file in files)
            raise InputError(f"{folder}: expected one file for the {split} split, found {names}")
        splits[split] = read_file(files[0], dataset, labels, columns, label_column) if files else []
    if not splits["train"] and not splits["test"]:
        raise InputError(
            f"{folder}: expected train or test examples in a {', '.join(FILE_SUFFIXES)} file, found none"
        )
    return splits


def _turns(path: Path, columns: Columns, label_column: str) -> Iterator[parsing.Turn]:
    format = format_of(path)
    reader = open_records(path, ReadOptions(format, columns))
    try:
        if format != "jsonl" and label_column not in reader.columns:
            near = suggest(label_column, reader.columns)
            raise InputError(
                f"{path}: expected a column '{label_column}'{near}, found {', '.join(reader.columns[:20])}"
            )
        for record in reader.rows:
            location = f"{path} {'row' if format in BINARY else 'line'} {record.row}"
            if isinstance(record, Rejected):
                raise InputError(f"{location}: {record.reason}")
            yield _turn(record, location, label_column, bool(columns.aspect))
    finally:
        reader.close()


def _turn(record: Record, location: str, label_column: str, asks_aspect: bool) -> parsing.Turn:
    id = f"{record.dialogue}_{record.turn}"
    if record.turn:
        location = f"{location} turn {record.turn}"
    else:
        id = _text(record, "id", location) or f"line{record.row}"
    label = _text(record, label_column, location) or None
    if label and asks_aspect and not record.aspect:
        raise InputError(f"{location}: expected an aspect, found none")
    return parsing.Turn(location, id, record.text, record.speaker, label, record.dialogue, record.aspect)


def _text(record: Record, name: str, location: str) -> str:
    """Return the text or the number of a column, empty where the row has none."""
    value = record.values.get(name)
    text = as_name(value)
    if text is None:
        raise InputError(f"{location}: '{name}': expected a text or a number, found {value!r:.60}")
    return text


def _check_labelled(turns: Sequence[parsing.Turn]) -> None:
    """Raise InputError for a sentence, or a dialogue, without a label."""
    labelled = {turn.dialogue for turn in turns if turn.label is not None}
    for turn in turns:
        if turn.label is None and not turn.dialogue:
            raise InputError(f"{turn.location}: expected a label, found none")
        if turn.dialogue and turn.dialogue not in labelled:
            raise InputError(f"{turn.location}: expected a label at a turn of '{turn.dialogue}', found none")
