"""Overlaps between datasets: test texts that are in the training set of another dataset.

Several datasets are taken from one television series, so that a model tuned on one may have been trained on
the test texts of another, with labels of other annotators or of another task.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import permutations
from pathlib import Path

from gsa.data.types import Example
from gsa.datasets.catalogue import CATALOGUE, data_root, get, is_own_folder, load, missing_message
from gsa.datasets.custom import read_folder

MIN_WORDS = 5
"""Shorter texts are ignored: they may be repeated by chance."""

Overlaps = dict[str, dict[str, list[str]]]
"""By tested dataset and by training dataset, the ids of test examples whose text is in the training set."""


def available_datasets() -> list[str]:
    """Return the names of the datasets whose files are present, without those that ship with this package."""
    return [
        name
        for name, dataset in CATALOGUE.items()
        if dataset.package_folder is None
        and not any(missing_message(get(needed), data_root()) for needed in (name, *dataset.requires))
    ]


def find_overlaps(names: Sequence[str]) -> tuple[Overlaps, dict[str, int]]:
    """Return the overlaps of every pair of datasets, and how many test texts of each are long enough.

    Default protocols are compared. A dataset with folds is tested on all of them, each against what is
    trained on in that fold. Datasets of the same files, such as SST-2 and SST-3, are not compared. Users'
    folders are also compared with themselves. Raises
    InputError for an unknown dataset or missing files.
    """
    own = {name: read_folder(Path(name), name) for name in names if is_own_folder(name)}
    folds = {name: 1 if name in own else get(name).folds for name in names}
    splits = {
        name: [own[name]] if name in own else [load(name, fold=fold) for fold in range(folds[name])]
        for name in names
    }
    test = {name: [long_texts(split["test"]) for split in splits[name]] for name in names}
    train = {name: [set(long_texts(split["train"]).values()) for split in splits[name]] for name in names}
    overlaps: Overlaps = {name: {} for name in names}
    for tested, trained in [*permutations(names, 2), *((name, name) for name in own)]:
        if not {tested, trained} & own.keys() and get(tested).files == get(trained).files:
            continue
        ids: dict[str, None] = {}
        for fold, texts in enumerate(test[tested]):
            train_texts = train[trained][fold if folds[trained] > fold else 0]
            ids |= {id: None for id, words in texts.items() if words in train_texts}
        if ids:
            overlaps[tested][trained] = list(ids)
    return overlaps, {name: len({id for fold in test[name] for id in fold}) for name in names}


def long_texts(examples: Iterable[Example]) -> dict[str, tuple[str, ...]]:
    """Return the words of each target text of at least ``MIN_WORDS`` words, by the id of its example."""
    texts = {example.id: normalized_words(example.utterance.text) for example in examples}
    return {id: words for id, words in texts.items() if len(words) >= MIN_WORDS}


def normalized_words(text: str) -> tuple[str, ...]:
    """Return the words of a text, case-folded and without punctuation."""
    return tuple(re.findall(r"\w+", text.casefold().replace("'", "").replace("\u2019", "")))
