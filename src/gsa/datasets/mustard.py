"""MUStARD: lines of television series, sarcastic or not, with what was said before.

Format: ``sarcasm_data.json``, an object of items by id, each with ``utterance, speaker, context,
context_speakers, show, sarcasm``; and ``derived_split_indices.json``, the owner's five folds as numbers,
``[[train, ...], [test, ...]]`` five times over the order of the items. (The owner has the folds as a
pickle, which could run code when read; ``fetch`` writes them from ``TEST_FOLDS``.)

Out come dialogues, the last turn the target. The protocol ``folds`` tests on fold k; in
``speaker-independent`` FRIENDS is the test. In both, the dev split is what ``is_dev`` says of the rest.

Citation: Castro et al., Towards Multimodal Sarcasm Detection (An _Obviously_ Perfect Paper), ACL 2019.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from gsa.data.task import SARCASM
from gsa.datasets import parsing as reading
from gsa.datasets.dataset import Dataset, Source, Splits, github
from gsa.errors import InputError

NAME = "mustard"
FOLDS = 5
LABELS = {True: "sarcastic", False: "non-sarcastic"}

# The test fold of each item, in the order of the items.
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


def read(folder: Path, protocol: str, fold: int) -> Splits:
    """Return the three splits."""
    items = _items(folder / "sarcasm_data.json")
    if protocol == "folds":
        folds = test_folds(folder)
        tested = {id for id in items if folds[id] == fold}
    else:
        tested = {id for id, item in items.items() if item["show"] == "FRIENDS"}
    turns: dict[str, list[reading.Turn]] = {"train": [], "dev": [], "test": []}
    for id, item in items.items():
        split = "test" if id in tested else "dev" if is_dev(id) else "train"
        turns[split].extend(_turns(id, item, str(folder / "sarcasm_data.json")))
    return {split: reading.examples(found, NAME) for split, found in turns.items()}


def is_dev(id: str) -> bool:
    """Whether an item that is not tested serves as dev: one in ten, by its id alone.

    MUStARD++ asks the same of the same ids, so an item is on the same side in both datasets.
    """
    return reading.stable_hash(id) % 10 == 0


def test_folds(folder: Path) -> dict[str, int]:
    """Return the test fold of each item; raises InputError unless the five folds share out all items."""
    ids = list(_items(folder / "sarcasm_data.json"))
    path = folder / "derived_split_indices.json"
    pairs = reading.typed(reading.read_json(path), list, str(path))
    if len(pairs) != FOLDS:
        raise InputError(f"{path}: expected {FOLDS} folds, found {len(pairs)}")
    found: dict[str, int] = {}
    for fold, pair in enumerate(pairs):
        where = f"{path} fold {fold}"
        both = [reading.typed(part, list, where) for part in reading.typed(pair, list, where)]
        numbers = [reading.typed(number, int, where) for part in both for number in part]
        if len(both) != 2 or sorted(numbers) != list(range(len(ids))):
            raise InputError(f"{where}: expected each of the items 0 to {len(ids) - 1} once, train or test")
        found.update({ids[number]: fold for number in both[1] if ids[number] not in found})
    if len(found) != len(ids) or sum(len(pair[1]) for pair in pairs) != len(ids):
        raise InputError(f"{path}: expected each item in the test of one fold")
    return found


def _items(path: Path) -> dict[str, dict[str, object]]:
    items = reading.typed(reading.read_json(path), dict, str(path))
    for id, item in items.items():
        reading.member(item, "show", str, f"{path} item '{id}'")
    return items


def _turns(id: str, item: dict[str, object], path: str) -> Iterator[reading.Turn]:
    where = f"{path} item '{id}'"
    context = reading.member(item, "context", list, where)
    speakers = reading.member(item, "context_speakers", list, where)
    if len(context) != len(speakers):
        raise InputError(
            f"{where}: expected a speaker for each context turn, found {len(speakers)} for {len(context)}"
        )
    for number, (text, speaker) in enumerate(zip(context, speakers, strict=True)):
        said = mended(reading.typed(text, str, where))
        yield reading.Turn(where, f"{id}_c_{number}", said, reading.typed(speaker, str, where), dialogue=id)
    label = LABELS[reading.member(item, "sarcasm", bool, where)]
    said = mended(reading.member(item, "utterance", str, where))
    yield reading.Turn(where, id, said, reading.member(item, "speaker", str, where), label, id)


def mended(text: str) -> str:
    """Return a text with the apostrophes that some conversion of encodings broke, in both datasets.

    No text of theirs has a true capital O with tilde; it is Mac Roman's apostrophe read as Latin-1.
    """
    for broken in ("\u00d5", "\u0101\u20ac\u2122", "'\u2019"):
        text = text.replace(broken, "'")
    return text


def derived_folds() -> bytes:
    """Return the content of ``derived_split_indices.json``."""
    pairs = []
    for fold in range(FOLDS):
        tested = [number for number, digit in enumerate(TEST_FOLDS) if int(digit) == fold]
        trained = [number for number, digit in enumerate(TEST_FOLDS) if int(digit) != fold]
        pairs.append([trained, tested])
    return json.dumps(pairs).encode()


# The short form of the commit is all that is known of it; the checksums decide.
_COMMIT = "b34b513"

DATASET = Dataset(
    name=NAME,
    title="MUStARD (lines of television series)",
    task=SARCASM,
    protocols=("folds", "speaker-independent"),
    folds=FOLDS,
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    files=("sarcasm_data.json", "derived_split_indices.json"),
    read=read,
    folder="mustard",
    licence="MIT",
    homepage="https://github.com/soujanyaporia/MUStARD",
    citation="Castro et al. 2019, Towards Multimodal Sarcasm Detection (An _Obviously_ Perfect Paper), ACL",
    sources=(
        Source(
            "sarcasm_data.json",
            "ec9533032c5f143f197cb5fa5d4b29ab9bf56a20b0dc05d5b31d052f5957d39c",
            github("soujanyaporia/MUStARD", _COMMIT, "data/sarcasm_data.json"),
        ),
        Source(
            "derived_split_indices.json",
            "dd496c2a9651fca5c959c18ee340e0f1ef24d0751952027a7695551b325777dd",
            make=derived_folds,
        ),
    ),
)
