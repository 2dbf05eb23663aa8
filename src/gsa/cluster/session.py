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
        raise InputError("--ray needs Ray Data, the extra 'ray': pip install '.[ray]' in a clone")


@contextmanager
def ray_session(workers: int) -> Iterator[None]:
    """Run Ray while the block runs: that of RAY_ADDRESS, or one on this machine that ends with it.

    Raises the InputError of a worker, and InputError for a cluster that is not reached or that loses work.
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
        _start(options)
        signal.signal(signal.SIGTERM, handler)  # Ray sets its own
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.raise_original_map_exception = True
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        yield
    except ray.exceptions.RayError as error:
        raise _readable(error) from None
    finally:
        ray.shutdown()


def _start(options: dict[str, Any]) -> None:
    import ray

    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        address = os.environ.get("RAY_ADDRESS")
        where = f"RAY_ADDRESS '{address}'" if address else "this machine"
        raise InputError(f"Ray did not start on {where}: {_first_line(error)}") from None


def _readable(error: Exception) -> Exception:
    """Return the InputError of a worker, or one for what Ray lost; a bug is returned as it is."""
    import ray

    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError) and not isinstance(cause, ray.exceptions.RayError):
            return InputError(str(cause).split("\n")[0])  # Ray adds lines of its own
        causes.append(cause)
        cause = getattr(cause, "cause", None) or cause.__cause__
    of_code = (ray.exceptions.RayTaskError, ray.exceptions.UserCodeException)
    root = next((cause for cause in causes if not isinstance(cause, of_code)), None)
    if not isinstance(root, ray.exceptions.RayError):
        return error
    return InputError(f"Ray: {type(root).__name__}: {_first_line(root)}; the same command resumes")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(" .:")
