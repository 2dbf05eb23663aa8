"""The command `gsa serve`: parses and calls, nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gsa.cli.options import Device, Level, Model, Precision, Quiet

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor
    from gsa.serving.page import Page


def serve(
    model: Model = None,
    level: Level = None,
    precision: Precision = "auto",
    device: Device = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that clients must send; default: GSA_TOKEN.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="Change a limit (docs/serving.md).")
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="Host name to answer to beside the loopback names; repeatable, * is any."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Web site whose scripts may use the API; repeatable, * is any."),
    ] = None,
    page: Annotated[bool, typer.Option(help="Serve the web page at /; needs the extra `web`.")] = True,
    quiet: Quiet = False,
) -> None:
    """Serve over HTTP until stopped: the web page, and /v1/sentiment, emotion and so on."""
    from importlib.util import find_spec

    from gsa.serving import server

    options = server.Options(
        model, level, precision, host, port, token_file, limit or [], allowed_host or [], cors_origin or []
    )
    server.serve(options, _make_page if page and find_spec("gradio") else None)


def _make_page(predictor: "Predictor", source: str | None, level: int | None) -> "Page":
    from gsa.web.web_page import WebPage

    return WebPage(predictor, source, level)
