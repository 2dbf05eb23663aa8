"""Silence for libraries whose progress bars and notices tell a user of gsa nothing."""

import contextlib
import io
import logging as std_logging
import sys
import warnings
from collections.abc import Iterator

from transformers.utils import logging


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence transformers' messages and bars, and the FutureWarnings that PEFT causes in transformers."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def no_fetched_kernels() -> Iterator[None]:
    """Keep bitsandbytes, which PEFT imports where it is installed, from fetching code from the hub.

    It does so where a package `kernels` is installed, and warns where there is none.
    """
    std_logging.getLogger("bitsandbytes").setLevel(std_logging.ERROR)
    known = sys.modules.get("kernels")
    sys.modules["kernels"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["kernels"]
        if known:
            sys.modules["kernels"] = known
