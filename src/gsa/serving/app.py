"""The application and its routes.

In: a Predictor and Limits. Out: an ASGI application for uvicorn or a test's client.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import fastapi
from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from gsa import __version__
from gsa.data.task import ASPECT, EMOTION, SARCASM, SENTIMENT
from gsa.data.types import Prediction
from gsa.serving.answers import Answers
from gsa.serving.error_responses import ERRORS, AsciiJSONResponse, add_error_handlers
from gsa.serving.limits import Limits
from gsa.serving.middleware import RequestMiddleware
from gsa.serving.page import MountedPage, Page
from gsa.serving.requests import Body, client_of, parse_request
from gsa.serving.responses import (
    ExplanationResponse,
    LabelResponse,
    LabelsResponse,
    TurnLabelsResponse,
    explanation_as_json,
)
from gsa.serving.scheduler import (
    QueryGroup,
    Request,
    Scheduler,
    SchedulerClosedError,
    predict_groups,
)
from gsa.serving.schemas import (
    AspectRequest,
    ClassifyRequest,
    ConversationRequest,
    ExplainRequest,
    TextRequest,
)
from gsa.serving.telemetry import Metrics

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

T = TypeVar("T")

JOIN_TIMEOUT = 5.0
"""Seconds that the end of the application waits for the scheduler, after the server itself has waited."""
NO_PAGE = (
    "no web page: it is off (--no-page), or the extra `web` is missing (pip install '.[web]' in a clone); "
    "the API is described at /openapi.json"
)
PATHS = {
    "/", "/v1/sentiment", "/v1/emotion", "/v1/sarcasm", "/v1/aspect", "/v1/classify", "/v1/explain",
    "/health", "/ready", "/metrics", "/docs", "/openapi.json",
}  # fmt: skip


@dataclass(frozen=True)
class Service:
    """The parts of a server."""

    app: FastAPI
    scheduler: Scheduler
    metrics: Metrics
    page: MountedPage | None = None


def make_service(
    predictor: "Predictor",
    limits: Limits | None = None,
    token: str = "",
    page: Page | None = None,
    hosts: Sequence[str] = ("*",),
    origins: Sequence[str] = (),
) -> Service:
    """Return the application and its scheduler, which starts and ends with the application's lifespan.

    `token` is what clients must bring; empty lets everyone in. `page` is the web page at `/`. Requests whose
    header Host is none of `hosts` get a 400. `origins` are the web sites whose scripts may use the API.
    """
    limits = limits or Limits()
    predict = page.predict if page else lambda groups: predict_groups(predictor, groups)
    scheduler = Scheduler(predict, limits, lambda queries, seconds: metrics.count_batch(queries, seconds))
    metrics = Metrics(lambda: scheduler.waiting)
    mounted = page.mount(scheduler, limits) if page else None

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        scheduler.start()
        async with mounted.lifespan() if mounted else contextlib.nullcontext():
            yield
        scheduler.close()
        await asyncio.to_thread(scheduler.join, JOIN_TIMEOUT)

    app = FastAPI(
        title="gsa",
        version=__version__,
        description="Polarity of texts, emotion of every turn of a conversation, sarcasm: labels with "
        "probabilities. Each path takes one input or many.",
        lifespan=lifespan,
        redoc_url=None,
        default_response_class=AsciiJSONResponse,
    )
    app.add_middleware(
        RequestMiddleware, limits=limits, metrics=metrics, paths=PATHS, token=token, page=mounted, hosts=hosts
    )
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(origins), allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"], expose_headers=["retry-after", "x-request-id"],
        )  # fmt: skip
    add_error_handlers(app)
    # In the OpenAPI only: the middleware checks the token before a body is read.
    security = [Depends(HTTPBearer(auto_error=False))] if token else []
    app.include_router(_label_routes(predictor, limits, scheduler), prefix="/v1", dependencies=security)
    app.include_router(_state_routes(predictor, scheduler, metrics))
    if not page:
        app.get("/", include_in_schema=False)(_no_page)
    return Service(app, scheduler, metrics, mounted)


def _label_routes(predictor: "Predictor", limits: Limits, scheduler: Scheduler) -> APIRouter:
    router = APIRouter(responses=ERRORS, tags=["labels"])
    answers = Answers(predictor, limits)

    async def answer(http: fastapi.Request, body: Body, task: str = "", every_turn: bool = False) -> Response:
        parsed = parse_request(predictor, limits, body, task, every_turn)
        predictions = await _unless_left(http, answers.label(parsed, partial(_predict, http, scheduler)))
        return AsciiJSONResponse(parsed.json(predictions))

    @router.post("/sentiment", response_model=LabelResponse | LabelsResponse)
    async def sentiment(http: fastapi.Request, body: TextRequest) -> Response:
        """Polarity of a text, or of each of a list."""
        return await answer(http, body, SENTIMENT.name)

    @router.post("/emotion", response_model=TurnLabelsResponse)
    async def emotion(http: fastapi.Request, body: ConversationRequest) -> Response:
        """Emotion of every turn of a conversation, or of each of a list."""
        return await answer(http, body, EMOTION.name, every_turn=True)

    @router.post("/sarcasm", response_model=LabelResponse | LabelsResponse)
    async def sarcasm(http: fastapi.Request, body: ConversationRequest) -> Response:
        """Whether the last turn of a conversation, or of each of a list, is sarcastic."""
        return await answer(http, body, SARCASM.name)

    @router.post("/aspect", response_model=TurnLabelsResponse)
    async def aspect(http: fastapi.Request, body: AspectRequest) -> Response:
        """Polarity of each aspect of a text, or of each of a list."""
        return await answer(http, body, ASPECT.name)

    @router.post("/classify", response_model=LabelResponse | LabelsResponse)
    async def classify(http: fastapi.Request, body: ClassifyRequest) -> Response:
        """Any task of the model, or one of your own; of a conversation the last turn is labelled."""
        return await answer(http, body)

    @router.post("/explain", response_model=ExplanationResponse)
    async def explain(http: fastapi.Request, body: ExplainRequest) -> Response:
        """How much each word of a text, or of a conversation's last turn, moves its label."""
        parsed = parse_request(predictor, limits, body)
        explanation = await _unless_left(
            http, answers.explain(parsed, body.label, partial(_predict, http, scheduler), _client(http))
        )
        return AsciiJSONResponse(parsed.with_warning(explanation_as_json(explanation)))

    return router


async def _predict(
    http: fastapi.Request, scheduler: Scheduler, groups: Sequence[QueryGroup]
) -> list[list[Prediction]]:
    """Return the Predictions of each group; a cancellation takes the groups out of the queue."""
    fields = http.scope.setdefault("gsa.fields", {"queries": 0})
    fields["queries"] += sum(map(len, groups))
    request = Request(groups, _client(http))
    scheduler.submit(request)
    return await asyncio.wrap_future(request.future)


def _client(http: fastapi.Request) -> str:
    return client_of(http.client.host) if http.client else ""


async def _unless_left(http: fastapi.Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of some work; cancels it and raises ClientDisconnect if the client leaves first."""
    answer = asyncio.ensure_future(work)
    disconnect: asyncio.Future[Any] = asyncio.ensure_future(_wait_for_disconnect(http))
    try:
        await asyncio.wait({answer, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        disconnect.cancel()
        answer.cancel()


async def _wait_for_disconnect(http: fastapi.Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _state_routes(predictor: "Predictor", scheduler: Scheduler, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["state"])

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Whether the server runs, and in which precision."""
        return {"status": "ok", "version": __version__, "precision": predictor.precision}

    @router.get("/ready", responses={503: ERRORS[503]})
    async def ready() -> dict[str, Any]:
        """Whether requests are answered now, and by which tasks with which labels."""
        if not scheduler.alive:
            raise SchedulerClosedError
        return {"status": "ready", "tasks": {task.name: task.labels for task in predictor.tasks.values()}}

    @router.get("/metrics", response_class=PlainTextResponse)
    async def prometheus() -> Response:
        """Metrics for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


async def _no_page() -> Response:
    return PlainTextResponse(f"{NO_PAGE}\n", 404)
