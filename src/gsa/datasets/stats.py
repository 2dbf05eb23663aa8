"""Numbers about datasets: sizes, labels, dialogues, lengths."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

from gsa.datasets.catalogue import CATALOGUE, absence, data_root, get, load
from gsa.datasets.dataset import Dataset, Splits


def stats(names: Iterable[str] = (), root: Path | None = None) -> list[dict[str, Any]]:
    """Return one row a dataset, of all in the catalogue unless some are named.

    A dataset that is not there has ``name`` and ``missing``, a sentence. Any other has ``name``,
    ``level``, ``splits``, ``total``, ``labels``, ``labels_by_split``, ``dialogues``, ``average_words``
    (of the target utterances); ``protocols`` with the splits of its other protocols, if it has any;
    and ``non_zero`` with the splits without score 0, if its metrics tell the two apart. Of a protocol
    with folds the splits are those of fold 0.
    """
    root = data_root() if root is None else root
    return [_row(get(name), root) for name in names or CATALOGUE]


def _row(dataset: Dataset, root: Path) -> dict[str, Any]:
    sentence = absence(dataset, root)
    # Another dataset whose files are read too is as needful as its own.
    for name in dataset.needs:
        sentence = sentence or absence(get(name), root)
    if sentence:
        return {"name": dataset.name, "missing": sentence}
    splits = load(dataset.name, root=root)
    every = [(split, example) for split, examples in splits.items() for example in examples]
    labels = (*dataset.task.labels, *dataset.task.merged)
    by_split = _labels(splits, labels)
    row: dict[str, Any] = {
        "name": dataset.name,
        "level": dataset.task.level,
        "splits": _sizes(splits),
        "total": len(every),
        "labels": {label: sum(found[label] for found in by_split.values()) for label in labels},
        "labels_by_split": by_split,
        "dialogues": len({(split, example.dialogue.id) for split, example in every}),
        "average_words": round(fmean(len(example.utterance.text.split()) for _, example in every), 1),
    }
    if dataset.protocols[1:]:
        others = dataset.protocols[1:]
        row["protocols"] = {name: _sizes(load(dataset.name, name, root=root)) for name in others}
    if "acc2_non0" in dataset.metrics:
        row["non_zero"] = {split: sum(found.values()) - found["neutral"] for split, found in by_split.items()}
    return row


def _sizes(splits: Splits) -> dict[str, int]:
    return {split: len(examples) for split, examples in splits.items()}


def _labels(splits: Splits, labels: Iterable[str]) -> dict[str, dict[str, int]]:
    counts = {split: Counter(example.label for example in examples) for split, examples in splits.items()}
    return {split: {label: found[label] for label in labels} for split, found in counts.items()}
