"""Every reader against damaged copies of its files: read as a user would expect, or refused with the file."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from gsa.data.types import Example
from gsa.datasets.catalogue import get, load
from gsa.datasets.custom import read_folder
from gsa.errors import InputError

FIXTURES = Path(__file__).parent / "fixtures"
Edit = Callable[[bytes], bytes]
Splits = dict[str, list[Example]]

# Each reader: the file that is damaged, and the edits that only its own format knows.
FILES: dict[str, tuple[str, dict[str, Edit]]] = {
    "sst2": ("sst2/train.txt", {
        "label out of range": lambda raw: raw.replace(b"(", b"(7", 1).replace(b"(7", b"(7 ", 1),
        "bracket missing": lambda raw: raw.replace(b")", b"", 1),
        "no tree": lambda raw: b"Just words.\n" + raw,
    }),
    "mosi": ("mosi/label.csv", {"unknown label": lambda raw: raw.replace(b",2.2,", b",nice,", 1)}),
    "mosei": ("mosei/label.csv", {"unknown label": lambda raw: raw.replace(b",1.0,", b",nice,", 1)}),
    "meld": ("meld/train_sent_emo.csv", {"unknown label": lambda raw: raw.replace(b",anger,", b",ire,", 1)}),
    "emorynlp": ("emorynlp/train.csv", {"unknown label": lambda raw: raw.replace(b",Scared,", b",Fear,", 1)}),
    "mustardpp": ("mustardpp/mustard++_text.csv", {
        "unknown label": lambda raw: raw.replace(b",BBT,1,NONE", b",BBT,7,NONE", 1),
    }),
    "iemocap": ("iemocap/Session1/dialog/transcriptions/Ses01F_impro01.txt", {
        "time missing": lambda raw: re.sub(rb"\[\d[\d.-]*\]", b"[]", raw, count=1),
        "turn without its end": lambda raw: raw.replace(b"]:", b"", 1),
        "turns missing": lambda raw: b"% nothing\n",
    }),
    "mustard": ("mustard/sarcasm_data.json", {}),
    "tweeteval-emotion": ("tweeteval/emotion/train_labels.txt", {
        "unknown label": lambda raw: b"17" + raw[1:],
        "label that is no number": lambda raw: b"joy" + raw[1:],
        "line too many": lambda raw: raw + b"0\n",
        "line too few": lambda raw: raw.partition(b"\n")[2],
    }),
    "semeval2017": ("semeval2017/twitter-2013train-A.tsv", {
        "unknown label": lambda raw: raw.replace(b"\tpositive\t", b"\tgood\t", 1),
        "short row": lambda raw: raw.rstrip(b"\n").rpartition(b"\t")[0],
    }),
    "goemotions": ("goemotions/train.tsv", {
        "unknown label": lambda raw: raw.replace(b"\t27\t", b"\t28\t", 1),
        "short row": lambda raw: raw.rstrip(b"\n").rpartition(b"\t")[0],
        "row twice": lambda raw: raw + raw,
    }),
    "mams": ("mams/train.xml", {
        "unknown label": lambda raw: raw.replace(b'"positive"', b'"good"', 1),
        "cut short": lambda raw: raw[: len(raw) // 2],
        "other elements": lambda raw: raw.replace(b"sentence", b"review"),
    }),
    "semeval2014-laptops": ("semeval2014/Laptops_Test_Gold.xml.seg", {
        "unknown label": lambda raw: raw.replace(b"\n0\n", b"\n7\n", 1),
        "line too many": lambda raw: raw + b"more\n",
        "no place": lambda raw: raw.replace(b"$T$", b"it", 1),
    }),
    "own csv": ("own/train.csv", {"unknown label": lambda raw: raw.replace(b",good", b",goood", 1)}),
    "own tsv": ("own/train.tsv", {"unknown label": lambda raw: raw.replace(b"\tgood", b"\tgoood", 1)}),
    "own jsonl": ("own/train.jsonl", {}),
}  # fmt: skip

NO_HEADER = {"semeval2017", "goemotions"}
"""Tables without a header, for which the edits of headers mean nothing."""
SAME, CHANGED, REFUSED = "same", "changed", "refused"

ANY: dict[str, tuple[Edit, set[str]]] = {
    "byte-order mark": (lambda raw: b"\xef\xbb\xbf" + raw, {SAME}),
    "Windows line ends": (lambda raw: raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), {SAME}),
    "no line end at the end": (lambda raw: raw.rstrip(b"\r\n"), {SAME}),
    "empty": (lambda raw: b"", {REFUSED}),
    "white space only": (lambda raw: b" \n\n", {REFUSED}),
    "NUL at the front": (lambda raw: b"\0" + raw, {REFUSED}),
    "NUL in the middle": (lambda raw: raw[: len(raw) // 2] + b"\0" + raw[len(raw) // 2 :], {REFUSED}),
    "UTF-16": (lambda raw: raw.decode().encode("utf-16"), {REFUSED}),
    "binary": (lambda raw: bytes(range(128, 256)) * 9, {REFUSED}),
    "half a letter": (lambda raw: raw + b"\xe2\x82", {REFUSED, CHANGED}),
}
"""Damage that any file can have, and what may come of it."""


def cells(raw: bytes) -> tuple[bytes, list[bytes]]:
    mark = b"\t" if b"\t" in raw.split(b"\n")[0] else b","
    return mark, raw.split(b"\n")


def short_row(raw: bytes) -> bytes:
    return raw.rstrip(b"\n").rpartition(cells(raw)[0])[0]


def column_gone(raw: bytes) -> bytes:
    return re.sub(rb"(?i)(text|utterance|sentence)\b", b"words", raw, count=1)


TABLE: dict[str, tuple[Edit, set[str]]] = {
    "column missing": (column_gone, {REFUSED}),
    "short row": (short_row, {REFUSED}),
    "long row": (lambda raw: raw.rstrip(b"\n") + cells(raw)[0] + b"more\n", {REFUSED}),
    "row twice": (lambda raw: raw.rstrip(b"\n") + b"\n" + raw.rstrip(b"\n").split(b"\n")[-1] + b"\n",
                  {REFUSED, CHANGED}),
    "quote not closed": (lambda raw: raw.rstrip(b"\n") + b"\n\"open", {REFUSED}),
    "header alone": (lambda raw: raw.split(b"\n")[0] + b"\n", {REFUSED, CHANGED}),
    "column twice": (lambda raw: cells(raw)[0].join([cells(raw)[1][0], cells(raw)[1][0]]) + b"\n", {REFUSED}),
}  # fmt: skip


def item_edit(edit: Callable[[dict[str, dict[str, object]]], object]) -> Edit:
    def apply(raw: bytes) -> bytes:
        content = json.loads(raw)
        edit(content)
        return json.dumps(content).encode()

    return apply


def first(content: dict[str, dict[str, object]]) -> dict[str, object]:
    return next(iter(content.values()))


JSON: dict[str, tuple[Edit, set[str]]] = {
    "cut short": (lambda raw: raw[: len(raw) // 2], {REFUSED}),
    "a list": (lambda raw: b"[]", {REFUSED}),
    "nested too deeply": (lambda raw: b"[" * 100000, {REFUSED}),
    "key missing": (item_edit(lambda content: first(content).pop("utterance")), {REFUSED}),
    "text that is a number": (item_edit(lambda content: first(content).update(utterance=3)), {REFUSED}),
    "label that is a word": (item_edit(lambda content: first(content).update(sarcasm="yes")), {REFUSED}),
    "speakers missing": (item_edit(lambda content: first(content).update(context_speakers=[])), {REFUSED}),
}
LINES: dict[str, tuple[Edit, set[str]]] = {
    "cut short": (lambda raw: raw.rstrip(b"\n")[:-3], {REFUSED}),
    "no text": (lambda raw: raw.replace(b'"text"', b'"txt"', 1), {REFUSED}),
    "unknown label": (lambda raw: raw.replace(b'"good"', b'"goood"', 1), {REFUSED}),
    "label that is a number": (lambda raw: raw.replace(b'"good"', b"1", 1), {REFUSED}),
    "id twice": (lambda raw: b'{"text": "a", "label": "bad", "id": "i"}\n' * 2, {REFUSED}),
    "no label": (lambda raw: raw + b'{"text": "a"}\n', {REFUSED}),
    "line twice": (lambda raw: raw + raw, {CHANGED}),
    "huge field": (lambda raw: raw + b'{"text": "' + b"long " * 100_000 + b'", "label": "bad"}\n', {CHANGED}),
}
OWN = {
    "own csv": 'text,label\nNice ünd warm.,good\n"Cold, wet.",bad\n',
    "own tsv": "text\tlabel\nNice ünd warm.\tgood\nCold, wet.\tbad\n",
    "own jsonl": '{"text": "Nice ünd warm.", "label": "good"}\n{"text": "Cold, wet.", "label": "bad"}\n',
}
NOT_SAME = {
    ("iemocap", "half a letter"),
    ("iemocap", "binary"),
    ("iemocap", "UTF-16"),
    ("meld", "binary"),
} | {(name, "UTF-16") for name in ("own csv", "own tsv", "own jsonl")}
"""Older copies of the first two are Windows-1252, in which nearly every byte is a letter; users' files may be
UTF-16 with a byte order mark."""


def cases() -> Iterator[tuple[str, str, Edit, set[str]]]:
    for reader, (file, own) in FILES.items():
        kind = (
            {}
            if reader in NO_HEADER
            else {".csv": TABLE, ".tsv": TABLE, ".json": JSON, ".jsonl": LINES}.get(Path(file).suffix, {})
        )
        for name, (edit, may) in {**ANY, **kind}.items():
            yield reader, name, edit, may | {SAME, CHANGED} if (reader, name) in NOT_SAME else may
        for name, edit in own.items():
            yield reader, name, edit, {REFUSED}


CASES = list(cases())


@pytest.fixture
def root(reader: str, tmp_path: Path) -> Path:
    """A data root with the files of one reader and of those that it needs."""
    file = tmp_path / "data" / FILES[reader][0]
    if reader in OWN:
        file.parent.mkdir(parents=True)
        file.write_text(OWN[reader], encoding="utf-8")
    else:
        for name in (reader, *get(reader).requires):
            folder = get(name).folder
            shutil.copytree(FIXTURES / folder, tmp_path / "data" / folder)
    return tmp_path / "data"


@cache
def undamaged(reader: str) -> Splits:
    return load(reader, root=FIXTURES)


def read(reader: str, root: Path) -> Splits:
    if reader.startswith("own"):
        return read_folder(root / "own", "own", ("good", "bad"))
    return load(reader, root=root)


def test_every_reader_has_ten_damages_or_more() -> None:
    for reader in FILES:
        assert sum(case[0] == reader for case in CASES) >= 10, reader


@pytest.mark.parametrize(
    ("reader", "name", "edit", "may"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES]
)
def test_a_damaged_file_is_read_as_expected_or_refused(
    root: Path, reader: str, name: str, edit: Edit, may: set[str]
) -> None:
    path = root / FILES[reader][0]
    before = read(reader, root) if reader in OWN else undamaged(reader)
    path.write_bytes(edit(path.read_bytes()))
    refusal = ""
    try:
        found = SAME if read(reader, root) == before else CHANGED
    except InputError as error:
        found, refusal = REFUSED, str(error)
    assert found in may, refusal
    if refusal:
        assert path.name in refusal
        assert "\n" not in refusal
        assert len(refusal) < 1500


@pytest.mark.parametrize("reader", FILES)
def test_a_missing_file_and_a_folder_in_its_place_are_refused(root: Path, reader: str) -> None:
    path = root / FILES[reader][0]
    path.unlink()
    with pytest.raises(InputError):
        read(reader, root)
    path.mkdir()
    with pytest.raises(InputError):
        read(reader, root)


@pytest.mark.parametrize(
    ("reader", "column"), [("meld", "Utterance"), ("emorynlp", "Utterance"), ("mosi", "text"),
                           ("mosei", "text"), ("mustardpp", "SENTENCE")]
)  # fmt: skip
def test_a_huge_field_is_read(root: Path, reader: str, column: str) -> None:
    before = read(reader, root)
    path = root / FILES[reader][0]
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    rows[-1][header.index(column)] = "long " * 100_000
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    after = read(reader, root)
    texts = [turn.text for split in after.values() for e in split for turn in e.dialogue.turns]
    assert max(map(len, texts)) == 5 * 100_000 - 1
    assert {split: len(found) for split, found in after.items()} == {s: len(f) for s, f in before.items()}
