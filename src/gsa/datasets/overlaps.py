"""Test texts that are in the training set of another dataset: names in, ids of the repeated examples out.

Several datasets are cut from one television series, so that a model tuned on one may have read the test texts
of another, with labels of other annotators or of another task.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import permutations

from gsa.data.types import Example
from gsa.datasets.catalogue import get, load

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

    Default protocols. Of a tested dataset with folds the test parts of all folds, each against what is
    trained on in that fold. Raises InputError where a dataset is unknown or not here.
    """
    folds = {name: get(name).folds for name in names}
    splits = {name: [load(name, fold=fold) for fold in range(folds[name])] for name in names}
    test = {name: [long_texts(each["test"]) for each in splits[name]] for name in names}
    train = {name: [set(long_texts(each["train"]).values()) for each in splits[name]] for name in names}
    found: Overlaps = {name: {} for name in names}
    for tested, trained in permutations(names, 2):
        ids: dict[str, None] = {}
        for fold, texts in enumerate(test[tested]):
            read = train[trained][fold if folds[trained] > fold else 0]
            ids |= {id: None for id, words in texts.items() if words in read}
        if ids:
            found[tested][trained] = list(ids)
    return found, {name: len({id for fold in test[name] for id in fold}) for name in names}
