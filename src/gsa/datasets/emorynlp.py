"""EmoryNLP: conversations of the series Friends, an emotion for every utterance.

Format: the owner's ``emotion-detection-{trn,dev,tst}.json`` with episodes, scenes, and utterances of
``utterance_id, speakers, transcript, emotion``; it is used for all three splits if the train file exists.
Otherwise ``{train,dev,test}.csv``, a well-known conversion of the same texts with the columns ``Dialogue_ID,
Utterance_ID, Utterance, Speaker, Emotion``, which names only the first of several speakers. This is the full
version; a smaller, time-stamped one has other splits and other scores.

The examples are scenes with every utterance a target; in the protocol ``sentiment`` its label is the polarity
of the emotion, as in the conversion's column ``Sentiment``. Several speakers are joined with " & "; an
utterance without one has the speaker "".

Citation: Zahiri and Choi, Emotion Detection on TV Show Transcripts with Sequence-based Convolutional
Neural Networks, AAAI workshop on Affective Content Analysis 2018.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gsa.data.task import EMOTION, SENTIMENT
from gsa.datasets import parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits, github

NAME = "emorynlp"
COLUMNS = ("Dialogue_ID", "Utterance_ID", "Utterance", "Speaker", "Emotion")
TASK = EMOTION.with_labels("neutral", "joyful", "peaceful", "powerful", "scared", "mad", "sad")
LABELS = {label.capitalize(): label for label in TASK.labels}
POLARITY = dict(zip(TASK.labels, ("neutral", *3 * ("positive",), *3 * ("negative",)), strict=True))
"""The csv's column ``Sentiment``, which follows from ``Emotion``."""
JSON = {
    "train": "emotion-detection-trn.json",
    "dev": "emotion-detection-dev.json",
    "test": "emotion-detection-tst.json",
}
CSV = {split: f"{split}.csv" for split in JSON}


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    has_json = (folder / JSON["train"]).is_file()
    turns, names = (_json_turns, JSON) if has_json else (_csv_turns, CSV)
    splits = {split: parsing.build_examples(turns(folder / name), NAME) for split, name in names.items()}
    if protocol == "sentiment":
        return {
            split: [replace(example, label=POLARITY[str(example.label)]) for example in examples]
            for split, examples in splits.items()
        }
    return splits


def _csv_turns(path: Path) -> Iterator[parsing.Turn]:
    for location, row in parsing.read_table(path, COLUMNS):
        label = parsing.lookup(row["Emotion"], LABELS, location)
        id, dialogue = row["Utterance_ID"], row["Dialogue_ID"]
        yield parsing.Turn(location, id, row["Utterance"], row["Speaker"], label, dialogue)


def _json_turns(path: Path) -> Iterator[parsing.Turn]:
    location = str(path)
    for episode in parsing.require_key(parsing.read_json(path), "episodes", list, location):
        for scene in parsing.require_key(episode, "scenes", list, location):
            dialogue = parsing.require_key(scene, "scene_id", str, location)
            for utterance in parsing.require_key(scene, "utterances", list, f"{location} scene {dialogue}"):
                yield _json_turn(utterance, dialogue, location)


def _json_turn(utterance: object, dialogue: str, location: str) -> parsing.Turn:
    id = parsing.require_key(utterance, "utterance_id", str, f"{location} scene {dialogue}")
    location = f"{location} utterance {id}"
    text = parsing.require_key(utterance, "transcript", str, location)
    speakers = parsing.require_key(utterance, "speakers", list, location)
    speaker = " & ".join(parsing.require_type(name, str, f"{location} key 'speakers'") for name in speakers)
    label = parsing.lookup(parsing.require_key(utterance, "emotion", str, location), LABELS, location)
    return parsing.Turn(location, id, text, speaker, label, dialogue)


_COMMIT = "08b9cbd68293723009f45936fbd0fa5855f75007"


def _file(split: str, sha256: str) -> DataFile:
    name = CSV[split]
    return DataFile(name, sha256, github("Reason-Wang/DialogueGLP", _COMMIT, f"data/emorynlp/{name}"))


DATASET = Dataset(
    name=NAME,
    title="EmoryNLP (conversations of Friends)",
    task=TASK,
    protocols=("standard", "sentiment"),
    tasks={"sentiment": SENTIMENT},
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    files=(
        _file("train", "ce3d91b12e3a68b45f773388cb398fee2cee739d4699b500211a35efeaaa8e59"),
        _file("dev", "1f57648bb3fa1542611ff94d853d018a28d25e7bdc230f370819f1882498c122"),
        _file("test", "31868970514634bda798ba53a378525074489c9ec7d79d2fc53b457f91c6b529"),
    ),
    alternative_files=tuple(JSON.values()),
    read=read,
    folder="emorynlp",
    licence="Apache-2.0 (the owner's files), MIT (the csv conversion)",
    homepage="https://github.com/emorynlp/emotion-detection",
    citation="Zahiri and Choi 2018, Emotion Detection on TV Show Transcripts with Sequence-based "
    "Convolutional Neural Networks, AAAI workshop on Affective Content Analysis",
)
