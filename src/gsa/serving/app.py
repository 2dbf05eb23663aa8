"""The application: its routes, and each error as one sentence.

In: a Predictor and Limits. Out: an ASGI application for uvicorn or a test's client.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from gsa import __version__
from gsa.data.task import EMOTION, SARCASM, SENTIMENT
from gsa.errors import InputError
from gsa.serving.limits import Limits
from gsa.serving.middleware import GONE, Gate
from gsa.serving.page_access import MakePage, Page
from gsa.serving.requests import Body, ask
from gsa.serving.scheduler import ClosedError, FullError, Job, Predict, Worker
from gsa.serving.schemas import Anything, Conversations, Emotions, Error, Label, Labels, Sentences
from gsa.serving.telemetry import Metrics

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

LONGEST = 300
"""Letters of a sentence about a request that is not as expected."""
ENDING = 5.0
"""Seconds that the end of the application waits for the worker, after the server itself has waited."""
NOT_JSON = "body: expected JSON in UTF-8"

PATHS = {
    "/", "/v1/sentiment", "/v1/emotion", "/v1/sarcasm", "/v1/classify",
    "/health", "/ready", "/metrics", "/docs", "/openapi.json",
}  # fmt: skip
WHY = {
    400: "The body is not JSON in UTF-8.",
    401: "The token is missing or wrong.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The content type is not JSON.",
    422: "The request is not as described, or beyond a limit; the sentence says where.",
    429: "Too many requests wait; Retry-After says when to come again.",
    500: "The server failed; its log has the id.",
    503: "The server is stopping.",
}


NO_PAGE = "the web page is off; the API is described at /openapi.json"


class Json(JSONResponse):
    """JSON in ASCII: floats as Python writes them, and whatever letters a user sent."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False).encode()


@dataclass(frozen=True)
class Service:
    """A server's parts, for whoever runs it."""

    app: FastAPI
    worker: Worker
    metrics: Metrics
    page: Page | None = None


def make_service(
    predictor: "Predictor",
    limits: Limits | None = None,
    token: str = "",
    page: MakePage | str = NO_PAGE,
    predict: Predict | None = None,
) -> Service:
    """Return the application and its worker, which starts and ends with the application's lifespan.

    `token` is what clients must bring; empty lets everyone in. `page` makes the web page at `/`, or is the
    sentence that stands there instead. `predict` answers in the predictor's place.
    """
    limits = limits or Limits()
    worker = Worker(
        predict or predictor.predict, limits, lambda queries, seconds: metrics.batch(queries, seconds)
    )
    metrics = Metrics(lambda: worker.waiting)
    made = None if isinstance(page, str) else page(worker, limits)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker.start()
        async with made.lifespan() if made else contextlib.nullcontext():
            yield
        worker.close()
        await asyncio.to_thread(worker.join, ENDING)

    app = FastAPI(
        title="gsa",
        version=__version__,
        description="Polarity of texts, emotion of every turn of a conversation, sarcasm: labels with "
        "probabilities. Each path takes one input or many.",
        lifespan=lifespan,
        redoc_url=None,
        default_response_class=Json,
    )
    app.add_middleware(
        Gate, limits=limits, metrics=metrics, paths=PATHS, stopping=lambda: not worker.alive, token=token,
        page=made,
    )  # fmt: skip
    _explain(app)
    _add_labelling(app, predictor, limits, worker, token)
    _add_watching(app, predictor, worker, metrics)
    if isinstance(page, str):
        _add_sentence(app, page)
    return Service(app, worker, metrics, made)


def _add_labelling(app: FastAPI, predictor: "Predictor", limits: Limits, worker: Worker, token: str) -> None:
    async def answer(request: Request, body: Body, task: str = "", every: bool = False) -> Response:
        asked = ask(predictor, limits, body, task, every)
        job = Job(asked.portions, request.client.host if request.client else "")
        request.scope["gsa.facts"] = {"queries": job.queries}
        found = await _found(request, worker, job)
        return Response(status_code=GONE) if found is None else Json(asked.json(found))

    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": Error, "description": why} for status, why in WHY.items()
    }
    # In the OpenAPI only; the gate is what checks it.
    lock = [Depends(HTTPBearer(auto_error=False))] if token else []
    extra: dict[str, Any] = {"responses": errors, "dependencies": lock, "tags": ["labels"]}

    @app.post("/v1/sentiment", response_model=Label | Labels, **extra)
    async def sentiment(request: Request, body: Sentences) -> Response:
        """Polarity of a text, or of each of a list."""
        return await answer(request, body, SENTIMENT.name)

    @app.post("/v1/emotion", response_model=Emotions, **extra)
    async def emotion(request: Request, body: Conversations) -> Response:
        """Emotion of every turn of a conversation, or of each of a list."""
        return await answer(request, body, EMOTION.name, every=True)

    @app.post("/v1/sarcasm", response_model=Label | Labels, **extra)
    async def sarcasm(request: Request, body: Conversations) -> Response:
        """Whether the last turn of a conversation, or of each of a list, is sarcastic."""
        return await answer(request, body, SARCASM.name)

    @app.post("/v1/classify", response_model=Label | Labels, **extra)
    async def classify(request: Request, body: Anything) -> Response:
        """Any task of the model, or one of your own; of a conversation the last turn is labelled."""
        return await answer(request, body)


async def _found(request: Request, worker: Worker, job: Job) -> Any:
    """Wait for a job's answer; None if the client leaves first. Raises what the worker or model raised."""
    worker.submit(job)
    answer: asyncio.Future[Any] = asyncio.wrap_future(job.future)
    left: asyncio.Future[Any] = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({answer, left}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        left.cancel()
        answer.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _add_watching(app: FastAPI, predictor: "Predictor", worker: Worker, metrics: Metrics) -> None:
    @app.get("/health", tags=["state"])
    async def health() -> dict[str, str]:
        """Whether the server runs."""
        return {"status": "ok", "version": __version__}

    @app.get("/ready", tags=["state"], responses={503: {"model": Error, "description": WHY[503]}})
    async def ready() -> dict[str, Any]:
        """Whether requests are answered now, and by which tasks with which labels."""
        if not worker.alive:
            raise ClosedError
        return {"status": "ready", "tasks": {task.name: task.labels for task in predictor.tasks.values()}}

    @app.get("/metrics", tags=["state"], response_class=PlainTextResponse)
    async def counts() -> Response:
        """Counts for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _add_sentence(app: FastAPI, sentence: str) -> None:
    @app.get("/", include_in_schema=False)
    async def no_page() -> Response:
        return PlainTextResponse(f"{sentence}\n", 404)


def _explain(app: FastAPI) -> None:
    """Say every error as one sentence with the request's id."""

    def said(request: Request, status: int, sentence: str, headers: Any = None) -> Response:
        cut = sentence if len(sentence) <= LONGEST else f"{sentence[:LONGEST]}..."
        return Json({"error": cut, "id": request.scope["gsa.id"]}, status, headers)

    @app.exception_handler(InputError)
    async def bad_input(request: Request, error: InputError) -> Response:
        return said(request, 422, str(error))

    @app.exception_handler(RequestValidationError)
    async def not_as_described(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return said(request, 400, f"{NOT_JSON}: {first['ctx']['error']} at letter {first['loc'][1]}")
        where = ".".join(str(part) for part in first["loc"])
        return said(request, 422, f"{where}: {first['msg'].removeprefix('Value error, ')}")

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        says = NOT_JSON if error.status_code == 400 else str(error.detail)
        return said(request, error.status_code, says, error.headers)

    @app.exception_handler(FullError)
    async def full(request: Request, error: FullError) -> Response:
        return said(request, 429, str(error), {"retry-after": str(error.seconds)})

    @app.exception_handler(ClosedError)
    async def closed(request: Request, error: ClosedError) -> Response:
        return said(request, 503, "the server is stopping", {"retry-after": "5"})
