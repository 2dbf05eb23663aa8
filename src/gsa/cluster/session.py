"""Ray for the time of a command: that of a running cluster, or one on this machine."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from gsa.errors import InputError

OBJECT_STORE = 512 * 2**20
"""Bytes of shared memory for rows on a lone machine; what is beyond them Ray keeps on disk."""


def check_installed() -> None:
    """Raise InputError without Ray Data."""
    if find_spec("ray") is None or find_spec("pyarrow") is None:
        raise InputError("--ray needs Ray Data, the extra 'ray': pip install 'gsa-llm[ray]'")


@contextmanager
def ray_session(workers: int) -> Iterator[None]:
    """Run Ray while the block runs: that of RAY_ADDRESS, or one on this machine that ends with it.

    Raises the InputError of a worker.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not os.environ.get("RAY_ADDRESS"):
        options |= {"num_cpus": workers or None, "object_store_memory": OBJECT_STORE}
        options["include_dashboard"] = False
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
        signal.signal(signal.SIGTERM, handler)  # Ray sets its own
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.raise_original_map_exception = True
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        yield
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise InputError(str(error.cause).split("\n")[0]) from None  # Ray adds lines of its own
        raise
    finally:
        ray.shutdown()
