"""MUStARD++: MUStARD with more lines of television series, sarcastic or not, and corrected labels.

Format: ``mustard++_text.csv`` with the columns ``SCENE, SENTENCE, SPEAKER, SHOW, Sarcasm``, one turn per row;
the row with a Sarcasm value is the target of its scene. Quoted fields hold newlines, a speaker "-" is
unknown, and one KEY is corrupt, so the id is the scene's name, which for the 688 items of MUStARD is their id
there.

The examples are dialogues with the last turn as the target. The owner has no folds. In the protocol ``folds``
the items of MUStARD keep their fold, which requires MUStARD's files, and each other item goes to the fold
with the fewest items of its label; ``speaker-independent`` tests on FRIENDS. In both, ``is_dev`` selects the
dev split from the rest, so that no item is trained on in one dataset and tested in the other.

Citation: Ray et al., A Multimodal Corpus for Emotion Recognition in Sarcasm, LREC 2022.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from gsa.data.task import SARCASM
from gsa.datasets import mustard, parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
from gsa.errors import InputError

NAME = "mustardpp"
COLUMNS = ("SCENE", "SENTENCE", "SPEAKER", "SHOW", "Sarcasm")
LABELS = {"1": "sarcastic", "0": "non-sarcastic"}


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    scenes = _scenes(folder / "mustard++_text.csv")
    if protocol == "folds":
        folds = _test_folds({id: label for id, (_, label) in scenes.items()}, folder.parent / "mustard")
        test_ids = {id for id in scenes if folds[id] == fold}
    else:
        test_ids = {id for id, (rows, _) in scenes.items() if rows[-1].values["SHOW"] == "FRIENDS"}
    turns: dict[str, list[parsing.Turn]] = {"train": [], "dev": [], "test": []}
    for id, (rows, label) in scenes.items():
        split = "test" if id in test_ids else "dev" if mustard.is_dev(id) else "train"
        turns[split].extend(_turns(id, rows, label))
    return {split: parsing.build_examples(split_turns, NAME) for split, split_turns in turns.items()}


def _scenes(path: Path) -> dict[str, tuple[list[parsing.Row], str]]:
    groups: dict[str, list[parsing.Row]] = {}
    for row in parsing.read_table(path, COLUMNS):
        groups.setdefault(row.values["SCENE"], []).append(row)
    scenes = {}
    for id, rows in groups.items():
        targets = [row for row in rows if row.values["Sarcasm"].strip()]
        if len(targets) != 1 or targets[0] is not rows[-1]:
            number = len(targets) or "no"
            expected = f"expected a Sarcasm value in the last row of scene '{id}' alone"
            raise InputError(f"{rows[-1].location}: {expected}, found {number} rows with one")
        scenes[id] = (rows, parsing.lookup(targets[0].values["Sarcasm"].strip(), LABELS, targets[0].location))
    return scenes


def _turns(id: str, rows: list[parsing.Row], label: str) -> Iterator[parsing.Turn]:
    for number, (location, row) in enumerate(rows):
        speaker = "" if row["SPEAKER"] == "-" else row["SPEAKER"]
        text = mustard.repair_apostrophes(row["SENTENCE"])
        if number < len(rows) - 1:
            yield parsing.Turn(location, f"{id}_c_{number}", text, speaker, dialogue=id)
        else:
            yield parsing.Turn(location, id, text, speaker, label, id)


def _test_folds(labels: Mapping[str, str], mustard_folder: Path) -> dict[str, int]:
    """Return the test fold of each item: MUStARD's, or for new items one that balances the labels."""
    for name in mustard.DATASET.missing_files(mustard_folder):
        raise InputError(
            f"dataset '{NAME}': expected '{mustard_folder / name}', which gives the folds of the items "
            "shared with MUStARD, found none: run 'gsa data fetch mustard'"
        )
    shared = mustard.test_folds(mustard_folder)
    folds = {id: shared[id] for id in labels if id in shared}
    for label in LABELS.values():
        members = Counter(fold for id, fold in folds.items() if labels[id] == label)
        new = [id for id in labels if id not in folds and labels[id] == label]
        for id in sorted(new, key=parsing.stable_hash):
            sizes = Counter(folds.values())
            fold = min(range(mustard.FOLDS), key=lambda k: (members[k], sizes[k], k))
            members[fold] += 1
            folds[id] = fold
    return folds


_COMMIT = "0f9cc8e47cfa90109d750572019a43f4c0a83365"

DATASET = Dataset(
    name=NAME,
    title="MUStARD++ (lines of television series)",
    task=SARCASM,
    protocols=("folds", "speaker-independent"),
    folds=mustard.FOLDS,
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    files=(
        DataFile(
            "mustard++_text.csv",
            "b134fa60bc4d0d7ba4c08953402dd298731670b9337f8bb2bad693e1890f6e4e",
            github("cfiltnlp/MUStARD_Plus_Plus", _COMMIT, "mustard++_text.csv"),
        ),
    ),
    read=read,
    folder="mustardpp",
    requires=("mustard",),
    licence="none stated",
    homepage="https://github.com/cfiltnlp/MUStARD_Plus_Plus",
    citation="Ray et al. 2022, A Multimodal Corpus for Emotion Recognition in Sarcasm, LREC",
)
