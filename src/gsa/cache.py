"""The cache in the user's home: its folder, and what was proven once.

    verified.json   by key: the checksum of a file by its path, size and time stamps, and others' proofs

An entry belongs to what it was proven of: a file that was written to since has another key. Without a
writable cache everything is proven anew.
"""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gsa.atomic_io import write_atomic
from gsa.checksums import sha256

MAX_ENTRIES = 512
"""Of verified.json; the oldest are dropped."""


def cache_folder() -> Path:
    """Return the folder of what is made once and kept: ``GSA_CACHE``, else ~/.cache/gsa."""
    return Path(os.environ.get("GSA_CACHE") or Path.home() / ".cache" / "gsa")


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file: the one kept, if size, time stamps and inode are as they were then."""
    status = path.stat()
    stamp = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    return remember(f"file {path.resolve()} {stamp}", lambda: sha256(path))


def recall(key: str) -> str:
    """Return what is kept under a key, empty for nothing."""
    return _read().get(key, "")


def remember(key: str, prove: Callable[[], str]) -> str:
    """Return what is kept under a key, or else what `prove` returns, which is kept from then on."""
    kept = recall(key)
    if kept:
        return kept
    value = prove()
    newest = dict(list({**_read(), key: value}.items())[-MAX_ENTRIES:])
    with contextlib.suppress(OSError):
        write_atomic(_file(), json.dumps(newest, indent=0) + "\n")
    return value


def _file() -> Path:
    return cache_folder() / "verified.json"


def _read() -> dict[str, str]:
    """Return all entries; none where the file is missing or damaged."""
    try:
        content: Any = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
