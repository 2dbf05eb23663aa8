"""Rows in, runs of whole dialogues out, so that a file of any size is labelled piece by piece."""

from collections.abc import Iterable, Iterator

from gsa.prediction.rows import MOST_TURNS, Record, Rejected, Row

LETTERS = 2**24
"""Letters of a chunk's rows, beyond which it ends as soon as a dialogue does."""


def chunks(rows: Iterable[Row], size: int, context: bool) -> Iterator[list[Row]]:
    """Yield rows in runs of about `size`, or of LETTERS if they are long, that end between dialogues.

    A dialogue that begins again after others, or goes on beyond MOST_TURNS, has its rows rejected. Without
    `context` every row stands alone.
    """
    chunk: list[Row] = []
    dialogues, letters = _Dialogues(), 0
    for row in rows:
        before = dialogues.current
        if isinstance(row, Record) and context:
            row = dialogues.checked(row)
        full = len(chunk) >= size or letters >= LETTERS
        if isinstance(row, Record):
            ends = not dialogues.current or dialogues.current != before
        else:  # nothing but rejects for long: a dialogue that still goes on is given up
            ends = not before or len(chunk) >= size + MOST_TURNS
        if full and ends:
            yield chunk
            chunk, letters = [], 0
            if isinstance(row, Rejected):
                dialogues.give_up()
        chunk.append(row)
        letters += _letters(row)
    if chunk:
        yield chunk


class _Dialogues:
    """Which dialogue is under way, and which cannot begin any more."""

    def __init__(self) -> None:
        self.current, self._turns = "", 0
        self._seen: set[int] = set()

    def checked(self, row: Record) -> Row:
        """Return the row, or why it cannot be read in its dialogue."""
        name = row.dialogue
        if name != self.current:
            if name and hash(name) in self._seen:
                reason = f"dialogue '{name}' began before: expected its rows to stand together"
                return Rejected(row.row, reason, dict(row.carried))
            if name and not row.whole:
                self._seen.add(hash(name))
            self.current, self._turns = name, 0
        self._turns += 1
        if name and self._turns > MOST_TURNS:
            reason = f"dialogue '{name}': expected at most {MOST_TURNS} turns"
            return Rejected(row.row, reason, dict(row.carried))
        return row

    def give_up(self) -> None:
        """Let no more rows of the dialogue that is under way be read."""
        self._seen.add(hash(self.current))
        self.current = ""


def _letters(row: Row) -> int:
    values = row.carried.values() if isinstance(row, Record) else [row.found]
    return sum(len(value if isinstance(value, str) else str(value)) for value in values)
