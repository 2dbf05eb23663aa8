"""What `gsa serve` does: check, load, listen, answer, and stop when asked with nothing lost.

A signal makes the server refuse new requests and answer those that wait; a second one stops at once.
"""

import importlib.util
import ipaddress
import logging
import math
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gsa import __version__
from gsa.errors import InputError
from gsa.serving.limits import Limits

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor
    from gsa.serving.page_access import MakePage
    from gsa.serving.scheduler import Predict

NEEDED = ("fastapi", "uvicorn", "prometheus_client")
PAGE_NEEDED = "gradio"
NO_PAGE = "the web page needs the extra `web`: pip install '.[web]' in a clone"
OFF = "the web page is off (--no-page)"
VARIABLE = "GSA_TOKEN"
"""Environment variable of the token."""


@dataclass(frozen=True)
class Options:
    """The options of `gsa serve`, as they were given."""

    model: str | None = None
    level: int | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    limits: Sequence[str] = ()
    page: bool = True
    """Whether the web page is served, where its extra is installed."""


def serve(options: Options, say: Callable[[str], None]) -> None:
    """Serve until a signal comes; `say` is told the address once it is listened at.

    Raises InputError for a missing extra, a port that is taken, a token file without a token, or a model
    that gives no probabilities: all before anything listens.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"gsa serve needs {' and '.join(missing)}: expected the extra `server`: "
            "pip install '.[server]' in a clone"
        )
    limits, token = Limits.of(options.limits), token_of(options.token_file)
    with closing(bound(options.host, options.port)) as listener:
        from gsa.prediction.loading import load

        predictor = load(options.model, options.level)
        check(predictor)
        _run(predictor, limits, token, listener, options, say)


def token_of(file: Path | None) -> str:
    """Return the token, from a file or else the environment; raises InputError for one that is empty."""
    where = str(file or VARIABLE)
    found = file.read_text(encoding="utf-8", errors="replace") if file else os.environ.get(VARIABLE)
    if found is None:
        return ""
    token = found.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{where}: expected a token of visible ASCII letters, found none")
    return token


def bound(host: str, port: int) -> socket.socket:
    """Return a socket at an address, not yet listening; raises InputError where that cannot be."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(f"host '{host}': {error.strerror}: expected an address of this machine") from None
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise InputError(
            f"{host}:{port}: {error.strerror}: expected a free address of this machine; "
            "--port 0 takes a free port"
        ) from None
    return listener


def check(predictor: "Predictor") -> None:
    """Ask the model once; raises InputError if it gives no probabilities."""
    task = next(iter(predictor.tasks))
    found = predictor.classify(task, "The lamp is on the table.")
    total = sum(found.probabilities.values())
    if not math.isclose(total, 1, abs_tol=1e-6):
        raise InputError(f"the model gives no probabilities: expected a sum of 1, found {total}")


def _run(
    predictor: "Predictor",
    limits: Limits,
    token: str,
    listener: socket.socket,
    options: Options,
    say: Callable[[str], None],
) -> None:
    from gsa.serving.app import make_service
    from gsa.serving.shutdown import Server
    from gsa.serving.telemetry import log, log_to

    log_to()
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def listening() -> None:
        log("listening", address=address, model=predictor.identity["base"], version=__version__)
        what = f"{address}/docs describes it"
        what = what if isinstance(page, str) else f"a page for people; {address}/docs describes the API"
        say(f"{options.model or 'the shipped model'} at {address} ({what})")

    if not token and not ipaddress.ip_address(host).is_loopback:
        log("no token: whoever reaches this address is answered", logging.WARNING, address=address)
    page, predict = _page(predictor, options)
    service = make_service(predictor, limits, token, page, predict)
    Server(service, limits.drain, listening).run(sockets=[listener])


def _page(predictor: "Predictor", options: Options) -> "tuple[MakePage | str, Predict]":
    """Return what makes the page, or a sentence in its place; and what answers all queries."""
    if not options.page:
        return OFF, predictor.predict
    if importlib.util.find_spec(PAGE_NEEDED) is None:
        return NO_PAGE, predictor.predict
    from gsa.web.app import make_page
    from gsa.web.levels import Levels

    levels = Levels(predictor, options.model, options.level)
    return make_page(predictor, levels, Path(options.model or "gsa-135m").name), levels.predict
