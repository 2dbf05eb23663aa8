"""CMU-MOSI: spoken opinions about films, transcribed.

Format: ``label.csv`` with ``video_id, clip_id, text, label, mode``: a score from -3 to 3, and train,
valid or test. The texts are all capitals without punctuation.

The examples are single sentences labelled by the sign of the score, so that both two-class conventions, with
and without zeros, can be computed from predictions: negative (<0), neutral (0), positive (>0). The default
task has two labels and merges a score of 0 into positive (negative against non-negative); the protocol
``three-class`` has all three. The words are the owner's; a text in capitals is put in sentence case (see
``sentence_case``).

Citation: Zadeh et al., Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and Verbal
Messages, IEEE Intelligent Systems 2016.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from pathlib import Path

from gsa.data.task import SENTIMENT
from gsa.datasets import parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits
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
    splits: dict[str, list[parsing.Turn]] = {split: [] for split in ("train", "dev", "test")}
    for split, turn in _turns(path, dataset):
        splits[split].append(turn)
    # Raises for an id that is in two splits: the splits were cut out of one list of clips.
    parsing.build_examples((turn for turns in splits.values() for turn in turns), dataset)
    return {split: parsing.build_examples(turns, dataset) for split, turns in splits.items()}


def _turns(path: Path, dataset: str) -> Iterator[tuple[str, parsing.Turn]]:
    for location, row in parsing.read_table(path, COLUMNS):
        text = sentence_case(row["text"]) if dataset == NAME else row["text"]
        # A video's id may hold "_" and start with "-"; the id is never split again.
        id = f"{row['video_id']}_{row['clip_id']}"
        split = parsing.lookup(row["mode"], MODES, location)
        yield split, parsing.Turn(location, id, text, label=_sign(_score(row["label"], location)))


def intensities(path: Path) -> dict[str, float]:
    """Return the owner's score of each clip of a label file, MOSI's or MOSEI's, from -3 to 3, by its id."""
    return {
        f"{row['video_id']}_{row['clip_id']}": _score(row["label"], location)
        for location, row in parsing.read_table(path, COLUMNS)
    }


def _score(text: str, location: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number) or abs(number) > 3:
        raise InputError(f"{location}: expected a score from -3 to 3, found '{text}'")
    return number


def _sign(score: float) -> str:
    return "negative" if score < 0 else "positive" if score > 0 else "neutral"


def sentence_case(text: str) -> str:
    """Return a text in capitals in sentence case, with the pronoun I capital; any other text unchanged."""
    if not text.isupper():
        return text
    lower = re.sub(r"\bi\b", "I", text.strip().lower())
    return lower[:1].upper() + lower[1:]


DATASET = Dataset(
    name=NAME,
    title="CMU-MOSI (spoken film opinions)",
    task=TWO_CLASSES,
    protocols=("two-class", "three-class"),
    tasks={"three-class": SENTIMENT},
    metrics=METRICS,
    files=(DataFile("label.csv", "bc74e6e55f6cc51c606013cf2d650b2d17f217a1052bd0b6586c8d9cb490af3f"),),
    read=read,
    folder="mosi",
    licence="MIT (of the owner's SDK)",
    homepage="http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset/",
    citation="Zadeh et al. 2016, Multimodal Sentiment Intensity Analysis in Videos: Facial Gestures and "
    "Verbal Messages, IEEE Intelligent Systems",
    manual_download="its texts, scores and folds come from the owner's CMU-MultimodalSDK; write them as "
    "label.csv with the columns video_id, clip_id, text, label (-3 to 3) and mode (train, valid, test)",
)
