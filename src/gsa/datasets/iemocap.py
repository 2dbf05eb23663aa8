"""IEMOCAP: improvised and scripted conversations of two actors, an emotion for every turn.

Format: the owner's tree, of which, for each session 1 to 5, two kinds of files are read:
``dialog/transcriptions/Ses*.txt`` (``Ses01F_impro01_F000 [006.2901-008.2357]: text``; other lines are
skipped) and ``dialog/EmoEvaluation/Ses*.txt``
(``[6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[...]``; the lines below each belong to single
annotators). A file that is not UTF-8 is read as Windows-1252.

The examples are dialogues in the order of the turns' start times. Six labels are targets; turns with another
label or none are context. Session 5 is the test split; of the dialogues of Sessions 1 to 4 a tenth, chosen
by a fixed hash of their names, is the dev split.

Citation: Busso et al., IEMOCAP: Interactive Emotional Dyadic Motion Capture Database, Language Resources
and Evaluation 2008.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from gsa.data.task import EMOTION
from gsa.datasets import parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits
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
TRANSCRIPT_LINE = re.compile(r"(Ses\w+)\s+\[(-?\d+(?:\.\d+)?)\s*-\s*-?\d+(?:\.\d+)?\]\s*:(.*)")
EMOTION_LINE = re.compile(r"\[[-\d.\s]+\]\t(Ses\w+)\t(\w+)\t\[.*\]\s*")


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    dialogues = {session: _dialogues(folder / f"Session{session}" / "dialog") for session in range(1, 6)}
    names = [path.stem for session in range(1, 5) for path in dialogues[session]]
    dev = set(sorted(names, key=parsing.stable_hash)[: round(len(names) / 10)])
    turns: dict[str, list[parsing.Turn]] = {"train": [], "dev": [], "test": []}
    for session, paths in dialogues.items():
        for path in paths:
            split = "test" if session == 5 else "dev" if path.stem in dev else "train"
            turns[split].extend(_turns(path))
    return {split: parsing.build_examples(split_turns, NAME) for split, split_turns in turns.items()}


def _dialogues(folder: Path) -> list[Path]:
    # The pattern excludes files such as "._Ses01F_impro01.txt", which copies made on macOS contain.
    paths = sorted((folder / "transcriptions").glob("Ses*.txt"))
    if not paths:
        raise InputError(f"{folder / 'transcriptions'}: expected files 'Ses*.txt', found none")
    for emotions in sorted((folder / "EmoEvaluation").glob("Ses*.txt")):
        if not (folder / "transcriptions" / emotions.name).is_file():
            raise InputError(
                f"{folder / 'transcriptions'}: expected '{emotions.name}', as in EmoEvaluation, found none"
            )
    return paths


def _turns(path: Path) -> Iterator[parsing.Turn]:
    emotions = _emotions(path.parent.parent / "EmoEvaluation" / path.name)
    turns = []
    for location, line in parsing.read_lines(path, fallback="cp1252"):
        if not line.startswith("Ses"):
            continue
        match = TRANSCRIPT_LINE.fullmatch(line)
        if not match:
            raise InputError(f"{location}: expected 'turn [start-end]: text', found '{line[:60]}'")
        id, start, text = match.groups()
        # The speaker is the F or M before a turn's number: Ses01F_impro01_F000.
        speaker = id.rpartition("_")[2][:1]
        label = emotions.pop(id, None)
        turns.append((float(start), parsing.Turn(location, id, text, speaker, label, path.stem)))
    for id, label in emotions.items():
        if label is not None:
            raise InputError(f"{path}: expected the turn '{id}' that has an emotion, found none")
    for _, turn in sorted(turns, key=lambda item: item[0]):
        yield turn


def _emotions(path: Path) -> dict[str, str | None]:
    emotions: dict[str, str | None] = {}
    for location, line in parsing.read_lines(path, fallback="cp1252"):
        # The header is "% [START_TIME - END_TIME] ..."; the lines of single annotators begin with a letter.
        if not line.startswith("["):
            continue
        match = EMOTION_LINE.fullmatch(line)
        if not match:
            expected = "'[start - end]<TAB>turn<TAB>emotion<TAB>[values]'"
            raise InputError(f"{location}: expected {expected}, found '{line[:60]}'")
        emotions[match[1]] = parsing.lookup(match[2], LABELS, location)
    return emotions


DATASET = Dataset(
    name=NAME,
    title="IEMOCAP (conversations of two actors)",
    task=TASK,
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    files=tuple(
        DataFile(f"Session{session}/dialog/{part}")
        for session in range(1, 6)
        for part in ("transcriptions", "EmoEvaluation")
    ),
    read=read,
    folder="iemocap",
    alternative_folders=("iemocap/IEMOCAP_full_release", "IEMOCAP_full_release"),
    licence="the owner's release form, signed",
    homepage="https://sail.usc.edu/iemocap/",
    citation="Busso et al. 2008, IEMOCAP: Interactive Emotional Dyadic Motion Capture Database, Language "
    "Resources and Evaluation",
    manual_download="its owner, USC SAIL, gives it to those who sign the release form at "
    "https://sail.usc.edu/iemocap/; then name the folder IEMOCAP_full_release",
)
