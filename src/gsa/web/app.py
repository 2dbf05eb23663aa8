"""The page in Gradio: four tabs and what their buttons call.

In: the Handlers. Out: a Page for the server's gate, an ASGI application of its own beside the API's routes.
Gradio is imported here and in `tabs` alone, and asks nobody: no analytics, no fonts of others, no sharing.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gsa.serving.limits import Limits
from gsa.serving.page_access import MakePage, Page
from gsa.serving.scheduler import Worker
from gsa.serving.telemetry import log
from gsa.web.handlers import Handlers
from gsa.web.levels import Levels

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

QUEUE = 128
"""Presses of buttons that Gradio holds; what waits for the model waits in the line."""
SWEEP, AGE = 600, 3600
"""Seconds between two looks for old files, and until a file is old."""
SESSION, SESSIONS, STATES = 64, 4000, 500
"""Letters of the name that a browser gives itself; how many names and states Gradio may keep."""


def make_page(predictor: "Predictor", levels: Levels, model: str) -> MakePage:
    """Return what makes the page once there is a worker; `model` is the name that it shows."""

    def make(worker: Worker, limits: Limits) -> Page:
        folder = Path(tempfile.mkdtemp(prefix="gsa-page-"))  # readable by this user alone
        sent = folder / "files"
        sent.mkdir()
        os.environ["GRADIO_TEMP_DIR"] = str(sent)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        handlers = Handlers(predictor, levels, worker, limits, sent, folder)
        # Also where the process ends without the lifespan's end: a second signal does not wait for it.
        remove = weakref.finalize(handlers, shutil.rmtree, folder, ignore_errors=True)

        async def made() -> Page:  # within a loop, as Gradio would otherwise make some and close none
            return _page(handlers, model, remove)

        with ThreadPoolExecutor(1) as thread:  # which has no loop yet, whoever calls
            return thread.submit(lambda: asyncio.run(made())).result()

    return make


class _Unsaid:
    """Stands where Gradio prints an exception, whose words may quote a user."""

    @staticmethod
    def print_exc(*_: object) -> None:
        """Log the exception without its words."""
        log("failed", logging.ERROR, sys.exc_info()[1])


def _bound_sessions(queue: Any) -> None:
    """Keep what a queue remembers of sessions from growing with the names that clients invent."""
    push = queue.push

    async def bounded(body: Any, request: Any, username: Any) -> Any:
        if len(body.session_hash) > SESSION:
            return False, f"session_hash: expected at most {SESSION} letters", "validator_error"
        if body.fn_index not in queue.blocks.fns:
            return False, "fn_index: expected that of a button", "validator_error"
        events = queue.pending_event_ids_session
        if len(events) > SESSIONS:  # Gradio itself forgets all but the youngest sessions' messages
            for gone in set(events) - set(queue.pending_messages_per_session):
                del events[gone]
        return await push(body=body, request=request, username=username)

    queue.push = bounded


def _page(handlers: Handlers, model: str, remove: Callable[[], object]) -> Page:
    import gradio as gr
    from fastapi import FastAPI
    from gradio import queueing
    from starlette.routing import Mount

    from gsa.web.tabs import compare_tab, file_tab, header, talk_tab, text_tab

    queueing.traceback = _Unsaid
    with gr.Blocks(title=f"gsa · {model}", analytics_enabled=False, delete_cache=(SWEEP, AGE)) as blocks:
        header(handlers, model)
        with gr.Tabs(elem_classes="gsa-tabs", overflow_behavior="wrap"):
            text_tab(handlers)
            talk_tab(handlers)
            file_tab(handlers)
            compare_tab(handlers)
    blocks.state_session_capacity = STATES
    blocks.queue(max_size=QUEUE, default_concurrency_limit=None, api_open=False)
    system, mono = ["system-ui", "Segoe UI", "Roboto", "sans-serif"], ["ui-monospace", "monospace"]
    theme = gr.themes.Base(primary_hue="indigo", neutral_hue="slate", font=system, font_mono=mono)
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None), blocks, "/", footer_links=[], run_history=False, show_error=False,
        max_file_size=handlers.limits.upload, ssr_mode=False, enable_monitoring=False, pwa=False,
        mcp_server=False, theme=theme, css=files(__package__).joinpath("page.css").read_text("utf-8"),
    )  # fmt: skip
    _bound_sessions(blocks._queue)
    mounted: Any = next(route.app for route in app.routes if isinstance(route, Mount))

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        try:
            async with app.router.lifespan_context(app):
                yield
        finally:
            remove()

    return Page(app, handlers.sent, lifespan, mounted.stop_event.set)
