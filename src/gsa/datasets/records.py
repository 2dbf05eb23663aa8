"""Rows of users' files: Records, and Rejected rows with the reason; from the values of a row to either."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gsa.data.types import is_blank, unreadable
from gsa.datasets.cells import as_name, describe_unreadable, excerpt, labels_cell, name_cell, sort_key_cell
from gsa.errors import InputError, suggest

MAX_COLUMNS = 16_384
"""Columns of a table, or keys of a JSON object; Excel has no more."""
MAX_NAMES = 20
"""Column names that an error message lists."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row with a text."""

    row: int
    """Line of the file where it begins; of Parquet and Excel, the number of the row. Both from 1."""
    values: Mapping[str, Any]
    """All columns of the row."""
    text: str
    speaker: str = ""
    dialogue: str = ""
    """Id of its dialogue; empty for a lone text."""
    turn: int = 0
    """Number of the turn, from 1, in a dialogue that is one line of JSONL; 0 for any other row."""
    order: tuple[Any, ...] = ()
    """Sort key of its turn within the dialogue; empty where the rows are in order already."""
    aspect: str = ""
    """What is asked about, for a task that asks about an aspect."""
    instruction: str = ""
    """Instead of the task's."""
    labels: tuple[str, ...] = ()
    """Instead of the task's."""

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
    """The columns of a file that are read; empty where the file has none."""

    text: str
    speaker: str = ""
    dialogue: str = ""
    order: str = ""
    aspect: str = ""
    instruction: str = ""
    labels: str = ""


class Columns(NamedTuple):
    """Which columns to read; None is the default name, where the file has it."""

    text: str | None = None
    """By default `text`, or `content` where there is no such column."""
    speaker: str | None = None
    """By default `speaker`, or `role` beside `content`."""
    dialogue: str | None = None
    """By default `dialogue_id`."""
    order: str | None = None
    """Column by which turns are sorted within their dialogue."""
    aspect: str | None = None
    """By default `aspect`, for a task that asks about an aspect; where it is named, any task does."""
    instruction: str | None = None
    labels: str | None = None

    def resolve(self, names: Sequence[str], location: str) -> ColumnNames:
        """Return the columns to read of a file that has `names`; raises InputError for a missing column."""
        known = set(names)
        text = self.text or ("content" if "content" in known and "text" not in known else "text")
        for role, name in zip(ROLES, (text, *self[1:]), strict=True):
            if name and name not in known:
                shown = ", ".join(names[:MAX_NAMES]) or "none"
                raise InputError(
                    f"{location}: found no column '{name}'{suggest(name, names)}: expected the "
                    f"{role} column to be one of {shown}{', ...' if len(names) > MAX_NAMES else ''}"
                )
        speaker = self.speaker or ("speaker" if "speaker" in known else "")
        if not speaker and text == "content" and "role" in known:
            speaker = "role"
        dialogue = self.dialogue or ("dialogue_id" if "dialogue_id" in known else "")
        aspect = self.aspect or ("aspect" if "aspect" in known else "")
        instruction, labels = self.instruction or "", self.labels or ""
        return ColumnNames(text, speaker, dialogue, self.order or "", aspect, instruction, labels)


ENCODING_HINT = " (--encoding names another encoding)"
SPEAKERS = {"text": "speaker", "content": "role"}
"""Columns of texts by default, each with the one of speakers."""
ROLES = ("text", "speaker", "dialogue id", "order", "aspect", "instruction", "labels")
"""What the fields of Columns are called in messages."""


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read."""

    format: str
    """One of `record_files.INPUT_FORMATS`, or empty for a .txt file that is texts or a conversation."""
    columns: Columns = field(default_factory=Columns)
    quotes: bool = True
    """Whether quotes of CSV and TSV enclose fields; otherwise they are text, and a line is a row."""
    encoding: str = ""
    """Of text files; empty is that of a byte order mark, else UTF-8, else Windows-1252."""
    delimiter: str = ""
    """Between the fields of CSV; empty is the one that divides the header into most columns."""
    untimed_chats: bool = True
    """Whether a .txt file whose lines have names and no times is a conversation rather than texts."""
    same_keys: bool = False
    """Reject lines of JSONL with a key that the first one lacks, as a table needs."""


def checked_delimiter(delimiter: str) -> str:
    """Return a delimiter, a tab for its name or escape; raises InputError for more than one character."""
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) > 1 or delimiter in ('"', "\n", "\r", "\0"):
        raise InputError(f"--delimiter {delimiter!r}: expected one character, such as ; or tab")
    return delimiter


@dataclass
class RecordReader:
    """An open file; `rows` can be read once."""

    columns: list[str]
    """Names of all columns in order; of JSONL the keys of the first line."""
    rows: Iterator[Row]
    names: ColumnNames
    """The columns that are read."""
    options: ReadOptions
    """How it is read, with the encoding and the delimiter that were found."""
    size: int = 0
    """Bytes of the file, or rows of Parquet and Excel; 0 if unknown."""
    position: Callable[[], int] = lambda: 0
    """Returns how much of `size` was read."""
    close: Callable[[], None] = lambda: None
    """Closes a file that is not read to its end."""
    blank_lines: Callable[[], int] = lambda: 0
    """Returns how many lines of text formats were skipped so far because they are blank."""
    schema: dict[str, Any] = field(default_factory=dict)
    """Polars types of the columns, of Parquet only."""
    has_dialogues: bool = False
    """Whether rows belong to dialogues."""
    note: str = ""
    """How a file was read whose format its content tells, where that may be a mistake."""
    is_dialogue: bool = False
    """Whether the file is one dialogue, which no other file continues."""

    @property
    def fraction(self) -> float:
        """How much was read, from 0 to 1; 0 if the size is unknown."""
        return self.position() / self.size if self.size else 0.0


@dataclass(frozen=True)
class RowParser:
    """Makes a Record of the values of a row."""

    names: ColumnNames
    hint: str = ""
    """Follows the reason of a row that is not UTF-8: ENCODING_HINT, where an encoding may be named."""

    def parse(self, row: int, values: Mapping[str, Any], dialogue: str = "", turn: int = 0) -> Row:
        """Return a Record, or a Rejected; `dialogue` and `turn` are of a dialogue that is one line."""
        prefix = f"turn {turn} " if turn else ""
        texts = (value for value in values.values() if isinstance(value, str))
        if next(filter(None, map(unreadable, texts)), ""):
            escaped = {name: ascii(value) for name, value in values.items()}
            problem = next(filter(None, map(describe_unreadable, map(str, values.values()))))
            return Rejected(row, f"{prefix}expected UTF-8 text, found {problem}{self.hint}", escaped)
        try:
            return self._record(row, values, dialogue, turn)
        except InputError as error:
            return Rejected(row, f"{prefix}{error}", dict(values))

    def _record(self, row: int, values: Mapping[str, Any], dialogue: str, turn: int) -> Record:
        names = self.names
        text_name, fallback = names.text, "text" if names.text == "content" else "content"
        if text_name not in values and fallback in values:
            text_name = fallback
        text = values.get(text_name)
        if not isinstance(text, str):
            raise InputError(f"'{text_name}': expected a text, found {excerpt(text)}")
        if is_blank(text):
            raise InputError(f"'{text_name}': expected a text, found an empty one")
        speaker = names.speaker
        if speaker not in values:
            speaker = SPEAKERS.get(text_name, speaker)
        dialogue = dialogue or name_cell(values, names.dialogue)
        return Record(
            row, values, text.strip(), name_cell(values, speaker), dialogue, turn,
            sort_key_cell(values, names.order), self._aspect(values),
            name_cell(values, names.instruction), labels_cell(values, names.labels),
        )  # fmt: skip

    def _aspect(self, values: Mapping[str, Any]) -> str:
        """Return the aspect of a row, empty for a value that is no name: a task may not ask about it."""
        return as_name(values.get(self.names.aspect)) or "" if self.names.aspect else ""
