"""EmoryNLP: conversations of the series Friends, an emotion for every utterance.

Format: the owner's ``emotion-detection-{trn,dev,tst}.json``: episodes, scenes, utterances with
``utterance_id, speakers, transcript, emotion``; used for all three splits when the train file is there.
Otherwise ``{train,dev,test}.csv``, a well-known conversion of the same texts, of which ``Dialogue_ID,
Utterance_ID, Utterance, Speaker, Emotion`` are read, and which names only the first of several speakers.
This is the full version; a smaller, time-stamped one has other splits and other scores.

Out come scenes, every utterance a target. Several speakers are joined with " & ", none is "".

Citation: Zahiri and Choi, Emotion Detection on TV Show Transcripts with Sequence-based Convolutional
Neural Networks, AAAI workshop on Affective Content Analysis 2018.
"""

from collections.abc import Iterator
from pathlib import Path

from gsa.data.task import EMOTION
from gsa.datasets import parsing as reading
from gsa.datasets.dataset import Dataset, Source, Splits, github

NAME = "emorynlp"
COLUMNS = ("Dialogue_ID", "Utterance_ID", "Utterance", "Speaker", "Emotion")
TASK = EMOTION.with_labels("neutral", "joyful", "peaceful", "powerful", "scared", "mad", "sad")
LABELS = {label.capitalize(): label for label in TASK.labels}
JSON = {
    "train": "emotion-detection-trn.json",
    "dev": "emotion-detection-dev.json",
    "test": "emotion-detection-tst.json",
}
CSV = {split: f"{split}.csv" for split in JSON}


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    owners = (folder / JSON["train"]).is_file()
    turns, names = (_json_turns, JSON) if owners else (_csv_turns, CSV)
    return {split: reading.examples(turns(folder / name), NAME) for split, name in names.items()}


def _csv_turns(path: Path) -> Iterator[reading.Turn]:
    for where, row in reading.rows(path, COLUMNS):
        label = reading.choose(row["Emotion"], LABELS, where)
        id, dialogue = row["Utterance_ID"], row["Dialogue_ID"]
        yield reading.Turn(where, id, row["Utterance"], row["Speaker"], label, dialogue)


def _json_turns(path: Path) -> Iterator[reading.Turn]:
    where = str(path)
    for episode in reading.member(reading.read_json(path), "episodes", list, where):
        for scene in reading.member(episode, "scenes", list, where):
            dialogue = reading.member(scene, "scene_id", str, where)
            for utterance in reading.member(scene, "utterances", list, f"{where} scene {dialogue}"):
                yield _json_turn(utterance, dialogue, where)


def _json_turn(utterance: object, dialogue: str, where: str) -> reading.Turn:
    id = reading.member(utterance, "utterance_id", str, f"{where} scene {dialogue}")
    where = f"{where} utterance {id}"
    text = reading.member(utterance, "transcript", str, where)
    speakers = reading.member(utterance, "speakers", list, where)
    speaker = " & ".join(reading.typed(name, str, f"{where} key 'speakers'") for name in speakers)
    label = reading.choose(reading.member(utterance, "emotion", str, where), LABELS, where)
    return reading.Turn(where, id, text, speaker, label, dialogue)


_COMMIT = "08b9cbd68293723009f45936fbd0fa5855f75007"


def _source(split: str, sha256: str) -> Source:
    name = f"{split}.csv"
    return Source(name, sha256, github("Reason-Wang/DialogueGLP", _COMMIT, f"data/emorynlp/{name}"))


DATASET = Dataset(
    name=NAME,
    title="EmoryNLP (conversations of Friends)",
    task=TASK,
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    files=tuple(CSV.values()),
    instead=tuple(JSON.values()),
    read=read,
    folder="emorynlp",
    licence="Apache-2.0 (the owner's files), MIT (the csv conversion)",
    homepage="https://github.com/emorynlp/emotion-detection",
    citation="Zahiri and Choi 2018, Emotion Detection on TV Show Transcripts with Sequence-based "
    "Convolutional Neural Networks, AAAI workshop on Affective Content Analysis",
    sources=(
        _source("train", "ce3d91b12e3a68b45f773388cb398fee2cee739d4699b500211a35efeaaa8e59"),
        _source("dev", "1f57648bb3fa1542611ff94d853d018a28d25e7bdc230f370819f1882498c122"),
        _source("test", "31868970514634bda798ba53a378525074489c9ec7d79d2fc53b457f91c6b529"),
    ),
)
