"""SemEval-2014 task 4: aspects in reviews of restaurants and laptops; two datasets of one format.

Format: ``{Restaurants,Laptops}_{Train,Test_Gold}.xml.seg``, three lines an aspect: the tokenised sentence
with ``$T$`` in the aspect's place, the aspect, its polarity -1, 0 or 1. Words are those of the Penn
Treebank (-LRB-, -RRB-, `` and '').

Every aspect is an example; those of one sentence share its Dialogue. Texts are put as a person would type
them. The default protocol, ``test-only``, has no train split: the licence is for research, and nothing
trained on these sentences may be given away. ``supervised`` has the owner's train, for comparison with
published models. There is no dev split.

Citation: Pontiki et al., SemEval-2014 Task 4: Aspect Based Sentiment Analysis, SemEval 2014.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gsa.data.task import ASPECT
from gsa.data.types import Dialogue, Example, Utterance
from gsa.datasets import parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
from gsa.datasets.sst2 import detokenize
from gsa.errors import InputError

LABELS = {"-1": "negative", "0": "neutral", "1": "positive"}
PLACE = "$T$"


def read(domain: str, folder: Path, protocol: str, fold: int) -> Splits:
    """Return the splits of one of the two; dev is empty, and train is unless `supervised`."""
    files = {"test": f"{domain.capitalize()}_Test_Gold.xml.seg"}
    if protocol == "supervised":
        files["train"] = f"{domain.capitalize()}_Train.xml.seg"
    splits: Splits = {"train": [], "dev": [], "test": []}
    for split, name in files.items():
        splits[split] = list(_examples(folder / name, split, f"semeval2014-{domain}"))
    return splits


def _examples(path: Path, split: str, dataset: str) -> Iterator[Example]:
    lines = parsing.read_lines(path)
    if len(lines) % 3:
        raise InputError(f"{path}: expected three lines per aspect, found {len(lines)} lines in all")
    dialogue = Dialogue("", ())
    for number, start in enumerate(range(0, len(lines), 3), start=1):
        (location, pattern), (_, aspect), (at, polarity) = lines[start : start + 3]
        if pattern.count(PLACE) != 1 or not aspect.strip():
            raise InputError(
                f"{location}: expected a sentence with one '{PLACE}' and its aspect, found '{pattern}'"
            )
        turns = (Utterance(detokenize(pattern.replace(PLACE, aspect).split())),)
        if turns != dialogue.turns:
            dialogue = Dialogue(f"{split}_{number}", turns)
        label = parsing.lookup(polarity.strip(), LABELS, at)
        yield Example(f"{split}_{number}", dataset, dialogue, 0, label, detokenize(aspect.split()))


# The short form of the commit is all that is known of it; the checksums decide.
_COMMIT = "9a7c6c1"
SHA256 = {
    "restaurants": {
        "Restaurants_Train.xml.seg": "179e03965ad30f9c6348b5eb3ea0f285fd6952c7914489c5539ed65ffef5c66a",
        "Restaurants_Test_Gold.xml.seg": "9492e95146e4f650da5109a2a2da4ae9e3f2440b7fccadac2100b3c2bd9dee0a",
    },
    "laptops": {
        "Laptops_Train.xml.seg": "fcc7574e20bc5af850d643ecaacf8f675a7c6b7979923ac5a0d571f237398a67",
        "Laptops_Test_Gold.xml.seg": "991c33cac376ac571564006b23e525132871fa70535992a22bda38574768ae0c",
    },
}


def _dataset(domain: str) -> Dataset:
    return Dataset(
        name=f"semeval2014-{domain}",
        title=f"SemEval-2014 task 4 (aspects of {domain})",
        task=ASPECT,
        protocols=("test-only", "supervised"),
        metrics=("accuracy", "macro_f1", "weighted_f1"),
        read=partial(read, domain),
        folder="semeval2014",
        licence="none stated; research use: its training files may not go into weights that are given away",
        homepage="https://alt.qcri.org/semeval2014/task4/",
        citation="Pontiki et al. 2014, SemEval-2014 Task 4: Aspect Based Sentiment Analysis, SemEval",
        files=tuple(
            DataFile(name, sha256, github("songyouwei/ABSA-PyTorch", _COMMIT, f"datasets/semeval14/{name}"))
            for name, sha256 in SHA256[domain].items()
        ),
    )


DATASETS = tuple(_dataset(domain) for domain in SHA256)
