"""One process at a time on a run: a lock that ends with its process, however that ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gsa.atomic_io import make_folder
from gsa.errors import InputError


class BusyError(InputError):
    """Another process is at work there."""


@contextmanager
def folder_lock(root: Path, work: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder for a kind of work, making the folder if need be.

    Waits for another process that holds it, or raises BusyError. The lock's file is removed at the end;
    the one that a killed process leaves locks nothing. A folder that stays empty is removed too.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"'{root}' is no folder: expected that of a run, or none yet")
    make_folder(root)
    lock = FileLock(root / f".{work}.lock")
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        raise BusyError(
            f"'{root}': another process is at work on this run (gsa {work}): expected one at a time, "
            "wait for it or use another --out"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink()  # while it is held, so that nobody else's goes
        lock.release()
        with suppress(OSError):
            root.rmdir()  # only an empty one goes
