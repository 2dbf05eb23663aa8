"""Rows of users' files: Records, and Rejected rows with the reason; from the values of a row to either."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gsa.data.types import unreadable
from gsa.errors import InputError, suggest


@dataclass(frozen=True, slots=True)
class Record:
    """A row with a text."""

    row: int
    """Line of the file where it begins; of Parquet, the number of the row. Both from 1."""
    values: Mapping[str, Any]
    """All columns of the row."""
    text: str
    speaker: str = ""
    dialogue: str = ""
    """Id of its dialogue; empty for a lone text."""
    turn: int = 0
    """Number of the turn, from 1, in a dialogue that is one line of JSONL; 0 for any other row."""

    @property
    def dialogue_key(self) -> tuple[int, str]:
        """What the records of one dialogue have in common; two lines with the same id are two dialogues."""
        return (self.row if self.turn else 0), self.dialogue


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be read."""

    row: int
    reason: str
    found: Any = None
    """The content of the row, as far as it could be read."""


Row = Record | Rejected


class ColumnNames(NamedTuple):
    """The columns of a file that are read; the last two are empty where the file has none."""

    text: str
    speaker: str
    dialogue: str


class Columns(NamedTuple):
    """Which columns to read; None is the default name, where the file has it."""

    text: str | None = None
    speaker: str | None = None
    dialogue: str | None = None

    def resolve(self, names: Sequence[str], where: str) -> ColumnNames:
        """Return the columns to read of a file that has `names`; raises InputError for a missing column."""
        expected = {"text": self.text or "text", "speaker": self.speaker, "dialogue id": self.dialogue}
        for role, name in expected.items():
            if name and name not in names:
                raise InputError(
                    f"{where}: found no column '{name}'{suggest(name, names)}: "
                    f"expected the {role} column to be one of {', '.join(names) or 'none'}"
                )
        speaker = self.speaker or ("speaker" if "speaker" in names else "")
        dialogue = self.dialogue or ("dialogue_id" if "dialogue_id" in names else "")
        return ColumnNames(self.text or "text", speaker, dialogue)


@dataclass(frozen=True)
class RowParser:
    """Makes a Record of the values of a row."""

    names: ColumnNames
    allow_empty: bool

    def parse(self, row: int, values: Mapping[str, Any], dialogue: str = "", turn: int = 0) -> Row:
        """Return a Record, or a Rejected; `dialogue` and `turn` are of a dialogue that is one line."""
        where = f"turn {turn} " if turn else ""
        fields = []
        for name in self.names[: 2 if turn else 3]:
            value = values.get(name) if name else ""
            if value is None and name != self.names.text:
                value = ""
            if isinstance(value, int) and name == self.names.dialogue:
                value = str(value)
            if not isinstance(value, str):
                excerpt = "none" if value is None else f"{value!r:.60}"
                return Rejected(row, f"{where}'{name}': expected a text, found {excerpt}", dict(values))
            fields.append(value.strip())
        texts = (value for value in values.values() if isinstance(value, str))
        character = next(filter(None, map(unreadable, texts)), "")
        if character:
            escaped = {name: ascii(value) for name, value in values.items()}
            return Rejected(row, f"{where}expected UTF-8 text, found {character}", escaped)
        if not fields[0] and not self.allow_empty:
            reason = f"{where}'{self.names.text}': expected a text, found an empty one"
            return Rejected(row, reason, dict(values))
        return Record(row, values, fields[0], fields[1], dialogue or fields[2], turn)
