"""One process at a time in a folder: a lock that ends with its process, however that ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gsa.atomic_io import make_folder
from gsa.errors import InputError


class BusyError(InputError):
    """Another process holds the lock."""


@contextmanager
def folder_lock(root: Path, command: str, wait: bool = False) -> Iterator[None]:
    """Hold a folder's lock for a command, `.COMMAND.lock`; the folder is made if it does not exist.

    Waits for another process that holds the lock, or raises BusyError. The lock file is removed at the end,
    and so is a folder that is empty then. The lock file of a killed process locks nothing.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"'{root}' is not a folder: expected a run folder or a new one")
    make_folder(root)
    lock = FileLock(root / f".{command}.lock")
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        raise BusyError(
            f"'{root}': another process is working in this folder (gsa {command}): wait for it, or use "
            "another --out"
        ) from None
    try:
        yield
    finally:
        # A process that waits for the removed file starts over: filelock checks that the file it locked still
        # has a name (since 3.21).
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()
        with suppress(OSError):
            root.rmdir()  # fails unless the folder is empty
