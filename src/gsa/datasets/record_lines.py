"""Lines of users' text files: in any encoding, compressed by gzip or not, in constant memory."""

import codecs
import gzip
import io
import logging
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gsa.datasets.json_array import ElementLines, is_array
from gsa.errors import InputError

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 4 * 2**20
"""Bytes of a line, or characters of a field of a table, beyond which a row is rejected."""
MAX_BLANK_BYTES = 2**30
"""Bytes of blank lines in a row beyond which a file is refused; a few kilobytes of gzip unpack to them."""
BLANKS = b" \t\r\n\v\f"
EXCERPT = 1000
"""Characters of a malformed line that its Rejected keeps."""
SCANNED_BYTES = 64 * 2**20
"""Bytes at the start of a file that tell its encoding."""
TOO_LONG = "\0\n"
"""Stands for a line that is too long; no format takes a NUL."""
GZIP = b"\x1f\x8b"
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark its own begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks and the encodings that they begin."""
LONE_RETURN = re.compile(rb"\r[^\r\n]")
"""The end of a line in files of old programs for the Macintosh, and in Excel's "CSV (Macintosh)"."""
NOT_ASCII = re.compile("[^\0-\x7f\udc80-\udcff]")
UNDECODED = re.compile("[\udc80-\udcff]")
"""A byte that is not UTF-8, as `surrogateescape` decodes it."""


class LineReader:
    """Iterates over the lines of a byte stream; yields None for a line that is too long.

    Lines end with a line feed; where the first one ends with a carriage return alone, so may all others.
    """

    def __init__(self, stream: BinaryIO, location: str, encoding: str = "") -> None:
        """Read bytes that may be compressed; `location` begins the messages of errors.

        Without an `encoding` that of the byte order mark is taken, or UTF-8. Raises InputError for an unknown
        encoding.
        """
        self.location = location
        self.number = 0
        """Of the line that was read last."""
        self.array: ElementLines | None = None
        """The JSON array whose elements are read as lines, if the stream is one."""
        self.blank_lines = 0
        """How many were skipped."""
        self._position = 0
        stream = self._file = _peekable(stream)
        compressed = stream.peek(2)[:2] == GZIP  # type: ignore[attr-defined]
        if compressed:
            stream = _peekable(gzip.GzipFile(fileobj=stream))  # type: ignore[arg-type]
        with self._damage_named():
            head = stream.peek(4)  # type: ignore[attr-defined]
        mark = next((mark for mark in MARKS if head.startswith(mark)), b"")
        self.encoding = checked_encoding(encoding, "--encoding") or MARKS.get(mark, "utf-8")
        """Of the file."""
        self._line_encoding = self.encoding
        if "a\n".encode(self.encoding)[-2:] != b"a\n":  # a line feed is not one byte, as in UTF-16
            stream = io.BufferedReader(_Transcoder(stream, self.encoding))  # type: ignore[assignment,type-var]
            self._line_encoding = "utf-8"
        self._stream: BinaryIO = stream

    @property
    def unit(self) -> str:
        """What `number` counts, in a word for messages."""
        return "element" if self.array else "line"

    def split_array(self) -> None:
        """Read a JSON array of objects or texts, where the stream is one, by its elements: each is a line."""
        with self._damage_named():
            head = self._stream.peek(1)  # type: ignore[attr-defined]
        if is_array(head):
            self.array = ElementLines(self._stream)
            self._stream = io.BufferedReader(self.array)  # type: ignore[assignment,type-var]

    def position(self) -> int:
        """Return how many bytes of the file were read; of a compressed stream 0."""
        return self._position

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._file.close()

    def __iter__(self) -> Iterator[bytes | None]:
        try:
            while line := self._read():
                self.number += 1
                if self.number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
                    yield line
                    continue
                while line and not line.endswith(b"\n"):
                    line = self._read()
                yield None
        finally:
            self.close()

    def skip_blank(self, blanks: bytes = BLANKS) -> None:
        """Count the current line as blank, and skip those of nothing but `blanks` after it by the block.

        Raises InputError for more than MAX_BLANK_BYTES of them.
        """
        first, skipped = self.number, 0
        self.blank_lines += 1
        while True:
            with self._damage_named():
                block = self._stream.peek(1)  # type: ignore[attr-defined]
            end = block.rfind(b"\n", 0, len(block) - len(block.lstrip(blanks))) + 1
            if not end:
                return
            lines = block.count(b"\n", 0, end)
            self.number += lines
            self.blank_lines += lines
            self._advance(len(self._stream.read(end)))
            skipped += end
            if skipped > MAX_BLANK_BYTES:
                raise InputError(
                    f"{self.location} line {first}: expected at most {MAX_BLANK_BYTES:,} bytes of blank "
                    "lines in a row, found more"
                )

    def _read(self) -> bytes:
        with self._damage_named():
            line = self._stream.readline(MAX_LINE_BYTES)
            if self.number == 0 and LONE_RETURN.search(line):
                raw = _LineFeeds(line, self._stream)
                self._stream = io.BufferedReader(raw)  # type: ignore[assignment,type-var]
                line = self._stream.readline(MAX_LINE_BYTES)
        self._advance(len(line))
        return line

    def _advance(self, size: int) -> None:
        if self._stream is self._file:
            self._position += size
        elif self._file.seekable():
            self._position = self._file.tell()

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Turn the errors of damaged compressed or encoded bytes into an InputError."""
        location = f"{self.location} line {self.number + 1}"
        try:
            yield
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{location}: expected whole gzip data, found an error: {error}") from None
        except UnicodeError as error:
            raise InputError(f"{location}: expected another --encoding, found an error: {error}") from None

    def decode(self, line: bytes) -> str:
        """Return a line as text; what cannot be decoded becomes characters that `unreadable` finds."""
        return line.decode(self._line_encoding, "surrogateescape")

    def text(self) -> Iterator[str]:
        """Yield lines as text, TOO_LONG for one that is."""
        for line in self:
            yield TOO_LONG if line is None else self.decode(line)


class _Transcoder(io.RawIOBase):
    """A byte stream in any encoding as UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._text = io.TextIOWrapper(stream, encoding, newline="")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._rest = self._rest or self._text.read(8192).encode("utf-8", "replace")
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


class _LineFeeds(io.RawIOBase):
    """A byte stream whose lines may end with a carriage return alone, each line end as a line feed."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        """Read `head`, then the rest of the stream."""
        self._head, self._stream = io.BytesIO(head), stream
        self._decoder = io.IncrementalNewlineDecoder(
            codecs.getincrementaldecoder("latin-1")(), translate=True
        )
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            block = self._head.read(8192) or self._stream.read1(8192)  # type: ignore[attr-defined]
            self._rest = self._decoder.decode(block, final=not block).encode("latin-1")
            if not block:
                break
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _peekable(stream: BinaryIO) -> BinaryIO:
    return stream if hasattr(stream, "peek") else io.BufferedReader(stream)  # type: ignore[type-var,return-value]


def checked_encoding(name: str, option: str) -> str:
    """Return the name of a text encoding; raises InputError for an unknown one, named by `option`."""
    try:
        "a".encode(name or "utf-8").decode(name or "utf-8")
    except (LookupError, UnicodeError):
        raise InputError(f"{option} '{name}': expected an encoding such as utf-8, cp1252, utf-16") from None
    return name


def is_gzip(path: Path) -> bool:
    """Return whether a file is compressed by gzip, whatever its suffix."""
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def find_encoding(path: Path) -> str:
    """Return `cp1252` for a text file that is Windows-1252 rather than UTF-8, otherwise an empty text.

    It is Windows-1252 if some bytes are not UTF-8, all of them are characters of Windows-1252, and no
    sequence of them is a character of UTF-8: a file in UTF-8 with a damaged row keeps its encoding.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    first, line, feeds, returns = "", 0, 0, 0
    for number, block in enumerate(_blocks(path)):
        if number == 0 and any(block.startswith(mark) for mark in MARKS):
            return ""
        text = decoder.decode(block, final=not block)
        undecoded = set(UNDECODED.findall(text))
        if NOT_ASCII.search(text) or any(_cp1252(character) == "\ufffd" for character in undecoded):
            return ""
        if not first and (match := UNDECODED.search(text)):
            before = text[: match.start()]
            first, line = match[0], 1 + max(feeds + before.count("\n"), returns + before.count("\r"))
        feeds, returns = feeds + text.count("\n"), returns + text.count("\r")
    if not first:
        return ""
    logger.info(
        "%s: not UTF-8, read as cp1252 ('%s' in line %d); --encoding names another one",
        path, _cp1252(first), line,
    )  # fmt: skip
    return "cp1252"


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the beginning of a file, uncompressed, and an empty block at its end."""
    with path.open("rb") as file:
        stream = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == GZIP else file
        for _ in range(SCANNED_BYTES // 2**16):
            try:
                block = stream.read(2**16)
            except (EOFError, OSError, zlib.error):
                return  # reported with its line where the file is read
            yield block
            if not block:
                return


def _cp1252(character: str) -> str:
    return bytes([ord(character) - 0xDC00]).decode("cp1252", "replace")
