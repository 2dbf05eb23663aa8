"""The page in Gradio: its application beside the API's routes, with four tabs (`tabs`).

Gradio is imported here and in `tabs` alone, and contacts no other host: no analytics, no fonts,
no sharing.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from gsa.data.types import Prediction
from gsa.serving.limits import Limits
from gsa.serving.page import UPLOAD, MountedPage
from gsa.serving.scheduler import QueryGroup, Scheduler
from gsa.serving.telemetry import log
from gsa.web.background_app import BackgroundApp
from gsa.web.handlers import Handlers
from gsa.web.levels import Levels

if TYPE_CHECKING:
    from fastapi import FastAPI

    from gsa.prediction.predictor import Predictor

MAX_EVENTS = 128
"""Button presses that Gradio holds; what waits for the model waits in the scheduler's queue."""
CACHE_SWEEP, CACHE_AGE = 600, 3600
"""Seconds between two sweeps for old files, and until a file is old."""
MAX_SESSION_NAME, MAX_SESSIONS, MAX_STATES = 64, 4000, 500
"""Characters of the name that a browser gives itself; how many names and states Gradio may keep."""


class WebPage:
    """The page for a predictor; a `gsa.serving.page.Page`."""

    def __init__(self, predictor: "Predictor", source: str | None = None, level: int | None = None) -> None:
        """`source` and `level` are those that the predictor was loaded from."""
        self._predictor, self._levels = predictor, Levels(predictor, source, level)
        self._name = Path(source or "gsa-135m").name

    def predict(self, groups: Sequence[QueryGroup]) -> list[list[Prediction]]:
        """Return the Predictions of each group, at the group's level of the chain."""
        return self._levels.predict(groups)

    def mount(self, scheduler: Scheduler, limits: Limits) -> MountedPage:
        """Return the page's application, which is made when its lifespan begins, with a folder for files."""
        folder = Path(tempfile.mkdtemp(prefix="gsa-page-"))  # readable by this user alone
        uploads = folder / "files"
        uploads.mkdir()
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        handlers = Handlers(self._predictor, self._levels, scheduler, limits, uploads, folder)
        # At the latest with the process: after a second signal, which does not wait for the lifespan's end,
        # a thread may still be making the page.
        remove_folder = weakref.finalize(handlers, shutil.rmtree, folder, ignore_errors=True)

        async def make() -> tuple["FastAPI", Callable[[], object]]:
            return _make_app(handlers, self._name)

        # In a running loop, as Gradio would make some otherwise, and close none.
        app = BackgroundApp(lambda: asyncio.run(make()))

        @contextlib.asynccontextmanager
        async def lifespan() -> AsyncIterator[None]:
            async with app.lifespan():
                yield
            remove_folder()

        return MountedPage(app, uploads, lifespan, app.stop)


def _make_app(handlers: Handlers, name: str) -> tuple["FastAPI", Callable[[], object]]:
    """Return the application, and a function that ends its streams of events."""
    import gradio as gr
    from fastapi import FastAPI
    from fastapi.exceptions import RequestValidationError
    from gradio import queueing
    from starlette.routing import Mount

    from gsa.web.tabs import aspect_tab, compare_tab, conversation_tab, file_tab, header, text_tab

    queueing.traceback = _SilentTraceback
    with gr.Blocks(
        title=f"gsa · {name}", analytics_enabled=False, delete_cache=(CACHE_SWEEP, CACHE_AGE)
    ) as blocks:
        header(handlers, name)
        with gr.Tabs(elem_classes="gsa-tabs", overflow_behavior="wrap"):
            text_tab(handlers)
            aspect_tab(handlers)
            conversation_tab(handlers)
            file_tab(handlers)
            compare_tab(handlers)
    for block in blocks.blocks.values():
        if not isinstance(block, gr.File):  # a field for files has a check of its own
            block.async_move_resource_to_block_cache = _refuse_file
    blocks.state_session_capacity = MAX_STATES
    blocks.queue(max_size=MAX_EVENTS, default_concurrency_limit=None, api_open=False)
    system, mono = ["system-ui", "Segoe UI", "Roboto", "sans-serif"], ["ui-monospace", "monospace"]
    theme = gr.themes.Base(primary_hue="indigo", neutral_hue="slate", font=system, font_mono=mono)
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None), blocks, "/", footer_links=[], run_history=False, show_error=False,
        max_file_size=handlers.limits.upload, ssr_mode=False, enable_monitoring=False, pwa=False,
        mcp_server=False, theme=theme, css=files(__package__).joinpath("page.css").read_text("utf-8"),
    )  # fmt: skip
    _bound_sessions(blocks._queue)
    gradio_app: Any = next(route.app for route in app.routes if isinstance(route, Mount))
    for error in (RequestValidationError, TypeError):
        gradio_app.add_exception_handler(error, _refuse)
    return app, gradio_app.stop_event.set


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    """Return a 422 for a body that Gradio cannot read.

    FastAPI's own would repeat the body, which cannot always be written as JSON; Gradio raises TypeError for
    an upload without a file.
    """
    if isinstance(error, TypeError) and request.url.path != UPLOAD:
        raise error
    return JSONResponse({"detail": "expected a file or the event of a button"}, 422)


async def _refuse_file(path: object) -> None:
    """Raise ValueError for a file in a field that takes none, which Gradio would otherwise fetch."""
    raise ValueError("expected no file in this field")


class _SilentTraceback:
    """Replaces the module `traceback` where Gradio prints exceptions, whose messages may quote a user."""

    @staticmethod
    def print_exc(*_: object) -> None:
        """Log the exception without its message."""
        log("failed", logging.ERROR, sys.exc_info()[1])


def _bound_sessions(queue: Any) -> None:
    """Keep what a queue remembers of sessions from growing with the names that clients invent."""
    push = queue.push

    async def bounded_push(body: Any, request: Any, username: Any) -> Any:
        if not body.session_hash or len(body.session_hash) > MAX_SESSION_NAME:
            return False, f"session_hash: expected 1 to {MAX_SESSION_NAME} characters", "validator_error"
        if body.fn_index not in queue.blocks.fns:
            return False, "fn_index: expected that of a button", "validator_error"
        events = queue.pending_event_ids_session
        if len(events) > MAX_SESSIONS:  # Gradio itself forgets all but the youngest sessions' messages
            for session in set(events) - set(queue.pending_messages_per_session):
                del events[session]
        return await push(body=body, request=request, username=username)

    queue.push = bounded_push
