"""Files that are whole or not there: written aside, flushed to disk, renamed (DESIGN: runs survive)."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sha256(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, content: str | bytes) -> None:
    """Replace a file's content in one step; readers see the old or the new, never half of it."""
    data = content.encode() if isinstance(content, str) else content
    with aside(path) as draft:
        draft.write_bytes(data)


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or folder to; it becomes `path` only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    _remove(draft)
    try:
        yield draft
        for file in [*draft.rglob("*"), draft] if draft.is_dir() else [draft]:
            flush(file)
        if path.is_dir():
            _remove(path)
        draft.replace(path)
        flush(path.parent)
    finally:
        _remove(draft)


def flush(path: Path) -> None:
    """Wait until a file or folder is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            _remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
