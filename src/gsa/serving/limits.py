"""What one client may ask of the server, and all of them together. Imports nothing heavy."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from gsa.errors import InputError, suggest


@dataclass(frozen=True)
class Limits:
    """Bounds on requests; what is beyond is refused with 413, 422 or 429, never tried."""

    body: int = 256 * 1024
    """Bytes of a request's body (413). It also bounds the work of one request: some 65,000 tokens."""
    items: int = 128
    """Texts or conversations of one request (422)."""
    turns: int = 256
    """Turns of a conversation (422)."""
    text: int = 8_000
    """Letters of a text, a turn or a speaker (422); a prompt of 1,024 tokens holds about half of that."""
    labels: int = 64
    """Labels of a list that a client brings (422)."""
    label: int = 100
    """Letters of a label or of a task's name (422)."""
    instruction: int = 1_000
    """Letters of an instruction (422)."""
    waiting: int = 1_024
    """Queries, that is labels to find, of all clients that wait (429), half of them of one client at most;
    more in one request is 422."""
    waiting_bytes: int = 1_000_000
    """Bytes to read that wait (429), the label lists counted once a query; more in one request is 422."""
    batch: int = 128
    """Queries that one call of the model answers: what a newcomer waits for at most, unless one
    conversation alone has more turns."""
    batch_bytes: int = 40_000
    """Bytes that one call reads, unless one conversation alone has more."""
    seconds: float = 20.0
    """Time for a body to arrive (408)."""
    upload: int = 16 * 2**20
    """Bytes of a file that the web page takes (413)."""
    upload_seconds: float = 120.0
    """Time for such a file to arrive (408)."""
    kept: int = 512 * 2**20
    """Bytes of the page's files on disk, uploaded and labelled; each goes after an hour (429)."""
    labelling: int = 2
    """Files that the page labels at a time; further ones wait their turn."""
    drain: float = 60.0
    """Seconds that a stop waits for what is queued."""

    @classmethod
    def of(cls, settings: Sequence[str]) -> Self:
        """Return limits with some replaced, each ``NAME=NUMBER``; raises InputError for anything else."""
        known: dict[str, Any] = {each.name: type(each.default) for each in fields(cls)}
        found = {}
        for setting in settings:
            name, _, number = setting.partition("=")
            if name not in known:
                near = suggest(name, known)
                raise InputError(f"limit '{name}': unknown{near}: expected one of {sorted(known)}")
            try:
                found[name] = known[name](number)
            except ValueError:
                found[name] = 0
            if not 0 < found[name] < 1e12:
                raise InputError(f"limit '{name}': expected a number greater than 0, found '{number}'")
        return cls(**found)
