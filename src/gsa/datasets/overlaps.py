"""Test texts that are in the training set of another dataset: names in, ids of the repeated examples out.

Several datasets are cut from one television series, so that a model tuned on one may have read the test texts
of another, with labels of other annotators or of another task.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import permutations

from gsa.datasets.catalogue import load
from gsa.tasks.dialogue import Example

WORDS = 5
"""A text of fewer words may be repeated by chance: it is not looked for."""

Overlaps = dict[str, dict[str, list[str]]]
"""By tested dataset and by training dataset, the ids of test examples whose text is in the training set."""


def words_of(text: str) -> tuple[str, ...]:
    """Return a text's words without case, punctuation and signs."""
    return tuple(re.findall(r"\w+", text.casefold().replace("'", "").replace("\u2019", "")))


def long_texts(examples: Iterable[Example]) -> dict[str, tuple[str, ...]]:
    """Return the words of the target texts of five or more words, by the id of the example."""
    found = ((example.id, words_of(example.utterance.text)) for example in examples)
    return {id: words for id, words in found if len(words) >= WORDS}


def overlaps(names: Sequence[str]) -> tuple[Overlaps, dict[str, int]]:
    """Return the overlaps of each two datasets, and how many test texts of each are long enough.

    Default protocols, fold 0. Raises InputError where a dataset is unknown or not here.
    """
    splits = {name: load(name) for name in names}
    test = {name: long_texts(splits[name]["test"]) for name in names}
    train = {name: set(long_texts(splits[name]["train"]).values()) for name in names}
    found: Overlaps = {name: {} for name in names}
    for tested, trained in permutations(names, 2):
        ids = [id for id, words in test[tested].items() if words in train[trained]]
        if ids:
            found[tested][trained] = ids
    return found, {name: len(texts) for name, texts in test.items()}
