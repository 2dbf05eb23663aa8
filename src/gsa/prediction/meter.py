"""How far a long job is, on standard error: rows, rate, time left."""

import sys
import time
from collections.abc import Callable

from gsa.cli.format import duration

PAUSE = 5.0
"""Seconds between two lines."""


class Meter:
    """Counts rows and says now and then how far it is; one line that changes where that is a terminal."""

    def __init__(self, name: str, say: Callable[[str], None] | None = None) -> None:
        """`say` takes each line; None is standard error."""
        self.name, self.rows, self.share = name, 0, 0.0
        self._say = say or self._print
        self._began = self._told = time.monotonic()
        self._kept = 0
        self._from = 0.0
        self._tty = say is None and sys.stderr.isatty()

    def done(self, rows: int, share: float) -> None:
        """Take note of a finished chunk; `share` is how much of the input was read, 0 if unknown."""
        self.rows += rows
        self.share = share
        self.within(0)

    def skip(self, rows: int, share: float) -> None:
        """Take note of a chunk that was finished before; it does not count as speed."""
        self._kept += rows
        self._from = self.share = share
        self.rows += rows
        self._began = time.monotonic()

    def within(self, more: int) -> None:
        """Take note of rows within a chunk, and speak if it is time to."""
        now = time.monotonic()
        if now - self._told < (0.5 if self._tty else PAUSE):
            return
        self._told = now
        self._say(self.line(self.rows + more, now))

    def line(self, rows: int, now: float) -> str:
        """Return how far it is."""
        seconds = max(now - self._began, 1e-9)
        rate = (rows - self._kept) / seconds
        said = f"{self.name}: {rows:,} rows, {rate:,.{0 if rate >= 10 else 1}f} rows/s"
        finished = self.share - self._from
        if finished > 0 and rows > self._kept:
            # Only whole chunks say how long a row is; the rows since are taken to be as long.
            whole = finished * (rows - self._kept) / max(self.rows - self._kept, 1)
            left = max(0.0, 1 - self._from - whole) / whole * seconds
            said += f", {duration(left)} left"
        return said

    def end(self) -> None:
        """Leave the terminal on a new line."""
        if self._tty:
            print(file=sys.stderr)

    def _print(self, text: str) -> None:
        print(f"\r{text}\033[K" if self._tty else f"{text}\n", end="", file=sys.stderr, flush=True)
