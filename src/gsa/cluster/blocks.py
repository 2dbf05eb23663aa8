"""Rows of many files in blocks that do not depend on who reads them, and a block's labels.

A row belongs to the block that the hash of its key falls into. The key of a row that is read alone is its
place, that of a turn its dialogue, so a dialogue is in one block whatever files hold its turns.
"""

import hashlib
import logging
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from gsa.datasets.cells import name_cell
from gsa.datasets.record_files import format_of, is_readable, open_records
from gsa.datasets.records import ReadOptions, Record, Rejected, Row
from gsa.errors import InputError
from gsa.prediction.chunking import chunks
from gsa.prediction.job import Labeller
from gsa.prediction.parts import Part
from gsa.prediction.writers import json_line

logger = logging.getLogger(__name__)

READ_ROWS = 2048
"""Rows that are read before they are passed on."""


@dataclass(frozen=True)
class PlacedRow:
    """A row and where it was read."""

    file: int
    """Index of its file."""
    number: int
    """Of the row among those of its file, from 0."""
    row: Row

    @property
    def place(self) -> tuple[int, int]:
        """Its place in the order of all rows."""
        return self.file, self.number


@dataclass(frozen=True)
class InputFiles:
    """The files of an input."""

    root: Path
    """Folder that the names of files begin from."""
    files: tuple[tuple[Path, ReadOptions], ...]
    """Each with how it is read."""
    columns: tuple[str, ...]
    """Of all files."""
    context: bool
    """Whether turns are read within their dialogues."""
    id_column: str = ""
    """Column of ids that must not repeat; empty for none."""

    def name(self, file: int) -> str:
        """Return the name of a file."""
        return self.files[file][0].relative_to(self.root).as_posix()

    def read(self, file: int) -> Iterator[dict[str, list[Any]]]:
        """Yield the rows of a file as columns: `key` and `id` are hashes, `row` is a pickled PlacedRow."""
        reader = open_records(*self.files[file])
        name = self.name(file) if reader.is_dialogue else ""
        rows = (self._checked(file, row, name) for row in reader.rows)
        placed = (PlacedRow(file, number, row) for number, row in enumerate(rows))
        while batch := list(islice(placed, READ_ROWS)):
            yield {
                "key": [stable_hash(self._key(one)) for one in batch],
                "id": [stable_hash(self.id_of(one.row)) for one in batch],
                "row": [pickle.dumps(one) for one in batch],
            }

    def _checked(self, file: int, row: Row, dialogue: str) -> Row:
        """Return a row, or a Rejected if it has a column that the first file lacks, or no id.

        `dialogue` is the id of a file that is one dialogue, empty for any other file.
        """
        if isinstance(row, Rejected):
            return row
        if new := row.values.keys() - set(self.columns):
            reason = f"expected the keys of the first row, found '{min(new)}' too"
            return Rejected(row.row, reason, dict(row.values))
        if row.turn:  # of a dialogue in one line, which no other line continues
            row = replace(row, dialogue=f"{self.name(file)}, line {row.row}", turn=0)
        elif dialogue:
            row = replace(row, dialogue=dialogue, values={**row.values, "dialogue_id": dialogue})
        elif self.id_column:
            try:
                missing = not name_cell(row.values, self.id_column)
                reason = f"'{self.id_column}': expected an id, found none" if missing else ""
            except InputError as error:
                reason = str(error)
            if reason:
                return Rejected(row.row, reason, dict(row.values))
        return row

    def _key(self, placed: PlacedRow) -> str:
        dialogue = placed.row.dialogue if self.context and isinstance(placed.row, Record) else ""
        return f"dialogue {dialogue}" if dialogue else f"row {placed.place}"

    def id_of(self, row: Row) -> str:
        """Return the id of a row, of a turn of a dialogue in one line with the dialogue's; empty for none."""
        if not self.id_column or isinstance(row, Rejected):
            return ""
        if self.id_column in row.values:
            return name_cell(row.values, self.id_column)
        return f"{row.values.get('dialogue_id', '')} turn {row.values.get('turn', '')}"


def find_files(source: Path) -> list[Path]:
    """Return the readable files of a folder and of those in it, in order; or the one file that `source` is.

    Names that begin with a dot or an underscore are left out, as Spark's and Ray's own are. Raises InputError
    for a folder without any.
    """
    if source.is_file():
        return [source]
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    hidden = (".", "_")
    files = [
        path
        for path in paths
        if is_readable(path) and not any(part.startswith(hidden) for part in path.relative_to(source).parts)
    ]
    if not files:
        what = "none" if source.is_dir() else "no folder and no file"
        raise InputError(f"'{source}': expected a folder with files to label, found {what}")
    return files


def open_files(source: Path, read: ReadOptions, context: bool, id_column: str = "") -> tuple[InputFiles, Any]:
    """Return the files of a folder, and the reader of the first one, which is closed.

    Raises InputError if a file cannot be read, or has other columns than the first one.
    """
    paths = find_files(source)
    first, files = None, []
    for path in paths:
        options = replace(read, format=format_of(path, read.format), untimed_chats=context)
        reader = open_records(path, options)
        reader.close()
        if reader.note:
            logger.info("%s", reader.note)
        first = first or reader
        is_lines = reader.options.format == "jsonl"
        differing = set(reader.columns) ^ set(first.columns)
        if is_lines:  # whose lines may lack keys
            differing = set(reader.columns) - set(first.columns)
        if differing or reader.schema != first.schema:
            what = f"the column '{min(differing)}'" if differing else "the types of its columns"
            raise InputError(f"'{path}' and '{paths[0]}' differ in {what}: expected files of one table")
        files.append((path, reader.options))
    assert first is not None
    if id_column and id_column not in first.columns and "turn" not in first.columns:
        raise InputError(f"--id '{id_column}': expected one of {', '.join(first.columns[:20])}")
    root = source if source.is_dir() else source.parent
    return InputFiles(root, tuple(files), tuple(first.columns), context, id_column), first


def stable_hash(text: str) -> int:
    """Return 64 bits that are the same in every process; 0 for an empty text."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True) if text else 0


def label_block(
    labeller: Labeller, inputs: InputFiles, rows: Iterable[PlacedRow], first: bool = True
) -> Part:
    """Return the labelled and the rejected rows of a block, in an order that does not depend on theirs.

    A dialogue stands where its first turn was read; its turns are in the order of their files and rows.
    """
    placed = _by_dialogue(sorted(rows, key=lambda one: one.place), inputs.context)
    indexed = [replace(one.row, row=index) for index, one in enumerate(placed)]  # to find the file again
    checked = [row for chunk in chunks(indexed, len(indexed) or 1, inputs.context) for row in chunk]
    values, rejected, counts = labeller.label_rows(checked)
    rejects = [
        {
            "file": inputs.name(placed[reject.row].file),
            "row": placed[reject.row].row.row,
            "reason": reject.reason,
            "found": reject.found,
        }
        for reject in rejected
    ]
    if rejects:
        counts.first_reason = "{file} row {row}: {reason}".format(**rejects[0])
    return Part(labeller.writer.encode(values, header=first), b"".join(map(json_line, rejects)), counts)


def _by_dialogue(rows: Sequence[PlacedRow], context: bool) -> list[PlacedRow]:
    """Return rows with those of a dialogue together, where its first one is."""
    groups: dict[Any, list[PlacedRow]] = {}
    for one in rows:
        dialogue = one.row.dialogue if context and isinstance(one.row, Record) else ""
        groups.setdefault(dialogue or one.place, []).append(one)
    return [one for group in groups.values() for one in group]
