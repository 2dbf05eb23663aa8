"""Predictions of one run: tables on disk with checksums and fingerprints, and the same as arrays in memory.

    run/predictions/level-K/DATASET-SPLIT.parquet   id, dialogue, gold, predicted, greedy, p_LABEL...
    run/predictions/SHA256SUMS                      a line per file, as sha256sum writes and checks it

A table that differs from its checksum is never opened. The fingerprint of what a table was computed from
is a comment line of SHA256SUMS before the checksum, ignored by sha256sum; both change in one atomic write.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gsa.atomic_io import atomic_path, write_atomic
from gsa.chain.run_folder import RunFolder
from gsa.checksums import SUMS, read_sums, sha256
from gsa.data.task import Task
from gsa.data.types import Example
from gsa.evaluation.metrics import Answers, answers_of

PROBABILITY = "p_"
"""Prefix of the probability columns."""
FINGERPRINT = "# fingerprint "


class PredictionStore:
    """The prediction tables in one folder of a run."""

    def __init__(self, root: Path) -> None:
        """`root` is the folder of the run."""
        self.run = RunFolder(root)
        self.folder = self.run.predictions_folder

    def path(self, level: int, dataset: str, split: str) -> Path:
        """Return the file of one level's predictions on one split of a dataset."""
        return self.run.predictions_file(level, dataset, split)

    def load(self, level: int, dataset: str, split: str) -> pl.DataFrame | None:
        """Return a stored table; None where it is missing or not as it was stored."""
        path = self.path(level, dataset, split)
        return pl.read_parquet(path) if self.is_intact(path) else None

    def is_intact(self, path: Path) -> bool:
        """Return whether a file is there and has the checksum that was stored with it."""
        try:
            return sha256(path) == read_sums(self.folder).get(self._name(path))
        except OSError:
            return False

    def fingerprint(self, level: int, dataset: str, split: str) -> str:
        """Return the fingerprint stored with a table; empty where there is none."""
        return self._fingerprints().get(self._name(self.path(level, dataset, split)), "")

    def store(self, level: int, dataset: str, split: str, table: pl.DataFrame, fingerprint: str = "") -> None:
        """Write a table, its checksum and the fingerprint of what it was computed from."""
        path = self.path(level, dataset, split)
        with atomic_path(path) as draft:
            table.write_parquet(draft)
        self._record(path, fingerprint)

    def copy_to(self, target: "PredictionStore", level: int, dataset: str, split: str) -> None:
        """Copy an intact table with its fingerprint to another store; do nothing where there is none."""
        table = self.load(level, dataset, split)
        if table is not None:
            target.store(level, dataset, split, table, self.fingerprint(level, dataset, split))

    def _record(self, path: Path, fingerprint: str) -> None:
        name = self._name(path)
        sums = {**read_sums(self.folder), name: sha256(path)}
        fingerprints = {**self._fingerprints(), name: fingerprint}
        lines = []
        for key, checksum in sorted(sums.items()):
            if fingerprints.get(key):
                lines.append(f"{FINGERPRINT}{fingerprints[key]}  {key}\n")
            lines.append(f"{checksum}  {key}\n")
        write_atomic(self.folder / SUMS, "".join(lines))

    def _fingerprints(self) -> dict[str, str]:
        """Return the fingerprints by file name."""
        try:
            text = (self.folder / SUMS).read_bytes().decode("utf-8", "replace")
        except OSError:
            return {}
        lines = [line.removeprefix(FINGERPRINT) for line in text.split("\n") if line.startswith(FINGERPRINT)]
        return {name: value for value, _, name in (line.partition("  ") for line in lines)}

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def digest(content: Any) -> str:
    """Return a short checksum of JSON-serialisable content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def examples_digest(task: Task, *splits: Sequence[Example]) -> str:
    """Return a checksum of a task and of the ids, targets, labels, aspects and texts of examples.

    A dialogue is read once, however many of its turns are targets.
    """
    dialogues: dict[int, str] = {}
    parts: list[list[Any]] = []
    for examples in splits:
        rows: list[Any] = []
        for example in examples:
            key = id(example.dialogue)
            if key not in dialogues:
                dialogues[key] = digest(asdict(example.dialogue))
            rows.append([example.id, example.target, example.label, example.aspect, dialogues[key]])
        parts.append(rows)
    return digest([asdict(task), parts])


def to_table(
    task: Task,
    examples: Sequence[Example],
    probabilities: NDArray[np.float64],
    greedy: Sequence[str | None] | None = None,
    predicted: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return a table with one row per example and one probability column per label.

    `probabilities` has the shape (examples, labels); `greedy` is the label that greedy decoding gives;
    `predicted` replaces the most probable label.
    """
    columns: dict[str, list[Any]] = {
        "id": [example.id for example in examples],
        "dialogue": [example.dialogue.id for example in examples],
        "gold": [example.label for example in examples],
        "predicted": list(predicted or _predicted_labels(task, probabilities)),
    }
    if greedy is not None:
        columns["greedy"] = list(greedy)
    strings = dict.fromkeys(columns, pl.String)
    columns |= {PROBABILITY + label: probabilities[:, i].tolist() for i, label in enumerate(task.labels)}
    return pl.DataFrame(columns, schema_overrides=strings)


def _predicted_labels(task: Task, probabilities: NDArray[np.float64]) -> list[str]:
    """Return the most probable label of each row, or the labels of a multi-label task above one half."""
    if not task.multilabel:
        return [task.labels[i] for i in probabilities.argmax(1)]
    return [
        ",".join(label for label, p in zip(task.labels, row, strict=True) if p >= 0.5)
        for row in probabilities
    ]


def labels_of(table: pl.DataFrame) -> tuple[str, ...]:
    """Return the labels that a table has probabilities of, in the order of its columns."""
    return tuple(name.removeprefix(PROBABILITY) for name in table.columns if name.startswith(PROBABILITY))


def to_answers(task: Task, table: pl.DataFrame) -> Answers:
    """Return the gold labels and probabilities of a table, with a number per dialogue if it names them."""
    probabilities = table.select([PROBABILITY + label for label in task.labels]).to_numpy()
    answers = answers_of(task, table["gold"].to_list(), probabilities, table["predicted"].to_list())
    if "dialogue" not in table.columns:
        return answers
    numbers = np.unique(table["dialogue"].to_numpy(), return_inverse=True)[1]
    return replace(answers, dialogues=numbers.astype(np.int64))


@dataclass(frozen=True)
class Predictions:
    """Predictions of one run and level on one dataset, in memory."""

    ids: tuple[str, ...]
    answers: Answers

    def select(self, ids: Sequence[str]) -> Answers:
        """Return the answers to these examples, in this order."""
        position = {id: i for i, id in enumerate(self.ids)}
        rows = np.asarray([position[id] for id in ids], dtype=np.int64)
        answers = self.answers
        return replace(
            answers,
            gold=answers.gold[rows],
            probabilities=answers.probabilities[rows],
            neutral=None if answers.neutral is None else answers.neutral[rows],
            chosen=None if answers.chosen is None else answers.chosen[rows],
            dialogues=None if answers.dialogues is None else answers.dialogues[rows],
        )


def concatenate(folds: Sequence[Predictions | None]) -> Predictions | None:
    """Return the predictions of all folds as one; None where some are missing or their labels differ."""
    present = [fold for fold in folds if fold is not None]
    if not present or len(present) < len(folds) or len({fold.answers.labels for fold in present}) > 1:
        return None
    parts = [fold.answers for fold in present]
    neutral = [part.neutral for part in parts if part.neutral is not None]
    chosen = [part.chosen for part in parts if part.chosen is not None]
    offsets = np.cumsum([0, *(len(part.gold) for part in parts)])  # dialogues of two folds are distinct
    dialogues = [
        part.dialogues + offset
        for part, offset in zip(parts, offsets[:-1], strict=True)
        if part.dialogues is not None
    ]
    answers = replace(
        parts[0],
        gold=np.concatenate([part.gold for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        neutral=np.concatenate(neutral) if neutral else None,
        chosen=np.concatenate(chosen) if chosen else None,
        dialogues=np.concatenate(dialogues) if len(dialogues) == len(parts) else None,
    )
    return Predictions(tuple(id for fold in present for id in fold.ids), answers)
