"""What an operator sees: JSON lines on standard error, and metrics for Prometheus. Never a user's text.

A path is logged only if it is one of the server's own, an exception only by its type and places in code.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

LOGGER = "gsa.serving"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
QUERIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, event, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; of an exception its type and places, because its message may quote a user."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            frames = traceback.extract_tb(error.__traceback__)
            line["exception"] = type(error).__name__
            line["at"] = [f"{frame.filename}:{frame.lineno}" for frame in frames][-8:]
        return json.dumps(line)


def log(event: str, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """Write one line of the log."""
    logging.getLogger(LOGGER).log(level, event, exc_info=error, extra={"fields": fields})


def configure_json_logging(stream: TextIO | None = None) -> None:
    """Send the log, and uvicorn's warnings, to a stream, by default standard error.

    Events at INFO are left out where the logger `gsa` is set to a higher level, as `--quiet` does.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    level = logging.getLogger("gsa").level or logging.INFO
    for name, threshold in ((LOGGER, level), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(threshold)


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        """`waiting` returns the number of queries in the queue."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter("gsa_requests", "Requests.", ["path", "status"], registry=registry)
        self._request_seconds = Histogram(
            "gsa_request_seconds", "Time to answer a request.", ["path"], buckets=SECONDS, registry=registry
        )
        self._batch_queries = Histogram(
            "gsa_batch_queries", "Queries in a call of the model.", buckets=QUERIES, registry=registry
        )
        self._batch_seconds = Histogram(
            "gsa_batch_seconds", "Time of a call of the model.", buckets=SECONDS, registry=registry
        )
        gauge = Gauge("gsa_waiting_queries", "Queries that wait for the model.", registry=registry)
        gauge.set_function(waiting)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()
        self._request_seconds.labels(path).observe(seconds)

    def count_batch(self, queries: int, seconds: float) -> None:
        """Count a call of the model."""
        self._batch_queries.observe(queries)
        self._batch_seconds.observe(seconds)
