"""Which requests the web page's application may get, and from whom.

Knows paths and headers only. Whatever else the page's library could answer is 404.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from starlette.types import ASGIApp

from gsa.data.types import Prediction
from gsa.serving.limits import Limits
from gsa.serving.scheduler import QueryGroup, Scheduler

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

READABLE = frozenset({"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json",
                      "/gradio_api/queue/data", "/gradio_api/upload_progress",
                      "/gradio_api/startup-events"})  # fmt: skip
READABLE_FOLDERS = ("/assets/", "/static/", "/gradio_api/heartbeat/")
FILE = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
EVENTS = frozenset({"/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset"})
"""Where a button's event goes: to start it, and to stop it."""
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
class MountedPage:
    """The web page's application beside the API."""

    app: ASGIApp
    folder: Path
    """Where uploaded and labelled files are; no other file is handed out."""
    lifespan: Callable[[], AbstractAsyncContextManager[None]]
    stop: Callable[[], None] = lambda: None
    """Ends the responses that go on as long as a browser shows the page."""

    def allows(self, method: str, path: str) -> bool:
        """Return whether a request is one that the page makes."""
        if method == "POST":
            return path == UPLOAD or path in EVENTS
        if method not in ("GET", "HEAD"):
            return False
        if path.startswith(FILE):
            return self._holds(path.removeprefix(FILE))
        return path in READABLE or (path.startswith(READABLE_FOLDERS) and ".." not in path)

    def stored_bytes(self) -> int:
        """Return the bytes of all files in the folder."""
        total = 0
        for file in self.folder.rglob("*"):
            try:
                total += file.lstat().st_size if file.is_file() else 0
            except OSError:  # just deleted
                continue
        return total

    def _holds(self, name: str) -> bool:
        try:
            file = Path(name).resolve()
            return file.is_file() and file.is_relative_to(self.folder.resolve())
        except (OSError, ValueError):  # a name that no file can have
            return False


class Page(Protocol):
    """What `serve` needs of the web page (gsa.web.web_page.WebPage)."""

    def predict(self, groups: Sequence[QueryGroup]) -> list[list[Prediction]]:
        """Return the Predictions of each group, at the group's level of the chain."""
        ...

    def mount(self, scheduler: Scheduler, limits: Limits) -> MountedPage:
        """Return the application, whose questions go through the scheduler."""
        ...


PageFactory = Callable[["Predictor", str | None, int | None], Page]
"""Makes the page for a predictor and the source and level that it was loaded from."""


def basic_password(authorization: bytes) -> bytes:
    """Return the password of a Basic Authorization header; empty where there is none."""
    scheme, _, credentials = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
