"""A JSON array as JSON lines: one element a line, in constant memory."""

import codecs
import io
import re
from typing import BinaryIO

BLOCK = 2**16
BEGINNING = re.compile(rb"\s*\[\s*(?:[{\"]|$)")
"""Of a file that is one array of objects or texts."""
MARKERS = re.compile(rb'\\[^\r\n]|["\[\]{},\r\n]')
"""An escape, and whatever begins or ends a text, an element or a line."""


def is_array(head: bytes) -> bool:
    """Return whether a file with these first bytes is one array of objects or texts."""
    return bool(BEGINNING.match(head.removeprefix(codecs.BOM_UTF8)))


class ElementLines(io.RawIOBase):
    """A byte stream that holds one JSON array, each element of it as a line.

    Line ends within become blanks, and an element that is no JSON is a line that is none: if its quotes or
    brackets do not pair, together with what follows it. Lines after the array stay as they are.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Read a stream that `is_array` is true of."""
        self._stream = stream
        self._depth = 0
        """Brackets that are open."""
        self._in_text = False
        self.has_ended = False
        """Whether the array's last bracket was read."""
        self._rest = b""
        self._held = b""
        """A backslash at the end of a block, whose escape ends in the next."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with the next bytes of the lines and return their number, 0 at the end."""
        while not self._rest:
            block = self._stream.read1(BLOCK)  # type: ignore[attr-defined]
            data = self._held + block
            backslashes = len(data) - len(data.rstrip(b"\\"))
            self._held = b"\\" if block and backslashes % 2 else b""
            self._rest = MARKERS.sub(self._replace, data.removesuffix(self._held))
            if not block:
                break
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def _replace(self, match: re.Match[bytes]) -> bytes:
        """Return what takes a marker's place: only the array's own brackets and commas end lines."""
        marker = match[0]
        if self.has_ended:
            return marker
        if marker in b"\r\n":
            return b" "
        if self._in_text:
            self._in_text = marker != b'"'
        elif marker == b'"':
            self._in_text = True
        elif marker in b"[{":
            self._depth += 1
            return marker if self._depth > 1 else b""
        elif marker in b"]}":
            self._depth -= 1
            self.has_ended = self._depth < 1
            return b"" if self.has_ended else marker
        elif marker == b"," and self._depth == 1:
            return b"\n"
        return marker
