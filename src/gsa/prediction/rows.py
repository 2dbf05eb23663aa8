"""Rows of users' files, whatever the format: Records to label, Rejected rows with the reason.

In: a byte stream's lines, a row's values and the names of its columns. Out: one Record or Rejected a row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from gsa.data.types import unreadable
from gsa.errors import InputError, suggest

LONGEST = 4 * 2**20
"""Bytes of a line, or letters of a field, beyond which a row is rejected."""
MOST_TURNS = 10_000
"""Turns of a dialogue beyond which rows are rejected; a dialogue is held in memory as a whole."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns to read; None is the usual name, where a table has it."""

    text: str | None = None
    speaker: str | None = None
    dialogue: str | None = None

    def of(self, names: Sequence[str], where: str) -> tuple[str, str, str]:
        """Return the columns of text, speaker and dialogue, the last two empty where there is none.

        Raises InputError, with the nearest name, for a column that is not there.
        """
        wanted = {"text": self.text or "text", "speaker": self.speaker, "dialogue_id": self.dialogue}
        for name in wanted.values():
            if name and name not in names:
                flag = next(key for key, value in wanted.items() if value == name).replace("_", "-")
                raise InputError(
                    f"{where}: found no column '{name}'{suggest(name, names)}: "
                    f"expected --{flag} to be one of {', '.join(names) or 'none'}"
                )
        speaker, dialogue = (
            wanted[key] or (key if key in names else "") for key in ("speaker", "dialogue_id")
        )
        return self.text or "text", speaker, dialogue


@dataclass(frozen=True, slots=True)
class Record:
    """A row to label."""

    row: int
    """Line in the file where it begins; of Parquet, the number of the row. Both from 1."""
    carried: Mapping[str, Any]
    """What goes to the output as it is."""
    text: str
    speaker: str = ""
    dialogue: str = ""
    """Id of its dialogue; empty for a lone text."""
    whole: bool = False
    """Whether its dialogue stood in one line, so that it cannot begin again further down."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be labelled."""

    row: int
    reason: str
    found: Any = None
    """What there was, for the file of rejects."""


Row = Record | Rejected


@dataclass
class Table:
    """An open file of rows."""

    columns: list[str]
    """Names of what is carried, in order; of JSONL, those of the first row."""
    rows: Iterator[Row]
    size: int
    """In the units of `progress`, 0 if unknown."""
    schema: dict[str, Any] = field(default_factory=dict)
    """Types of the columns, of Parquet only."""
    counter: "Lines | None" = None
    """Counts bytes."""
    read: int = 0
    """Counts rows."""

    def close(self) -> None:
        """Let go of a file that will not be read to its end."""
        if self.counter:
            self.counter.stream.close()

    @property
    def progress(self) -> float:
        """How much was read, from 0 to 1; 0 if that is unknown."""
        done = self.counter.read if self.counter else self.read
        return done / self.size if self.size else 0.0


class Lines:
    """The lines of a byte stream with their numbers; None for one that is too long."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        """`where` opens the sentence of an error."""
        self.stream, self.where, self.read = stream, where, 0
        self.number = 0

    def __iter__(self) -> Iterator[bytes | None]:
        with self.stream:
            while line := self.stream.readline(LONGEST):
                self.number += 1
                self.read += len(line)
                if self.number == 1:
                    if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                        raise InputError(f"{self.where}: expected UTF-8 text, found UTF-16")
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if len(line) < LONGEST or line.endswith(b"\n"):
                    yield line
                    continue
                while line and not line.endswith(b"\n"):
                    line = self.stream.readline(LONGEST)
                    self.read += len(line)
                yield None

    def text(self) -> Iterator[str]:
        """Yield lines for the csv module; bytes that are not UTF-8 become what `unreadable` finds."""
        for line in self:
            yield "\0\n" if line is None else line.decode("utf-8", "surrogateescape")


def record(row: int, carried: Mapping[str, Any], names: tuple[str, str, str]) -> Row:
    """Return a row as a Record if its texts can be read and what is carried can be written."""
    found = []
    for name in names:
        value = carried.get(name) if name else ""
        value = "" if value is None else value
        if not isinstance(value, str):
            if name == names[2] and isinstance(value, int):
                value = str(value)
            else:
                return Rejected(row, f"'{name}': expected a text, found {value!r:.60}", dict(carried))
        found.append(value.strip())
    odd = next(
        (odd for value in carried.values() if isinstance(value, str) and (odd := unreadable(value))), ""
    )
    if odd:
        return Rejected(row, f"expected UTF-8 text, found {odd}", _escaped(carried))
    if not found[0]:
        return Rejected(row, f"'{names[0]}': expected a text, found an empty one", dict(carried))
    text, speaker, dialogue = found
    return Record(row, carried, text, speaker, dialogue)


def _escaped(carried: Mapping[str, Any]) -> dict[str, str]:
    return {name: ascii(value) for name, value in carried.items()}
