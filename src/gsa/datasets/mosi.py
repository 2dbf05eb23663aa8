"""CMU-MOSI: spoken opinions about films, transcribed.

Format: ``label.csv`` with ``video_id, clip_id, text, label, mode``: a score from -3 to 3, and train,
valid or test. The texts are all capitals without punctuation.

Out come lone sentences labelled by the sign of the score: negative (<0), neutral (0), positive (>0),
so that both two-class conventions, with and without zeros, can be computed from predictions. Asked are
two labels, a score of 0 as positive (negative against non-negative); by ``three-class``, all three.
The words are the owner's; a text in capitals is put in sentence case (see ``sentence_case``).

Citation: Zadeh et al., Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and Verbal
Messages, IEEE Intelligent Systems 2016.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from pathlib import Path

from gsa.data.task import SENTIMENT
from gsa.datasets import parsing as reading
from gsa.datasets.dataset import Dataset, Source, Splits
from gsa.errors import InputError

NAME = "mosi"
COLUMNS = ("video_id", "clip_id", "text", "label", "mode")
MODES = {"train": "train", "valid": "dev", "test": "test"}
TWO_CLASSES = replace(SENTIMENT.with_labels("negative", "positive"), merged={"neutral": "positive"})
METRICS = ("acc2_has0", "acc2_non0", "weighted_f1_has0", "weighted_f1")


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    return split_by_mode(folder / "label.csv", NAME)


def split_by_mode(path: Path, dataset: str) -> Splits:
    """Return the three splits of a label file, MOSI's or MOSEI's."""
    found: dict[str, list[reading.Turn]] = {split: [] for split in ("train", "dev", "test")}
    for split, turn in _turns(path, dataset):
        found[split].append(turn)
    # Ids must differ over the whole file: the splits were cut out of one list of clips.
    reading.examples((turn for turns in found.values() for turn in turns), dataset)
    return {split: reading.examples(turns, dataset) for split, turns in found.items()}


def _turns(path: Path, dataset: str) -> Iterator[tuple[str, reading.Turn]]:
    for where, row in reading.rows(path, COLUMNS):
        text = sentence_case(row["text"]) if dataset == NAME else row["text"]
        # A video's id may hold "_" and start with "-"; it is never taken apart again.
        id = f"{row['video_id']}_{row['clip_id']}"
        split = reading.choose(row["mode"], MODES, where)
        yield split, reading.Turn(where, id, text, label=_sign(row["label"], where))


def _sign(score: str, where: str) -> str:
    try:
        number = float(score)
    except ValueError:
        number = float("nan")
    if not isfinite(number) or abs(number) > 3:
        raise InputError(f"{where}: expected a score from -3 to 3, found '{score}'")
    return "negative" if number < 0 else "positive" if number > 0 else "neutral"


def sentence_case(text: str) -> str:
    """Return a text in small letters but for its first and the pronoun I; one not in capitals as it is."""
    if not text.isupper():
        return text
    small = re.sub(r"\bi\b", "I", text.strip().lower())
    return small[:1].upper() + small[1:]


DATASET = Dataset(
    name=NAME,
    title="CMU-MOSI (spoken film opinions)",
    task=TWO_CLASSES,
    protocols=("two-class", "three-class"),
    tasks={"three-class": SENTIMENT},
    metrics=METRICS,
    files=("label.csv",),
    read=read,
    folder="mosi",
    licence="MIT (of the owner's SDK)",
    homepage="http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset/",
    citation="Zadeh et al. 2016, Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and "
    "Verbal Messages, IEEE Intelligent Systems",
    sources=(Source("label.csv", "bc74e6e55f6cc51c606013cf2d650b2d17f217a1052bd0b6586c8d9cb490af3f"),),
    obtain="its texts, scores and folds come from the owner's CMU-MultimodalSDK; write them as label.csv "
    "with the columns video_id, clip_id, text, label (-3 to 3) and mode (train, valid, test)",
)
