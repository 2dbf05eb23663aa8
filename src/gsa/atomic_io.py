"""Files that are complete or absent: written under a temporary name, flushed to disk, then renamed."""

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gsa.errors import InputError

TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-\d+\.part")
"""Temporary names: the final name, the id of the writing process, and a counter."""
_counter = itertools.count()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace a file's content in one step; readers see the old or the new content, never a part of it."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or folder to; it is renamed to `path` if the block ends without an error.

    Several processes and threads may write the same file; the last one wins. What a process that no longer
    runs left behind is removed. An OSError without a file name, such as that of a full disk, gets
    `path` as its file name. Raises InputError if `path` is the current directory or contains it, because a
    folder is replaced as a whole.
    """
    if Path.cwd().is_relative_to(path.resolve()):
        raise InputError(f"'{path}' is or contains the current directory: expected a new or another folder")
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_counter)}.part")
    try:
        make_folder(path.parent)
        _remove_stale(path)
        try:
            yield temporary
            for file in [*temporary.rglob("*"), temporary] if temporary.is_dir() else [temporary]:
                if file != temporary and file.is_file() and not file.is_symlink():
                    _share(file, temporary)
                fsync(file)
            if path.is_dir():
                remove_tree(path)
            temporary.replace(path)
            fsync(path.parent)
        finally:
            remove_tree(temporary)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _share(file: Path, folder: Path) -> None:
    """Give a file the permissions of the folder it is in, as safetensors writes for the owner alone."""
    mode = file.stat().st_mode
    shared = mode | (folder.stat().st_mode & 0o666)
    if shared != mode:
        file.chmod(shared)


def is_temporary(path: Path) -> bool:
    """Return whether a path has a name that `atomic_path` gives to unfinished files."""
    return TEMPORARY.fullmatch(path.name) is not None


def _remove_stale(path: Path) -> None:
    """Remove temporary files for `path` whose process no longer runs."""
    with os.scandir(path.parent) as entries:
        matches = [TEMPORARY.fullmatch(entry.name) for entry in entries]
    for match in matches:
        if match and match["name"] == path.name and not _is_running(int(match["pid"])):
            remove_tree(path.with_name(match[0]))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's process, or no process id at all
        return True
    return True


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
    """Remove a file, a symbolic link, or a folder and its content, if it exists; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove_tree(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, and flush their names to disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync(folder.parent)
