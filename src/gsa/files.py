"""Files that are whole or not there: written aside, flushed to disk, renamed (DESIGN: runs survive).

What is read back is checked: a JSON file carries the checksum of its own content (`sealed`, `unsealed`),
a text file that of the lines above its last one (`signed`, `unsigned`).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SEAL = "sha256"


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
    """Yield a path to write a file or folder to; it becomes `path` only when the block ends well.

    An OSError without a name, such as that of a full disk, is given the name of `path`.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        make(path.parent)
        remove(draft)
        try:
            yield draft
            for file in [*draft.rglob("*"), draft] if draft.is_dir() else [draft]:
                flush(file)
            if path.is_dir():
                remove(path)
            draft.replace(path)
            flush(path.parent)
        finally:
            remove(draft)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def flush(path: Path) -> None:
    """Wait until a file or folder is on disk; an OSError has its name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all it holds; nothing there is fine. Links are not followed."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def sealed(content: Mapping[str, Any]) -> str:
    """Return a JSON object as text, with the checksum of its content as one more key."""
    return json.dumps({**content, SEAL: _digest(content)}, indent=2) + "\n"


def unsealed(text: str) -> dict[str, Any]:
    """Return the object that `sealed` made text of; one without a checksum is taken as it is.

    Raises ValueError for what is no JSON object or has another checksum than it says.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, found {type(content).__name__}")
    if SEAL in content and content.pop(SEAL) != _digest(content):
        raise ValueError("its checksum differs: it was damaged or changed by hand")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def signed(text: str) -> str:
    """Return a text whose last line, a comment in TOML, holds the checksum of the lines above it."""
    return f"{text}# {SEAL} {hashlib.sha256(text.encode()).hexdigest()}\n"


def unsigned(text: str) -> str:
    """Return the text that `signed` was given; raises ValueError where it is not that to the letter."""
    above, mark, found = text.rpartition(f"# {SEAL} ")
    if not mark:
        raise ValueError("its last line holds no checksum: it was cut short or changed by hand")
    if found.strip() != hashlib.sha256(above.encode()).hexdigest():
        raise ValueError("its checksum differs: it was damaged or changed by hand")
    return above


def make(folder: Path) -> None:
    """Make a folder and those above it, each one's name flushed to disk."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True)
        flush(folder.parent)
