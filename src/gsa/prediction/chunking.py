"""Chunks of rows that end between dialogues, so that a file of any size is labelled in constant memory."""

from collections.abc import Iterable, Iterator

from gsa.datasets.records import Record, Rejected, Row

MAX_CHARACTERS = 2**24
"""Characters of a chunk's rows, beyond which it ends at the end of a dialogue."""
MAX_TURNS = 10_000
"""Turns of a dialogue beyond which rows are rejected, because a dialogue is held in memory."""


def chunks(rows: Iterable[Row], size: int, context: bool) -> Iterator[list[Row]]:
    """Yield rows in chunks of about `size` rows, or of MAX_CHARACTERS, that end between dialogues.

    Rows of a dialogue that begins again after others, and rows beyond MAX_TURNS, are rejected. Without
    `context` every row stands alone.
    """
    chunk: list[Row] = []
    dialogues, characters = _DialogueTracker(), 0
    for row in rows:
        previous = dialogues.current
        if isinstance(row, Record) and context:
            row = dialogues.check(row)
        full = len(chunk) >= size or characters >= MAX_CHARACTERS
        if isinstance(row, Record):
            between = not dialogues.in_dialogue or dialogues.current != previous
        else:  # after many rejected rows a dialogue that may still go on is closed
            between = not previous[1] or len(chunk) >= size + MAX_TURNS
        if full and between:
            yield chunk
            chunk, characters = [], 0
            if isinstance(row, Rejected):
                dialogues.close()
        chunk.append(row)
        characters += _characters(row)
    if chunk:
        yield chunk


class _DialogueTracker:
    """Knows the current dialogue, and those that have ended."""

    def __init__(self) -> None:
        self.current, self._turns = (0, ""), 0
        self._ended: set[int] = set()

    @property
    def in_dialogue(self) -> bool:
        return bool(self.current[1])

    def check(self, record: Record) -> Row:
        """Return the record, or a Rejected if it cannot be read in its dialogue."""
        key, name = record.dialogue_key, record.dialogue
        if key != self.current:
            if name and hash(key) in self._ended:
                reason = f"dialogue '{name}' began before: expected its rows to stand together"
                return Rejected(record.row, reason, dict(record.values))
            if name and not record.turn:  # a dialogue in one line cannot begin again
                self._ended.add(hash(key))
            self.current, self._turns = key, 0
        self._turns += 1
        if name and self._turns > MAX_TURNS:
            reason = f"dialogue '{name}': expected at most {MAX_TURNS} turns"
            return Rejected(record.row, reason, dict(record.values))
        return record

    def close(self) -> None:
        """Reject all further rows of the current dialogue."""
        self._ended.add(hash(self.current))
        self.current = (0, "")


def _characters(row: Row) -> int:
    values = row.values.values() if isinstance(row, Record) else [row.found]
    return sum(len(value if isinstance(value, str) else str(value)) for value in values)
