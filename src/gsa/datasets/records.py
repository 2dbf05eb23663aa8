"""Users' own data: sentences or dialogues, labelled or to be labelled.

Format, JSONL: each line is ``{"text": ...}`` with, if wanted, ``label``, ``speaker``, ``id``; or
``{"turns": [{"text": ...}, ...]}`` with, if wanted, an ``id``, and for a turn ``label`` and ``speaker``.
Format, CSV or TSV: the columns ``text`` and ``label``, and if wanted ``speaker``, ``id`` and
``dialogue_id``; rows of one dialogue_id make a dialogue in the order of the file, a row without one is a
lone sentence.

Out come the labelled turns as targets, the others as their context; or, when labels are not required,
every turn as a target. Whoever has no id is named after its line.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from gsa.data.types import Example, unreadable
from gsa.datasets import parsing
from gsa.datasets.dataset import Splits
from gsa.errors import InputError, suggest

ENDINGS = ("jsonl", "csv", "tsv")


def read_file(path: Path, dataset: str, labels: Sequence[str] | None = None) -> list[Example]:
    """Return the examples of one file; with ``labels``, any other label is refused.

    Raises InputError, with file and line, for what is not as docs/data.md says.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in ENDINGS:
        raise InputError(
            f"{path}: expected a file whose name ends in {', '.join(ENDINGS)}, found '{path.suffix}'"
        )
    turns = list(_jsonl(path) if ending == "jsonl" else _table(path, ending))
    if not turns:
        raise InputError(f"{path}: expected one example or more, found none")
    for turn in turns:
        _check_label(turn, labels)
    _check_targets(turns)
    return parsing.build_examples(turns, dataset)


def read_folder(folder: Path, dataset: str, labels: Sequence[str]) -> Splits:
    """Return the splits of ``{train,dev,test}.{jsonl,csv,tsv}``; one without a file is empty.

    Raises InputError for two files of one split, for no train and no test file, and as `read_file` does.
    """
    found: Splits = {}
    for split in ("train", "dev", "test"):
        paths = [folder / f"{split}.{ending}" for ending in ENDINGS]
        there = [path for path in paths if path.is_file()]
        if len(there) > 1:
            names = " and ".join(path.name for path in there)
            raise InputError(f"{folder}: expected one file for the {split} split, found {names}")
        found[split] = read_file(there[0], dataset, labels) if there else []
    if not found["train"] and not found["test"]:
        raise InputError(f"{folder}: expected train or test examples in a jsonl, csv or tsv file, found none")
    return found


def _jsonl(path: Path) -> Iterator[parsing.Turn]:
    for number, (where, line) in enumerate(parsing.read_lines(path), start=1):
        if not line.strip():
            continue
        item = parsing.require_type(parsing.parse_json(line, where), dict, where)
        id = _word(item, "id", where) or f"line{number}"
        if ("text" in item) == ("turns" in item):
            found = ", ".join(map(str, item)) or "none"
            raise InputError(f"{where}: expected either a key 'text' or a key 'turns', found {found}")
        if "text" in item:
            yield _turn(item, id, "", where)
            continue
        turns = parsing.require_key(item, "turns", list, where)
        for index, turn in enumerate(turns, start=1):
            yield _turn(turn, f"{id}_{index}", id, f"{where} turn {index}")


def _turn(item: object, id: str, dialogue: str, where: str) -> parsing.Turn:
    text = _clean(parsing.require_key(item, "text", str, where), f"{where} key 'text'")
    label, speaker = _word(item, "label", where), _word(item, "speaker", where)
    return parsing.Turn(where, id, text, speaker, label or None, dialogue)


def _word(item: object, key: str, where: str) -> str:
    """Return the text of a key that may be absent or null, else empty."""
    value = parsing.require_type(item, dict, where).get(key)
    where = f"{where} key '{key}'"
    return "" if value is None else _clean(parsing.require_type(value, str, where), where).strip()


def _clean(text: str, where: str) -> str:
    """Return a text; raises InputError for what JSON's escapes can write but no tokenizer can read."""
    if odd := unreadable(text):
        raise InputError(f"{where}: expected text, found {odd}")
    return text


def _table(path: Path, ending: str) -> Iterator[parsing.Turn]:
    delimiter = "\t" if ending == "tsv" else ","
    for where, row in parsing.read_table(path, ("text", "label"), delimiter):
        # Rows are named by line, not by count: that is what an editor shows.
        id = row.get("id", "").strip() or f"line{where.rpartition(' ')[2]}"
        label = row.get("label", "").strip() or None
        dialogue = row.get("dialogue_id", "").strip()
        yield parsing.Turn(where, id, row["text"], row.get("speaker", ""), label, dialogue)


def _check_label(turn: parsing.Turn, labels: Sequence[str] | None) -> None:
    if labels is not None and turn.label is not None and turn.label not in labels:
        expected = f"expected a label out of {', '.join(labels)}"
        raise InputError(f"{turn.where}: {expected}, found '{turn.label}'{suggest(turn.label, labels)}")


def _check_targets(turns: Sequence[parsing.Turn]) -> None:
    """Raise InputError for a sentence, or for a dialogue as a whole, that has no label."""
    labelled = {turn.dialogue for turn in turns if turn.label is not None}
    for turn in turns:
        if turn.label is None and not turn.dialogue:
            raise InputError(f"{turn.where}: expected a label, found none")
        if turn.dialogue and turn.dialogue not in labelled:
            raise InputError(f"{turn.where}: expected a label at a turn of '{turn.dialogue}', found none")
