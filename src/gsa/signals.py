"""Stopping when asked: signals in, one exception out, raised where nothing is lost.

SIGINT (Ctrl-C), SIGTERM and SIGHUP raise Stopped at once, or, while `Stop.deferred` is set, leave a note that
the work under way reads when its step ends; a second signal never waits.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(BaseException):
    """Asked to stop; whatever is stored is valid."""

    def __init__(self, signum: int, kept: str = "") -> None:
        """`signum` says by which signal, `kept` what a user should know of the work."""
        self.signum = signum
        super().__init__(f"stopped by {signal.Signals(signum).name}" + (f": {kept}" if kept else ""))


class Stop:
    """Whether somebody asked to stop."""

    signum = 0
    """The signal's number, 0 for none."""
    deferred = False
    """Whether the work under way asks for `signum` itself at the end of its step."""


@contextmanager
def handle_signals() -> Iterator[Stop]:
    """Turn signals into Stopped while the block runs; only the main thread can, elsewhere none come."""
    stop = Stop()

    def note(signum: int, frame: FrameType | None) -> None:
        if not stop.deferred or stop.signum:
            raise Stopped(signum)
        stop.signum = signum
        os.write(2, b"gsa: stopping when this step is done; once more stops at once\n")

    before = {}
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup leaves it
                before[signum] = signal.signal(signum, note)
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
