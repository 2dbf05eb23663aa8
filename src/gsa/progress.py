"""Progress of long work: a bar with rate and time left on a terminal, a log line now and then elsewhere.

Everything goes to standard error through the logger `gsa`, so `--quiet`, or a level above INFO, silences it.
A program that imports gsa sees nothing unless it configures logging.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

logger = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two log lines where there is no terminal."""


class ConsoleHandler(logging.Handler):
    """Prints log messages to standard error, above a progress bar where one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message, warnings and errors with their level."""
        message = self.format(record)
        if record.levelno >= logging.WARNING:
            message = f"{record.levelname.lower()}: {message}"
        _console().print(message, markup=False, highlight=False, soft_wrap=True)


def configure_logging(quiet: bool = False) -> None:
    """Send gsa's messages to standard error: all of them, or with `quiet` warnings and errors alone."""
    root = logging.getLogger("gsa")
    root.handlers = [ConsoleHandler()]
    root.propagate = False
    root.setLevel(logging.WARNING if quiet else logging.INFO)


@contextmanager
def show_progress(shown: bool = True) -> Iterator[None]:
    """Print messages and progress while the block runs, unless the program configured logging itself."""
    root = logging.getLogger("gsa")
    before = root.handlers, root.propagate, root.level
    if shown and not root.hasHandlers():
        configure_logging()
    try:
        yield
    finally:
        root.handlers, root.propagate = before[:2]
        root.setLevel(before[2])


class Progress:
    """Counts work done; a context manager that shows a bar on a terminal and logs lines elsewhere."""

    def __init__(
        self, description: str, total: float | None = None, unit: str = "rows", disable: bool = False
    ) -> None:
        """`total` is the amount of work in `unit`, None where it is unknown; it may be corrected later.

        With `disable` nothing is shown or logged: `line` returns the state.
        """
        self.description, self.total, self.unit, self.disable = description, total, unit, disable
        self.completed = 0.0
        self._resumed_from = 0.0
        self._bar: RichProgress | None = None
        self._started = self._logged = time.monotonic()

    def __enter__(self) -> Self:
        """Show the bar where standard error is a terminal and messages are wanted."""
        self._started = self._logged = time.monotonic()
        console = _console()
        if console.is_terminal and logger.isEnabledFor(logging.INFO) and not self.disable:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(self.unit),
                       TimeRemainingColumn(), TextColumn("{task.fields[detail]}"))  # fmt: skip
            self._bar = RichProgress(*columns, console=console)
            self._bar.add_task(self.description, total=self.total, detail="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the bar; its last state stays on the screen."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def resume(self, amount: float) -> None:
        """Count work that an earlier call finished; it does not count as speed."""
        self.completed += amount
        self._resumed_from += amount
        self._started = time.monotonic()
        if self._bar:
            self._bar.reset(self._bar.task_ids[0], total=self.total, completed=int(self.completed))

    def advance(self, amount: float = 1, detail: str = "") -> None:
        """Count finished work; `detail` is shown behind the rate, such as a loss."""
        self.update(self.completed + amount, detail)

    def update(self, completed: float, detail: str = "") -> None:
        """Set how much work is finished in all."""
        self.completed = completed
        if self._bar:
            bar = self._bar.task_ids[0]
            self._bar.update(bar, completed=int(completed), total=self.total, detail=detail)
            return
        now = time.monotonic()
        if not self.disable and (now - self._logged >= INTERVAL or completed == self.total):
            self._logged = now
            logger.info("%s", self.line(now, detail))

    def line(self, now: float | None = None, detail: str = "") -> str:
        """Return the state as one line: amount, rate, time left."""
        now = time.monotonic() if now is None else now
        rate = (self.completed - self._resumed_from) / max(now - self._started, 1e-9)
        total = "" if self.total is None else f"/{self.total:,.0f}"
        parts = [f"{self.description}: {self.completed:,.0f}{total} {self.unit}", _rate(rate, self.unit)]
        if self.total is not None and rate > 0 and self.completed < self.total:
            parts.append(f"{duration((self.total - self.completed) / rate)} left")
        return ", ".join([*parts, *([detail] if detail else [])])


class _Rate(ProgressColumn):
    """The rate of a rich bar, in units a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Return the rate, empty until it is known."""
        return Text(_rate(task.speed, self.unit) if task.speed else "")


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: `75 s`, `12 min`, `30 h`, `4 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} days"


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun: `1 row`, `1,234 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rate(rate: float, unit: str) -> str:
    return f"{rate:,.{0 if rate >= 10 else 1}f} {unit}/s"


def _console() -> Console:
    """Return the console of standard error; tests and notebooks replace that stream, so it is looked up."""
    if not _consoles or _consoles[-1].file is not sys.stderr:
        _consoles[:] = [Console(file=sys.stderr)]
    return _consoles[-1]


_consoles: list[Console] = []
