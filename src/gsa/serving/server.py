"""What `gsa serve` does: check the options, load the model, listen, answer until a signal comes."""

import importlib.util
import ipaddress
import logging
import math
import os
import re
import socket
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gsa import __version__
from gsa.errors import InputError
from gsa.serving.limits import Limits

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor
    from gsa.serving.page import PageFactory

REQUIRED = ("fastapi", "uvicorn", "prometheus_client")
LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
"""A host name or an IPv4 address; browsers send other names in their ASCII form."""
ORIGIN = re.compile(r"(https?)://(\[.*\]|[^:]*)(?::([1-9][0-9]{0,4}))?")
PORTS = {"http": 80, "https": 443}
MAX_PORT = 65535
TOKEN_VARIABLE = "GSA_TOKEN"
"""Environment variable of the token."""


@dataclass(frozen=True)
class Options:
    """The options of `gsa serve`."""

    model: str | None = None
    level: int | None = None
    precision: str = "auto"
    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    limits: Sequence[str] = ()
    """Each ``NAME=NUMBER``."""
    allowed_hosts: Sequence[str] = ()
    """Host names beside those of a loopback address; ``*.NAME`` is all names below one, ``*`` is any."""
    cors_origins: Sequence[str] = ()
    """Web sites whose scripts may use the API, as ``https://HOST``; ``*`` is any."""


def serve(options: Options, make_page: "PageFactory | None" = None) -> None:
    """Serve until a signal comes; prints the address once the server listens.

    `make_page` makes the web page; without it only the API is served. Raises InputError for a missing extra,
    a port that is taken, a token file without a token, or a model that gives no probabilities: all before
    anything listens.
    """
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"gsa serve needs {' and '.join(missing)}: expected the extra `server`: "
            "pip install '.[server]' in a clone"
        )
    limits, token = Limits.parse(options.limits), read_token(options.token_file)
    options = replace(
        options,
        allowed_hosts=host_names(options.allowed_hosts),
        cors_origins=browser_origins(options.cors_origins),
    )
    with closing(bind(options.host, options.port)) as listener:
        from gsa.prediction.loading import load

        predictor = load(options.model, options.level, precision=options.precision)
        check_probabilities(predictor)
        _run(predictor, options, limits, token, listener, make_page)


def read_token(file: Path | None) -> str:
    """Return the token of a file or else of the environment, empty if there is none in the environment.

    Raises InputError for a token that is empty or not of visible ASCII characters.
    """
    source = str(file or TOKEN_VARIABLE)
    text = file.read_text(encoding="utf-8", errors="replace") if file else os.environ.get(TOKEN_VARIABLE)
    if text is None:
        return ""
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{source}: expected a token of visible ASCII characters, found none")
    return token


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address, not yet listening; raises InputError where that cannot be."""
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


def check_probabilities(predictor: "Predictor") -> None:
    """Label one sentence; raises InputError if the probabilities do not sum to 1."""
    text = "The lamp is on the table."
    task = next((task for task in predictor.tasks.values() if not task.about and not task.multilabel), None)
    prediction = predictor.classify(task, text) if task else predictor.aspects(text, ["lamp"])[0]
    total = sum(prediction.probabilities.values())
    if not math.isclose(total, 1, abs_tol=1e-6):
        raise InputError(f"the model gives no probabilities: expected a sum of 1, found {total}")


def _run(
    predictor: "Predictor",
    options: Options,
    limits: Limits,
    token: str,
    listener: socket.socket,
    make_page: "PageFactory | None",
) -> None:
    from gsa.serving.app import make_service
    from gsa.serving.shutdown import Server
    from gsa.serving.telemetry import configure_json_logging, log

    configure_json_logging()
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def announce() -> None:
        log(
            "listening",
            address=address,
            model=predictor.identity["base"],
            precision=predictor.precision,
            version=__version__,
        )
        api = f"{address}/docs describes the API"
        print(
            f"{options.model or 'the shipped model'} at {address} "
            f"({f'a web page; {api}' if make_page else api})",
            flush=True,
        )

    if not token and not ipaddress.ip_address(host).is_loopback:
        log("no token: whoever reaches this address is answered", logging.WARNING, address=address)
    page = make_page(predictor, options.model, options.level) if make_page else None
    hosts = allowed_hosts(host, options.allowed_hosts)
    service = make_service(predictor, limits, token, page, hosts, options.cors_origins)
    Server(service, limits.drain, announce, limits.timeout, limits.connections).run(sockets=[listener])


def browser_origins(origins: Sequence[str]) -> list[str]:
    """Return origins of web sites as browsers name them: in lower case, without the scheme's own port.

    Raises InputError for what is not an origin.
    """
    names = []
    for origin in origins:
        match = ORIGIN.fullmatch(origin.lower())
        scheme, host, port = match.groups() if match else ("", "", None)
        host = browser_host(host)
        if origin != "*" and (not host or int(port or 0) > MAX_PORT):
            raise InputError(
                f"--cors-origin '{origin}': expected a scheme, a host in ASCII and perhaps a port, such as "
                "https://example.org, or *"
            )
        has_port = port and int(port) != PORTS[scheme]
        names.append("*" if origin == "*" else f"{scheme}://{host}{f':{port}' if has_port else ''}")
    return names


def host_names(hosts: Sequence[str]) -> list[str]:
    """Return host names as browsers write them, of which ``*`` and ``*.NAME`` are patterns.

    Raises InputError for what no request's host could be, such as a name with a port.
    """
    names = []
    for host in hosts:
        prefix = "*." if host.startswith("*.") else ""
        name = browser_host(host.removeprefix(prefix))
        if host != "*" and (not name or (prefix and name.startswith("["))):
            raise InputError(
                f"--allowed-host '{host}': expected a host name in ASCII without scheme and port, such as "
                "labels.example.org or *.example.org, an IP address, or *"
            )
        names.append("*" if host == "*" else prefix + name)
    return names


def browser_host(host: str) -> str:
    """Return a host as browsers write it: in lower case, an IPv6 address in brackets; empty for no host."""
    name = host.lower()
    try:
        return f"[{ipaddress.IPv6Address(name.removeprefix('[').removesuffix(']'))}]"
    except ValueError:
        return name if HOST.fullmatch(name) else ""


def allowed_hosts(address: str, more: Sequence[str]) -> list[str]:
    """Return the host names that requests may have, ``*`` for any.

    A loopback server answers to its loopback names alone: a web site whose name is made to lead here (DNS
    rebinding) is refused. Elsewhere, where the names are unknown, it is `more`, or any if there are none.
    """
    if ipaddress.ip_address(address).is_loopback:
        return [*LOOPBACK, address, *more]
    return list(more) or ["*"]
