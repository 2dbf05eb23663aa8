"""What the server takes at once from one client and from all. Imports nothing heavy."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from gsa.errors import InputError, suggest


@dataclass(frozen=True)
class Limits:
    """Bounds that an operator may change; the sizes of texts and lists are fixed in `schemas`."""

    body: int = 256 * 1024
    """Bytes of a JSON body (413)."""
    connections: int = 512
    """Open connections; requests on a few more get 503, unless they ask for the server's health, and any
    beyond those are closed."""
    timeout: int = 60
    """Seconds for a body or an upload to arrive (408), and for a head (the connection is closed)."""
    waiting: int = 1_024
    """Queries, that is labels to predict, in the queue (429), half of them of one client at most; more in
    one request is 422."""
    waiting_bytes: int = 1_000_000
    """Bytes to read in the queue (429), the label list counted once a query; more in one request is 422."""
    batch: int = 128
    """Queries of one call of the model; a conversation of more turns takes several calls."""
    batch_bytes: int = 40_000
    """Bytes that one call reads, unless one turn alone has more."""
    upload: int = 16 * 2**20
    """Bytes of a file sent to the web page (413)."""
    storage: int = 512 * 2**20
    """Bytes of the web page's files on disk, uploaded and labelled; each is deleted after an hour (429)."""
    drain: int = 60
    """Seconds that a stop waits for unanswered requests (503)."""

    @classmethod
    def parse(cls, settings: Sequence[str]) -> Self:
        """Return limits with some replaced, each ``NAME=NUMBER``; raises InputError for anything else."""
        names = [field.name for field in fields(cls)]
        values: dict[str, Any] = {}
        for setting in settings:
            name, _, number = setting.partition("=")
            if name not in names:
                near = suggest(name, names)
                raise InputError(f"limit '{name}': unknown{near}: expected one of {sorted(names)}")
            if not number.isdecimal() or not 0 < int(number[:13]) < 10**12:
                raise InputError(f"limit '{name}': expected a whole number above 0, found '{number}'")
            values[name] = int(number)
        return cls(**values)
