"""GoEmotions: comments on Reddit and their emotions, 27 and neutral; two datasets of one format.

Format: ``{train,dev,test}.tsv`` without a header: text, numbers of the emotions with commas between, id;
``emotions.txt`` names the numbers from 0. A text that holds a quotation mark is quoted as in CSV. Names of
people and religions are masked as ``[NAME]`` and ``[RELIGION]``, and stay so.

``goemotions`` gives every comment with all its emotions: its label is their names, in the order of the
task, with commas between. ``goemotions-ekman`` maps each to one of Ekman's six or neutral, as its owner
does, and gives the comments whose emotions are all of one of these seven.

Citation: Demszky et al., GoEmotions: A Dataset of Fine-Grained Emotions, ACL 2020.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gsa.data.task import EMOTION, EMOTIONS, Task
from gsa.datasets import parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
from gsa.errors import InputError

NAME = "goemotions"
EKMAN = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": (
        *("admiration", "amusement", "approval", "caring", "desire", "excitement"),
        *("gratitude", "joy", "love", "optimism", "pride", "relief"),
    ),
    "sadness": ("disappointment", "embarrassment", "grief", "remorse", "sadness"),
    "surprise": ("confusion", "curiosity", "realization", "surprise"),
    "neutral": ("neutral",),
}
EKMAN_OF = {emotion: group for group, emotions in EKMAN.items() for emotion in emotions}


def joined(emotions: list[str]) -> str:
    """Return the emotions of a comment as one label."""
    return ",".join(emotions)


def one_of_seven(emotions: list[str]) -> str | None:
    """Return the one of Ekman's emotions that all emotions of a comment belong to, None if several."""
    groups = {EKMAN_OF[emotion] for emotion in emotions}
    return groups.pop() if len(groups) == 1 else None


def read(
    dataset: str, label_of: Callable[[list[str]], str | None], folder: Path, protocol: str, fold: int
) -> Splits:
    """Return the three splits of one of the two."""
    names = _names(folder / "emotions.txt")
    return {
        split: parsing.build_examples(_turns(folder / f"{split}.tsv", names, label_of), dataset)
        for split in ("train", "dev", "test")
    }


def _names(path: Path) -> dict[str, str]:
    """Return the name of each number; raises InputError where a copy numbers them in another order."""
    lines = parsing.read_lines(path)
    for (location, name), expected in zip(lines, EMOTIONS.labels, strict=False):
        if name.strip() != expected:
            raise InputError(f"{location}: expected '{expected}', found '{name}'")
    if len(lines) != len(EMOTIONS.labels):
        raise InputError(f"{path}: expected {len(EMOTIONS.labels)} emotions, found {len(lines)}")
    return {str(number): name for number, name in enumerate(EMOTIONS.labels)}


def _turns(
    path: Path, names: dict[str, str], label_of: Callable[[list[str]], str | None]
) -> Iterator[parsing.Turn]:
    for location, line in parsing.read_lines(path):
        fields = line.split("\t")
        if len(fields) != 3:
            raise InputError(
                f"{location}: expected text, emotions and id between tabs, found {len(fields)} fields"
            )
        text, numbers, id = fields
        emotions = {parsing.lookup(number, names, location) for number in numbers.split(",")}
        label = label_of([name for name in EMOTIONS.labels if name in emotions])
        if label is not None:
            yield parsing.Turn(location, id.strip(), parsing.unquoted(text), label=label)


# The short form of the commit is all that is known of it; the checksums decide.
_COMMIT = "b75f9d3"
SHA256 = {
    "emotions.txt": "45c3ef86782d2a4d7fedcd6d8c111aa0d0e94720689bd164fac94fefb4495a89",
    "train.tsv": "1c254a142be5c00e80d819b9ae1bbd36d94b2eeb8f4b1271846508d57e57d9c5",
    "dev.tsv": "575489c079c9de1097062a01738f998590d6b7ead66dd1c9fd1d2ba01fd8bc62",
    "test.tsv": "0587b2dd8b27b97352adbfc3fb083d46005c8946657fdc2b1ca8b1cc7f1f8be4",
}


def _dataset(name: str, title: str, task: Task, label_of: Callable[[list[str]], str | None]) -> Dataset:
    return Dataset(
        name=name,
        title=title,
        task=task,
        metrics=("macro_f1", "accuracy", "weighted_f1"),
        read=partial(read, name, label_of),
        folder="goemotions",
        licence="Apache-2.0",
        homepage="https://github.com/google-research/google-research/tree/master/goemotions",
        citation="Demszky et al. 2020, GoEmotions: A Dataset of Fine-Grained Emotions, ACL",
        files=tuple(
            DataFile(file, sha256, github("monologg/GoEmotions-pytorch", _COMMIT, f"data/original/{file}"))
            for file, sha256 in SHA256.items()
        ),
    )


DATASETS = (
    _dataset(NAME, "GoEmotions (comments, 28 labels, several at once)", EMOTIONS, joined),
    _dataset(f"{NAME}-ekman", "GoEmotions (comments, Ekman's six and neutral)", EMOTION, one_of_seven),
)
