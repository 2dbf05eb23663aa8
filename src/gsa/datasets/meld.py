"""MELD: conversations of the series Friends, an emotion and a sentiment for every utterance.

Format: ``{train,dev,test}_sent_emo.csv``, one utterance per row, with the columns ``Utterance, Speaker,
Emotion, Dialogue_ID, Utterance_ID``; the protocol ``sentiment`` reads ``Sentiment`` in place of ``Emotion``.
Dialogue ids start again in each split, and one is missing in train; utterance ids have gaps and are unique
within a dialogue only. The owner's present files are UTF-8 with curly quotes; older copies are Windows-1252,
and such a file is decoded as that as a whole.

The examples are dialogues with every utterance a target, in the order of their utterance ids.

`meld-plain` labels the utterances of some emotions non-sarcastic, unless MUStARD++ has the same words as a
target. These labels are assumed, not annotated: the dataset teaches the sarcasm task what turns of plain
conversations look like; it measures nothing by itself.

Citation: Poria et al., MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations,
ACL 2019.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gsa.data.task import EMOTION, SARCASM, SENTIMENT
from gsa.datasets import mustardpp, parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
from gsa.errors import InputError

NAME = "meld"
PLAIN = "meld-plain"
PLAIN_EMOTIONS = frozenset({"neutral", "joy", "sadness", "fear"})
"""Emotions whose utterances `meld-plain` takes as non-sarcastic; sarcasm is most often anger or disgust."""
COLUMNS = ("Utterance", "Speaker", "Dialogue_ID", "Utterance_ID")
TASK = EMOTION.with_labels("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    column, task = ("Sentiment", SENTIMENT) if protocol == "sentiment" else ("Emotion", TASK)
    labels = {label: label for label in task.labels}
    return {
        split: parsing.build_examples(_turns(folder / f"{split}_sent_emo.csv", column, labels), NAME)
        for split in ("train", "dev", "test")
    }


def read_plain(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the utterances of plain emotions as non-sarcastic, without the targets of MUStARD++."""
    sarcasm = mustardpp.read(folder.parent / mustardpp.NAME, "speaker-independent", 0)
    targets = {parsing.fingerprint(e.utterance.text) for examples in sarcasm.values() for e in examples}
    return {
        split: [
            replace(example, dataset=PLAIN, label="non-sarcastic")
            for example in examples
            if example.label in PLAIN_EMOTIONS and parsing.fingerprint(example.utterance.text) not in targets
        ]
        for split, examples in read(folder, "standard", fold).items()
    }


def _turns(path: Path, column: str, labels: dict[str, str]) -> Iterator[parsing.Turn]:
    turns = []
    for location, row in parsing.read_table(path, (*COLUMNS, column), fallback="cp1252"):
        dialogue, utterance = row["Dialogue_ID"], row["Utterance_ID"]
        if not (dialogue.isdecimal() and utterance.isdecimal()):
            raise InputError(f"{location}: expected numeric ids, found '{dialogue}' and '{utterance}'")
        label = parsing.lookup(row[column], labels, location)
        id = f"dia{int(dialogue)}_utt{int(utterance)}"
        turn = parsing.Turn(location, id, row["Utterance"], row["Speaker"], label, f"dia{int(dialogue)}")
        turns.append((int(dialogue), int(utterance), turn))
    for _, _, turn in sorted(turns, key=lambda item: item[:2]):
        yield turn


_COMMIT = "2d2011b409d3ca2d7e94460cd007d434b1d0a102"


def _file(split: str, sha256: str) -> DataFile:
    name = f"{split}_sent_emo.csv"
    return DataFile(name, sha256, github("declare-lab/MELD", _COMMIT, f"data/MELD/{name}"))


DATASET = Dataset(
    name=NAME,
    title="MELD (conversations of Friends)",
    task=TASK,
    protocols=("standard", "sentiment"),
    tasks={"sentiment": SENTIMENT},
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    files=(
        _file("train", "d2fa2d6529cf03cac2989efec05c9b27d8fd2f4c8fc5974c7ae88aa537fa02db"),
        _file("dev", "2e89c6f8aa182d6f62f8c6331aece905ac7273ca4999660bfb5213e1d0370c1c"),
        _file("test", "8d37103938f7067600839fe29d5a114a6cd1bcdafb75bec101e06464c5006888"),
    ),
    read=read,
    folder="meld",
    licence="GPL-3.0",
    homepage="https://github.com/declare-lab/MELD",
    citation="Poria et al. 2019, MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in "
    "Conversations, ACL",
)
DATASET_PLAIN = replace(
    DATASET,
    name=PLAIN,
    title="MELD (plain utterances, taken as not sarcastic)",
    task=SARCASM,
    protocols=("standard",),
    tasks={},
    metrics=("accuracy", "macro_f1", "weighted_f1"),
    read=read_plain,
    requires=("mustardpp",),
)
