"""Checksums, two kinds: `SHA256SUMS` for the files of a folder, and a key `sha256` in a JSON file.

A folder's checksums are written last, so a folder without them is incomplete. A JSON file that is replaced
as a whole carries the checksum of its own content.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

SUMS = "SHA256SUMS"
"""Name of a folder's checksums, in the format that `sha256sum --check` reads."""
KEY = "sha256"


def sha256(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the checksums of some files of a folder by name."""
    return {name: sha256(folder / name) for name in names}


def verify(folder: Path, expected: Mapping[str, str], checksum_of: Callable[[Path], str] = sha256) -> None:
    """Raise ValueError unless every file is there, is no symbolic link, and has its checksum."""
    for name, checksum in expected.items():
        file = folder / name
        if file.is_symlink() or not file.is_file():
            raise ValueError(f"'{file}' is missing")
        if checksum_of(file) != checksum:
            raise ValueError(f"'{file}' is damaged: its checksum differs")


def format_sums(sums: Mapping[str, str]) -> str:
    """Return the text of a `SHA256SUMS` file."""
    return "".join(f"{checksum}  {name}\n" for name, checksum in sorted(sums.items()))


def read_sums(folder: Path) -> dict[str, str]:
    """Return a folder's checksums by file name, empty if they are missing; malformed lines are left out."""
    try:
        text = (folder / SUMS).read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    lines = (line.partition("  ") for line in text.split("\n"))
    return {name: checksum for checksum, separator, name in lines if separator}


def to_checked_json(content: Mapping[str, Any], indent: int | None = 2) -> str:
    """Return a JSON object as text that carries the checksum of its content; `indent` None is one line."""
    return json.dumps({**content, KEY: _digest(content)}, indent=indent) + "\n"


def from_checked_json(text: str) -> dict[str, Any]:
    """Return the object of such a text, without the checksum.

    Raises ValueError for text that is no JSON object, has no checksum, or has that of other content.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, found {type(content).__name__}")
    if content.pop(KEY, None) != _digest(content):
        raise ValueError("its checksum differs: it was damaged or changed by hand")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
