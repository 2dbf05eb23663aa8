"""IEMOCAP: improvised and scripted conversations of two actors, an emotion for every turn.

Format: the owner's tree, of which are read, for each session 1 to 5, ``dialog/transcriptions/Ses*.txt``
(``Ses01F_impro01_F000 [006.2901-008.2357]: text``; other lines name no turn and are passed over) and
``dialog/EmoEvaluation/Ses*.txt`` (``[6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[...]``;
the lines below each give the single annotators). A file that is not UTF-8 is read as Windows-1252.

Out come dialogues in the order of the turns' start times. Six labels are targets; turns with another
or none stay as context. Session 5 is the test; of the dialogues of Sessions 1 to 4 a tenth, chosen by a
fixed hash of their names, is the dev split.

Citation: Busso et al., IEMOCAP: Interactive Emotional Dyadic Motion Capture Database, Language Resources
and Evaluation 2008.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from gsa.data.task import EMOTION
from gsa.datasets import parsing as reading
from gsa.datasets.dataset import Dataset, Splits
from gsa.errors import InputError

NAME = "iemocap"
TASK = EMOTION.with_labels("happy", "sad", "neutral", "angry", "excited", "frustrated")
LABELS: dict[str, str | None] = {
    "hap": "happy",
    "sad": "sad",
    "neu": "neutral",
    "ang": "angry",
    "exc": "excited",
    "fru": "frustrated",
    "sur": None,
    "fea": None,
    "dis": None,
    "oth": None,
    "xxx": None,
}
SAID = re.compile(r"(Ses\w+)\s+\[(-?\d+(?:\.\d+)?)\s*-\s*-?\d+(?:\.\d+)?\]\s*:(.*)")
FELT = re.compile(r"\[[-\d.\s]+\]\t(Ses\w+)\t(\w+)\t\[.*\]\s*")


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    dialogues = {session: _dialogues(folder / f"Session{session}" / "dialog") for session in range(1, 6)}
    names = [path.stem for session in range(1, 5) for path in dialogues[session]]
    held = set(sorted(names, key=reading.stable_hash)[: round(len(names) / 10)])
    turns: dict[str, list[reading.Turn]] = {"train": [], "dev": [], "test": []}
    for session, paths in dialogues.items():
        for path in paths:
            split = "test" if session == 5 else "dev" if path.stem in held else "train"
            turns[split].extend(_turns(path))
    return {split: reading.examples(found, NAME) for split, found in turns.items()}


def _dialogues(folder: Path) -> list[Path]:
    # Copies made on a Mac also hold "._Ses01F_impro01.txt", which are no text.
    paths = sorted((folder / "transcriptions").glob("Ses*.txt"))
    if not paths:
        raise InputError(f"{folder / 'transcriptions'}: expected files 'Ses*.txt', found none")
    for felt in sorted((folder / "EmoEvaluation").glob("Ses*.txt")):
        if not (folder / "transcriptions" / felt.name).is_file():
            raise InputError(
                f"{folder / 'transcriptions'}: expected '{felt.name}', as EmoEvaluation has it, found none"
            )
    return paths


def _turns(path: Path) -> Iterator[reading.Turn]:
    emotions = _emotions(path.parent.parent / "EmoEvaluation" / path.name)
    found = []
    for where, line in reading.lines(path, fallback="cp1252"):
        if not line.startswith("Ses"):
            continue
        said = SAID.fullmatch(line)
        if not said:
            raise InputError(f"{where}: expected 'turn [start-end]: text', found '{line[:60]}'")
        id, start, text = said.groups()
        # The owner's speakers are the F and the M of a turn's name: Ses01F_impro01_F000.
        speaker = id.rpartition("_")[2][:1]
        label = emotions.pop(id, None)
        found.append((float(start), reading.Turn(where, id, text, speaker, label, path.stem)))
    for id, label in emotions.items():
        if label is not None:
            raise InputError(f"{path}: expected the turn '{id}' that has an emotion, found none")
    for _, turn in sorted(found, key=lambda item: item[0]):
        yield turn


def _emotions(path: Path) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for where, line in reading.lines(path, fallback="cp1252"):
        # The header is "% [START_TIME - END_TIME] ..."; annotators' lines begin with a letter.
        if not line.startswith("["):
            continue
        felt = FELT.fullmatch(line)
        if not felt:
            expected = "'[start - end]<TAB>turn<TAB>emotion<TAB>[values]'"
            raise InputError(f"{where}: expected {expected}, found '{line[:60]}'")
        found[felt[1]] = reading.choose(felt[2], LABELS, where)
    return found


DATASET = Dataset(
    name=NAME,
    title="IEMOCAP (conversations of two actors)",
    task=TASK,
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    files=tuple(
        f"Session{session}/dialog/{part}"
        for session in range(1, 6)
        for part in ("transcriptions", "EmoEvaluation")
    ),
    read=read,
    folder="iemocap",
    also_in=("iemocap/IEMOCAP_full_release", "IEMOCAP_full_release"),
    licence="the owner's release form, signed",
    homepage="https://sail.usc.edu/iemocap/",
    citation="Busso et al. 2008, IEMOCAP: Interactive Emotional Dyadic Motion Capture Database, Language "
    "Resources and Evaluation",
    obtain="its owner, USC SAIL, gives it to who signs the release form at "
    "https://sail.usc.edu/iemocap/; then name the folder IEMOCAP_full_release",
)
