"""Responses of the server as JSON, and each error as one sentence with the request's id."""

import json
from collections.abc import Mapping
from typing import Any

import fastapi
from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gsa.errors import InputError
from gsa.serving.responses import ErrorResponse
from gsa.serving.scheduler import QueueFullError, SchedulerClosedError
from gsa.serving.schemas import keys_of

MAX_MESSAGE = 300
"""Characters of the sentence about a request that is refused."""
MAX_VALUE = 60
"""Characters of a value that is refused."""
NAMED = {"missing", "value_error"}
"""Types of validation errors whose messages need no value, or say what was found."""
NOT_JSON = "body: expected JSON in UTF-8"
STATUSES = {
    400: "The body is not JSON in UTF-8.",
    401: "The token is missing or wrong.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The content type is not JSON.",
    422: "The request is not as described, or beyond a limit; the sentence says where.",
    429: "Too many requests are waiting; Retry-After says when to retry.",
    500: "The server failed; its log has the id.",
    503: "The server is stopping, or has too many connections.",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text} for status, text in STATUSES.items()
}


class AsciiJSONResponse(JSONResponse):
    """JSON in ASCII, which holds whatever characters a user sent; floats as Python writes them."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False).encode()


def _short(value: Any) -> str:
    """Return a value of a request as JSON of at most `MAX_VALUE` characters."""
    if isinstance(value, dict | list) and value:
        return f"an object of {len(value):,} keys" if isinstance(value, dict) else f"a list of {len(value):,}"
    return json.dumps(value)[:MAX_VALUE]


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error with one sentence and the request's id."""

    def respond(
        http: fastapi.Request, status: int, message: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        short = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."
        return AsciiJSONResponse({"error": short, "id": http.scope["gsa.id"]}, status, headers)

    @app.exception_handler(InputError)
    async def bad_input(http: fastapi.Request, error: InputError) -> Response:
        return respond(http, 422, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(http: fastapi.Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            message = f"{NOT_JSON}: {first['ctx']['error']} at character {first['loc'][1]}"
            return respond(http, 400, message)
        where = ".".join(map(str, keys_of(first["loc"])))
        problem = first["msg"].removeprefix("Value error, ")
        if first["type"] not in NAMED:
            problem += f", found {_short(first['input'])}"
        return respond(http, 422, f"{where}: {problem}")

    @app.exception_handler(HTTPException)
    async def http_error(http: fastapi.Request, error: HTTPException) -> Response:
        message = NOT_JSON if error.status_code == 400 else str(error.detail)
        return respond(http, error.status_code, message, error.headers)

    @app.exception_handler(QueueFullError)
    async def queue_full(http: fastapi.Request, error: QueueFullError) -> Response:
        return respond(http, 429, str(error), {"retry-after": str(error.retry_after)})

    @app.exception_handler(SchedulerClosedError)
    async def closed(http: fastapi.Request, error: SchedulerClosedError) -> Response:
        return respond(http, 503, str(error), {"retry-after": "5"})
