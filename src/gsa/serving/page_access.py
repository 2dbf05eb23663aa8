"""The web page's door: which of its requests are let in, and who may send them.

Knows paths and headers only. Whatever else the page's library could answer does not exist here.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from gsa.serving.limits import Limits
from gsa.serving.scheduler import Worker

READ = frozenset({"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/gradio_api/queue/data",
                  "/gradio_api/upload_progress", "/gradio_api/startup-events"})  # fmt: skip
BELOW = ("/assets/", "/static/", "/gradio_api/heartbeat/")
FILE = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
BUTTONS = frozenset({"/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset"})
"""Where a press of a button goes: to ask, and to stop."""
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Of every answer of the page: the browser itself refuses to ask any other host."""


@dataclass(frozen=True)
class Page:
    """The web page, made."""

    app: ASGIApp
    """What answers."""
    folder: Path
    """Where uploaded and labelled files are; the only files that it may hand out."""
    lifespan: Any
    """Returns the context in which it works."""
    end: Callable[[], None] = lambda: None
    """Ends the answers that go on as long as a browser shows it."""

    def lets(self, method: str, path: str) -> bool:
        """Return whether a request is one that the page makes."""
        if method == "POST":
            return path == UPLOAD or path in BUTTONS
        if method not in ("GET", "HEAD"):
            return False
        if path.startswith(FILE):
            return self._own(path.removeprefix(FILE))
        return path in READ or (path.startswith(BELOW) and ".." not in path)

    def size(self) -> int:
        """Return the bytes of all files that it keeps."""
        found = 0
        for file in self.folder.rglob("*"):
            try:
                found += file.lstat().st_size if file.is_file() else 0
            except OSError:  # just deleted
                continue
        return found

    def _own(self, name: str) -> bool:
        try:
            file = Path(name).resolve()
            return file.is_file() and file.is_relative_to(self.folder.resolve())
        except (OSError, ValueError):  # a name that no file can have
            return False


MakePage = Callable[[Worker, Limits], Page]
"""Makes the page once there is a worker."""


def password(authorization: bytes) -> bytes:
    """Return the password of an Authorization header of kind Basic; empty where there is none."""
    scheme, _, given = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(given, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
