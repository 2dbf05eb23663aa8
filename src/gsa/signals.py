"""Signals that ask the program to stop, turned into one exception that is raised where nothing is lost.

SIGINT (Ctrl-C), SIGTERM and SIGHUP raise Stopped at once. While `Stop.deferred` is set they are only noted,
for the work to check when its step ends; a second signal raises at once. Under torchrun a second signal is
ignored: torchrun passes on the signal that all processes of a terminal have got already, or follows it with
SIGTERM, and kills after 30 seconds what still runs.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(BaseException):
    """A signal asked the program to stop; everything stored is valid."""

    def __init__(self, signum: int, kept: str = "") -> None:
        """`signum` is the signal's number, `kept` tells the user what was kept of the work."""
        self.signum = signum
        super().__init__(f"stopped by {signal.Signals(signum).name}" + (f": {kept}" if kept else ""))


class Stop:
    """Whether a signal has asked the program to stop."""

    signum = 0
    """The signal's number, 0 for none."""
    deferred = False
    """Whether signals are only noted, because the work checks `signum` at the end of its step."""


@contextmanager
def handle_signals() -> Iterator[Stop]:
    """Yield a Stop; signals raise Stopped while the block runs, unless it runs outside the main thread."""
    stop = Stop()
    launched = "TORCHELASTIC_RUN_ID" in os.environ  # by torchrun or `accelerate launch`

    def handler(signum: int, frame: FrameType | None) -> None:
        if stop.signum and launched:
            return
        again, stop.signum = stop.signum, signum
        if not stop.deferred or again:
            raise Stopped(signum)
        if os.environ.get("RANK", "0") == "0":
            more = "" if launched else "; another signal stops at once"
            os.write(2, f"gsa: stopping after this step{more}\n".encode())

    previous = {}
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            if signal.getsignal(signum) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                previous[signum] = signal.signal(signum, handler)
    try:
        yield stop
    finally:
        for signum, before in previous.items():
            if signal.getsignal(signum) is not signal.SIG_IGN:
                signal.signal(signum, signal.SIG_IGN if stop.signum and launched else before)
