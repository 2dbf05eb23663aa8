"""The run's log: one JSON line per step, each step once, whenever the process was killed.

The file is for reading. At every start it is written again from copies that are checked: a finished level's
lines are in its link, those of the level under way in its checkpoint.
"""

import json
from pathlib import Path
from typing import Any

from gsa.atomic_io import write_atomic


class StepLog:
    """The log of a run while one level is tuned."""

    def __init__(self, path: Path, before: str, number: int, name: str) -> None:
        """`before` holds the lines of the levels before level `number`, called `name`."""
        self.path, self.before, self.number, self.name = path, before, number, name
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        """The level's lines."""
        return "".join(self.lines)

    def rewind(self, lines: str) -> int:
        """Go back to `lines` of this level; return how many later steps the file had."""
        logged = _steps(self.path, self.number)
        self.lines = lines.splitlines(keepends=True)
        write_atomic(self.path, self.before + lines)
        return max(0, logged - len(self.lines))

    def add(self, entry: dict[str, Any]) -> None:
        """Append a step."""
        self.lines.append(json.dumps({"level": self.number, "name": self.name, **entry}) + "\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self.lines[-1])


def _steps(log: Path, level: int) -> int:
    """Return how many steps of a level a log has; damaged lines are passed over."""
    steps = set()
    for line in log.read_bytes().splitlines() if log.is_file() else []:
        try:
            entry = json.loads(line)
            if entry["level"] == level:
                steps.add(int(entry["step"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return len(steps)
