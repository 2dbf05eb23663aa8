"""MAMS: sentences of restaurant reviews with two aspects or more, of at least two polarities.

Format: ``{train,val,test}.xml``: a ``sentence`` has its ``text`` and ``aspectTerm`` elements with ``term``
and ``polarity``; val is the dev split.

Every aspect term is an example; those of one sentence share its Dialogue. Ten training sentences
(compared by letters and digits alone) are also test sentences of SemEval-2014's restaurants, which measure
transfer from this dataset: they are left out of train.

`mams-plain` has each sentence once, labelled non-sarcastic. These labels are assumed, not annotated: the
dataset teaches the sarcasm task what plain speech looks like; it measures nothing by itself.

Citation: Jiang et al., A Challenge Dataset and Effective Models for Aspect-Based Sentiment Analysis,
EMNLP 2019.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gsa.data.task import ASPECT, SARCASM
from gsa.data.types import Dialogue, Example, Utterance
from gsa.datasets import parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
from gsa.errors import InputError

NAME = "mams"
PLAIN = "mams-plain"
LABELS = {label: label for label in ASPECT.labels}


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    splits = {
        split: list(_examples(folder / f"{name}.xml", name))
        for split, name in (("train", "train"), ("dev", "val"), ("test", "test"))
    }
    splits["train"] = [
        example
        for example in splits["train"]
        if parsing.fingerprint(example.utterance.text) not in IN_SEMEVAL2014
    ]
    return splits


def read_plain(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits with one example for each sentence, labelled non-sarcastic."""
    return {
        split: [
            Example(example.dialogue.id, PLAIN, example.dialogue, 0, "non-sarcastic")
            for example in {example.dialogue.id: example for example in examples}.values()
        ]
        for split, examples in read(folder, protocol, fold).items()
    }


def _examples(path: Path, split: str) -> Iterator[Example]:
    try:
        root = ElementTree.fromstring(parsing.read_text(path))
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: expected XML, found an error: {error}") from error
    sentences = root.findall("sentence")
    if not sentences:
        raise InputError(f"{path}: expected 'sentence' elements, found none")
    for number, element in enumerate(sentences, start=1):
        location, id = f"{path} sentence {number}", f"{split}_{number}"
        dialogue = Dialogue(id, (Utterance(" ".join((element.findtext("text") or "").split())),))
        for place, term in enumerate(element.iter("aspectTerm"), start=1):
            aspect = " ".join(term.get("term", "").split())
            if not aspect:
                raise InputError(f"{location}: expected a 'term' of aspect {place}, found none")
            label = parsing.lookup(term.get("polarity", ""), LABELS, location)
            yield Example(f"{id}_{place}", NAME, dialogue, 0, label, aspect)


IN_SEMEVAL2014 = frozenset(
    {
        "c665c6d034e9e0d2",
        "bcb3957a576cf7b5",
        "b55d6d2b8d4187c6",
        "b0aa4cdeffc9765d",
        "4170737cc30ff517",
        "07dc1d314f3b348c",
        "fa4727d56ef564e8",
        "d56f2b887ae62609",
        "981cf934dd4e9cba",
        "6d826ea5f99bcf28",
    }
)
"""Fingerprints of the training sentences that are test sentences of SemEval-2014."""

_COMMIT = "cddcdb0f423b3fdb2c76b70744737abed3a00d17"
SHA256 = {
    "train.xml": "26ba39142b28169ebc80408294f4e27493bd1e127c6aa2e85ab4bc750bf8017a",
    "val.xml": "5b7d225e2f9482a3814f15aed04ff8323105171a47d22d9899d871c4e0ba86ca",
    "test.xml": "f1a5f53b785335e9c57a1f82b1415026f821040b9e9662a2e467d47a54f20aa9",
}

DATASET = Dataset(
    name=NAME,
    title="MAMS (aspects in restaurant reviews)",
    task=ASPECT,
    metrics=("accuracy", "macro_f1", "weighted_f1"),
    read=read,
    folder="mams",
    licence="Apache-2.0",
    homepage="https://github.com/siat-nlp/MAMS-for-ABSA",
    citation="Jiang et al. 2019, A Challenge Dataset and Effective Models for Aspect-Based Sentiment "
    "Analysis, EMNLP",
    files=tuple(
        DataFile(name, sha256, github("siat-nlp/MAMS-for-ABSA", _COMMIT, f"data/MAMS-ATSA/raw/{name}"))
        for name, sha256 in SHA256.items()
    ),
)
DATASET_PLAIN = replace(
    DATASET,
    name=PLAIN,
    title="MAMS (its sentences, taken as not sarcastic)",
    task=SARCASM,
    metrics=("accuracy", "macro_f1", "weighted_f1"),
    read=read_plain,
)
