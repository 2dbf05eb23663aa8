"""Three-class sentiment of other datasets: one of their protocols as a dataset of its own.

In a recipe a name has one protocol, and results are kept by name. So a chain that is tuned on two classes of
SST-2 and then on three, or on emotions of MELD and then on its sentiment, needs two names. Files and texts
are those of the original dataset, and so are ids and splits.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from gsa.data.task import SENTIMENT
from gsa.datasets import emorynlp, meld, mosei, mosi, sst2
from gsa.datasets.dataset import Dataset, Splits

METRICS = ("macro_f1", "accuracy", "macro_recall", "weighted_f1")


def read(original: Dataset, protocol: str, name: str, folder: Path, _protocol: str, fold: int) -> Splits:
    """Return the splits that a dataset has in a protocol, as examples of the dataset `name`."""
    splits = original.read(folder, protocol, fold)
    return {
        split: [replace(example, dataset=name) for example in examples] for split, examples in splits.items()
    }


def _dataset(original: Dataset, protocol: str, name: str, title: str, *metrics: str) -> Dataset:
    return replace(
        original,
        name=name,
        title=title,
        task=SENTIMENT,
        tasks={},
        protocols=("standard",),
        train_protocols=(),
        metrics=(*METRICS, *metrics),
        read=partial(read, original, protocol, name),
    )


DATASETS = (
    _dataset(sst2.DATASET, "three-class", "sst3", "SST-3 (film reviews, three classes)"),
    _dataset(mosi.DATASET, "three-class", "mosi3", "CMU-MOSI (three classes)", "acc2_has0", "acc2_non0"),
    _dataset(mosei.DATASET, "three-class", "mosei3", "CMU-MOSEI (three classes)", "acc2_has0", "acc2_non0"),
    _dataset(meld.DATASET, "sentiment", "meld-sentiment", "MELD (sentiment of utterances)"),
    _dataset(emorynlp.DATASET, "sentiment", "emorynlp-sentiment", "EmoryNLP (sentiment of utterances)"),
)
