"""Statistics of datasets: sizes, labels, dialogues, lengths."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from gsa.data.task import Task
from gsa.datasets.catalogue import CATALOGUE, data_root, get, is_own_folder, load, missing_message
from gsa.datasets.custom import read_folder
from gsa.datasets.dataset import Dataset, Splits


def stats(names: Iterable[str] = (), root: Path | None = None) -> list[dict[str, Any]]:
    """Return one row for each named dataset or user's folder, for all of the catalogue if none is named.

    A dataset with missing files has ``name`` and ``missing``, a sentence. Any other has ``name``, ``level``,
    ``splits``, ``total``, ``labels``, ``labels_by_split``, ``dialogues`` and ``average_words`` (of the target
    utterances); ``protocols`` with the split sizes of its other protocols, if it has any; and ``non_zero``
    with the split sizes without score 0, if its metrics distinguish them. A protocol with folds is counted
    by its fold 0. Raises InputError for an unknown name.
    """
    root = data_root() if root is None else root
    return [
        _folder_row(Path(name)) if is_own_folder(name) else _row(get(name), root)
        for name in names or CATALOGUE
    ]


def _folder_row(folder: Path) -> dict[str, Any]:
    splits = read_folder(folder, folder.name)
    counts = {split: Counter(str(one.label) for one in examples) for split, examples in splits.items()}
    return {"name": folder.name, "level": 4, **_counts(splits, counts, sorted(set().union(*counts.values())))}


def _row(dataset: Dataset, root: Path) -> dict[str, Any]:
    for name in (dataset.name, *dataset.requires):
        if message := missing_message(get(name), root):
            return {"name": dataset.name, "missing": message}
    splits = load(dataset.name, root=root)
    labels = (*dataset.task.labels, *dataset.task.merged)
    by_split = _label_counts(splits, dataset.task)
    row: dict[str, Any] = {
        "name": dataset.name,
        "level": dataset.task.level,
        **_counts(splits, by_split, labels),
    }
    if others := dataset.protocols[1:]:
        row["protocols"] = {name: _sizes(load(dataset.name, name, root=root)) for name in others}
    if "acc2_non0" in dataset.metrics:
        row["non_zero"] = {
            split: sum(counts.values()) - counts["neutral"] for split, counts in by_split.items()
        }
    return row


def _counts(
    splits: Splits, by_split: Mapping[str, Mapping[str, int]], labels: Iterable[str]
) -> dict[str, Any]:
    """Return sizes, labels and lengths of a dataset."""
    examples = [example for split in splits.values() for example in split]
    return {
        "splits": _sizes(splits),
        "total": len(examples),
        "labels": {label: sum(counts.get(label, 0) for counts in by_split.values()) for label in labels},
        "labels_by_split": by_split,
        "dialogues": sum(len({example.dialogue.id for example in split}) for split in splits.values()),
        "average_words": round(fmean(len(example.utterance.text.split()) for example in examples), 1),
    }


def _sizes(splits: Splits) -> dict[str, int]:
    return {split: len(examples) for split, examples in splits.items()}


def _label_counts(splits: Splits, task: Task) -> dict[str, dict[str, int]]:
    """Return the number of examples of each label in each split, merged labels by their own names."""
    labels = (*task.labels, *task.merged)
    counts = {
        split: Counter(label for example in examples for label in task.split_labels(str(example.label)))
        for split, examples in splits.items()
    }
    return {split: {label: counts[split][label] for label in labels} for split in splits}
