"""MUStARD: lines of television series, sarcastic or not, with the preceding turns.

Format: ``sarcasm_data.json``, an object of items by id, each with ``utterance, speaker, context,
context_speakers, show, sarcasm``; and ``derived_split_indices.json``, the owner's five folds as item numbers,
``[[train, ...], [test, ...]]`` five times. (The owner publishes the folds as a pickle, which could run code
when loaded; ``fetch`` generates the JSON file from ``TEST_FOLDS``.)

The examples are dialogues with the last turn as the target. The protocol ``folds`` tests on fold k;
``speaker-independent`` tests on FRIENDS. In both, ``is_dev`` selects the dev split from the rest.

Citation: Castro et al., Towards Multimodal Sarcasm Detection (An _Obviously_ Perfect Paper), ACL 2019.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from gsa.data.task import SARCASM
from gsa.datasets import parsing
from gsa.datasets.dataset import DataFile, Dataset, Splits, github
from gsa.errors import InputError

NAME = "mustard"
FOLDS = 5
LABELS = {True: "sarcastic", False: "non-sarcastic"}

TEST_FOLDS = (
    "00310240023240013320403442240132432140412233210004012300324104232411343042020233204420212004232441"
    "30403323402311020044133022302413411140411322301431300302034413223042140144020413010402230322321244"
    "10303402134121010342311122320340014121020143232123433321420330330103103303322224011123332124311114"
    "43214043022421144101241324213300434212230100314411443440334323130213304121340111434244020230023023"
    "03004432230424404440312423120202022120421421331234010112020401221044111041431414340030202213232413"
    "43110111310422001302300020213334443024334141401401010330042201240124431042412434422410043223211203"
    "42313114211223334424143410103140000444133411411213124331100444221343242414302312313034311032132141"
    "0020"
)
"""The test fold of each item, in the order of the items."""


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    items = _items(folder / "sarcasm_data.json")
    if protocol == "folds":
        folds = test_folds(folder)
        test_ids = {id for id in items if folds[id] == fold}
    else:
        test_ids = {id for id, item in items.items() if item["show"] == "FRIENDS"}
    turns: dict[str, list[parsing.Turn]] = {"train": [], "dev": [], "test": []}
    for id, item in items.items():
        split = "test" if id in test_ids else "dev" if is_dev(id) else "train"
        turns[split].extend(_turns(id, item, str(folder / "sarcasm_data.json")))
    return {split: parsing.build_examples(split_turns, NAME) for split, split_turns in turns.items()}


def is_dev(id: str) -> bool:
    """Return whether an item outside the test split is in the dev split: one in ten, by its id alone.

    MUStARD++ uses the same rule for the same ids, so an item is in the same split in both datasets.
    """
    return parsing.stable_hash(id) % 10 == 0


def test_folds(folder: Path) -> dict[str, int]:
    """Return the test fold of each item by its id; raises InputError unless the folds partition the items."""
    ids = list(_items(folder / "sarcasm_data.json"))
    path = folder / "derived_split_indices.json"
    pairs = parsing.require_type(parsing.read_json(path), list, str(path))
    if len(pairs) != FOLDS:
        raise InputError(f"{path}: expected {FOLDS} folds, found {len(pairs)}")
    folds: dict[str, int] = {}
    for fold, pair in enumerate(pairs):
        location = f"{path} fold {fold}"
        both = [
            parsing.require_type(part, list, location) for part in parsing.require_type(pair, list, location)
        ]
        numbers = [parsing.require_type(number, int, location) for part in both for number in part]
        if len(both) != 2 or sorted(numbers) != list(range(len(ids))):
            raise InputError(
                f"{location}: expected each of the items 0 to {len(ids) - 1} once, train or test"
            )
        folds.update({ids[number]: fold for number in both[1] if ids[number] not in folds})
    if len(folds) != len(ids) or sum(len(pair[1]) for pair in pairs) != len(ids):
        raise InputError(f"{path}: expected each item in the test of one fold")
    return folds


def _items(path: Path) -> dict[str, dict[str, object]]:
    items = parsing.require_type(parsing.read_json(path), dict, str(path))
    for id, item in items.items():
        parsing.require_key(item, "show", str, f"{path} item '{id}'")
    return items


def _turns(id: str, item: dict[str, object], path: str) -> Iterator[parsing.Turn]:
    location = f"{path} item '{id}'"
    context = parsing.require_key(item, "context", list, location)
    speakers = parsing.require_key(item, "context_speakers", list, location)
    if len(context) != len(speakers):
        raise InputError(
            f"{location}: expected a speaker for each context turn, found {len(speakers)} for {len(context)}"
        )
    for number, (text, speaker) in enumerate(zip(context, speakers, strict=True)):
        text = repair_apostrophes(parsing.require_type(text, str, location))
        speaker = parsing.require_type(speaker, str, location)
        yield parsing.Turn(location, f"{id}_c_{number}", text, speaker, dialogue=id)
    label = LABELS[parsing.require_key(item, "sarcasm", bool, location)]
    utterance = repair_apostrophes(parsing.require_key(item, "utterance", str, location))
    yield parsing.Turn(
        location, id, utterance, parsing.require_key(item, "speaker", str, location), label, id
    )


def repair_apostrophes(text: str) -> str:
    """Return a text of MUStARD or MUStARD++ with wrongly decoded apostrophes corrected.

    No text has a true capital O with tilde; it is Mac Roman's apostrophe read as Latin-1.
    """
    for broken in ("\u00d5", "\u0101\u20ac\u2122", "'\u2019"):
        text = text.replace(broken, "'")
    return text


def derived_folds() -> bytes:
    """Return the content of ``derived_split_indices.json``."""
    pairs = []
    for fold in range(FOLDS):
        test = [number for number, digit in enumerate(TEST_FOLDS) if int(digit) == fold]
        train = [number for number, digit in enumerate(TEST_FOLDS) if int(digit) != fold]
        pairs.append([train, test])
    return json.dumps(pairs).encode()


# Only the short form of the commit is known; the checksums identify the files.
_COMMIT = "b34b513"

DATASET = Dataset(
    name=NAME,
    title="MUStARD (lines of television series)",
    task=SARCASM,
    protocols=("folds", "speaker-independent"),
    folds=FOLDS,
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    files=(
        DataFile(
            "sarcasm_data.json",
            "ec9533032c5f143f197cb5fa5d4b29ab9bf56a20b0dc05d5b31d052f5957d39c",
            github("soujanyaporia/MUStARD", _COMMIT, "data/sarcasm_data.json"),
        ),
        DataFile(
            "derived_split_indices.json",
            "dd496c2a9651fca5c959c18ee340e0f1ef24d0751952027a7695551b325777dd",
            generate=derived_folds,
        ),
    ),
    read=read,
    folder="mustard",
    licence="MIT",
    homepage="https://github.com/soujanyaporia/MUStARD",
    citation="Castro et al. 2019, Towards Multimodal Sarcasm Detection (An _Obviously_ Perfect Paper), ACL",
)
