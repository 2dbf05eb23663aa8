"""What an operator sees: JSON lines on standard error, and counts for Prometheus. Never a user's text.

A path is told only if it is one of the server's own, an exception only by its type and its places in code.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

LOGGER = "gsa.server"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
QUERIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, event, and what the event brings."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; of an exception its type and places, because its words may quote a user."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            line["exception"] = type(error).__name__
            line["at"] = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)][-8:]
        return json.dumps(line)


def log(event: str, level: int = logging.INFO, error: BaseException | None = None, **facts: Any) -> None:
    """Write one line of the log."""
    logging.getLogger(LOGGER).log(level, event, exc_info=error, extra={"facts": facts})


def log_to(stream: TextIO | None = None) -> None:
    """Send the log, and uvicorn's warnings, to a stream, standard error if none is given."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in ((LOGGER, logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


class Metrics:
    """The counts of one server, in a registry of its own."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        """`waiting` returns the number of queries that wait."""
        self.registry = on = CollectorRegistry()
        ProcessCollector(registry=on)
        self.requests = Counter("gsa_requests", "Answered requests.", ["path", "status"], registry=on)
        self.seconds = Histogram(
            "gsa_request_seconds",
            "From the first byte to the answer.",
            ["path"],
            buckets=SECONDS,
            registry=on,
        )
        self.batches = Histogram(
            "gsa_batch_queries", "Queries a call of the model.", buckets=QUERIES, registry=on
        )
        self.model = Histogram(
            "gsa_batch_seconds", "Time of a call of the model.", buckets=SECONDS, registry=on
        )
        self.waiting = Gauge("gsa_waiting_queries", "Queries that wait for the model.", registry=on)
        self.waiting.set_function(waiting)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)

    def batch(self, queries: int, seconds: float) -> None:
        """Count a call of the model."""
        self.batches.observe(queries)
        self.model.observe(seconds)
