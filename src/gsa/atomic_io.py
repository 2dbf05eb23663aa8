"""Files that are whole or not there: written atomic_path, flushed to disk, renamed (DESIGN: runs survive).

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


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace a file's content in one step; readers see the old or the new, never half of it."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as draft:
        draft.write_bytes(data)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or folder to; it becomes `path` only when the block ends well.

    An OSError without a name, such as that of a full disk, is given the name of `path`.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        make_folder(path.parent)
        remove_tree(draft)
        try:
            yield draft
            for file in [*draft.rglob("*"), draft] if draft.is_dir() else [draft]:
                fsync(file)
            if path.is_dir():
                remove_tree(path)
            draft.replace(path)
            fsync(path.parent)
        finally:
            remove_tree(draft)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def fsync(path: Path) -> None:
    """Wait until a file or folder is on disk; an OSError has its name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(handle)


def remove_tree(path: Path) -> None:
    """Remove a file, a link, or a folder with all it holds; nothing there is fine. Links are not followed."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove_tree(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def to_checked_json(content: Mapping[str, Any]) -> str:
    """Return a JSON object as text, with the checksum of its content as one more key."""
    return json.dumps({**content, SEAL: _digest(content)}, indent=2) + "\n"


def from_checked_json(text: str) -> dict[str, Any]:
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


def with_checksum_line(text: str) -> str:
    """Return a text whose last line, a comment in TOML, holds the checksum of the lines above it."""
    return f"{text}# {SEAL} {hashlib.sha256(text.encode()).hexdigest()}\n"


def without_checksum_line(text: str) -> str:
    """Return the text that `signed` was given; raises ValueError where it is not that to the letter."""
    above, mark, found = text.rpartition(f"# {SEAL} ")
    if not mark:
        raise ValueError("its last line holds no checksum: it was cut short or changed by hand")
    if found.strip() != hashlib.sha256(above.encode()).hexdigest():
        raise ValueError("its checksum differs: it was damaged or changed by hand")
    return above


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each one's name flushed to disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync(folder.parent)
