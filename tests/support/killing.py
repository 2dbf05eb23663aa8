"""Child processes that die on purpose: at the n-th file boundary, at a moment, or with the power.

A child is forked from a process that has torch in memory, so a hundred deaths take a minute. In the child
the calls that change files are counted, before and after each one and in the middle of each write; at
boundary `die_at` the child kills itself. With `power`, whatever was written and not flushed by then is
emptied first, as a file system that keeps a rename and loses the data leaves it.
"""

import builtins
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], None]
LONGEST = 100
"""Seconds after which a child that hangs is killed."""


class Child:
    """A forked process that does some work; what it writes to stdout and stderr is kept."""

    def __init__(self, work: Work, boundaries: "Boundaries | None" = None) -> None:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside idle threads
            self.pid = os.fork()
        if self.pid:
            os.close(writing)
            self.pipe = reading
            return
        code = 1
        try:
            os.close(reading)
            signal.alarm(LONGEST)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore them
            for signum in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(signum, signal.SIG_DFL)
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            sys.stdout = sys.stderr = open(writing, "w", buffering=1)  # noqa: SIM115
            if boundaries:
                boundaries.hook()
            work()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        except BaseException as error:
            print(f"escaped: {type(error).__name__}: {error}")
        finally:
            if boundaries:
                print(f"boundaries: {boundaries.seen}")
            os._exit(code)

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Send a signal; a child that has ended already is left alone."""
        os.kill(self.pid, signum)

    def end(self) -> tuple[int, str]:
        """Wait; return the exit code, or minus the signal that ended it, and all that it said."""
        said = b""
        while piece := os.read(self.pipe, 1 << 16):
            said += piece
        os.close(self.pipe)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


class Boundaries:
    """Counts the boundaries below a folder, knows what is not flushed, and kills at the chosen one."""

    def __init__(self, root: Path, die_at: int = 0, power: bool = False) -> None:
        self.root, self.die_at, self.power = os.path.realpath(root), die_at, power
        self.seen = 0
        self.unflushed: set[tuple[int, int]] = set()

    def mine(self, path: Any) -> bool:
        return isinstance(path, str | Path) and f"{os.path.abspath(path)}/".startswith(f"{self.root}/")

    def boundary(self) -> None:
        self.seen += 1
        if self.seen == self.die_at:
            if self.power:
                self.lose()
            os.kill(os.getpid(), signal.SIGKILL)

    def made(self, status: os.stat_result) -> None:
        """Take note of a new file or folder, of which nothing is on disk."""

    def flushed(self, handle: int) -> None:
        """Take note that an open file or folder is on disk."""
        self.unflushed.discard(inode(os.fstat(handle)))

    def lose(self) -> None:
        """Empty every file whose content was not flushed, whatever it is called now."""
        for folder, _, names in os.walk(self.root):
            for path in (os.path.join(folder, name) for name in names):
                if inode(os.lstat(path)) in self.unflushed:
                    os.truncate(path, 0)

    def hook(self) -> None:
        """Put the boundaries around this process's calls, for good."""
        really, making = io.open, os.mkdir

        def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not set(mode) & set("wax+") or not self.mine(file):
                return really(file, mode, *args, **kwargs)
            self.boundary()
            new = not os.path.lexists(file)
            handle = really(file, mode, *args, **kwargs)
            if new:
                self.made(os.fstat(handle.fileno()))
            self.unflushed.add(inode(os.fstat(handle.fileno())))
            self.boundary()
            return _Halved(handle, self.boundary)

        def flushed(handle: int, really: Any = os.fsync) -> None:
            self.boundary()
            really(handle)
            self.flushed(handle)
            self.boundary()

        def around(really: Any, which: int = 0) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                if not self.mine(args[which]):
                    return really(*args, **kwargs)
                self.boundary()
                found = really(*args, **kwargs)
                if really is making:
                    self.made(os.stat(args[which]))
                self.boundary()
                return found

            return call

        builtins.open = io.open = opened
        os.fsync = flushed
        os.replace, os.unlink = around(os.replace, 1), around(os.unlink)
        os.rmdir, os.mkdir = around(os.rmdir), around(os.mkdir)


def inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class _Halved:
    """A file each of whose writes is two, with a boundary between and after."""

    def __init__(self, handle: Any, boundary: Work) -> None:
        self._handle, self._boundary = handle, boundary

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)

    def __enter__(self) -> "_Halved":
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def write(self, data: Any) -> int:
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            self._handle.write(part)
            self._handle.flush()
            self._boundary()
        return len(data)
