"""The page on a tiny run, behind its server, for clients and for a browser; made once a module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gsa.data.task import ASPECT
from gsa.prediction.loading import load
from gsa.serving.app import Service, make_service
from gsa.serving.limits import Limits
from serving import ControlledPredictor, limits, listening, predictor, restore_loggers, tiny_predictor

__all__ = ["limits", "predictor", "restore_loggers", "tiny_predictor"]


@pytest.fixture(scope="module")
def page_predictor(tuned: Path) -> ControlledPredictor:
    predictor = load(tuned)
    predictor.tasks[ASPECT.name] = ASPECT
    return ControlledPredictor(predictor)


@pytest.fixture
def tuned_predictor(page_predictor: ControlledPredictor) -> Iterator[ControlledPredictor]:
    """What the page asks, without the calls of other tests."""
    page_predictor.calls.clear()
    yield page_predictor
    page_predictor.go.set()
    page_predictor.before = lambda examples: None


@pytest.fixture(scope="module")
def page_limits() -> Limits:
    return Limits(upload=100_000)


@pytest.fixture(scope="module")
def make_page_service(
    page_predictor: ControlledPredictor, tuned: Path, page_limits: Limits
) -> Iterator[Callable[..., Service]]:
    """Make a server with a page; what a page sets in the environment is taken back."""
    pytest.importorskip("gradio", reason="needs the extra `web`")
    from gsa.web.web_page import WebPage

    def make(token: str = "") -> Service:
        page = WebPage(page_predictor, str(tuned))
        page._name = "<b>tiny</b>"
        return make_service(page_predictor, page_limits, token, page)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"):
            patch.setenv(name, "before")
        yield make


@pytest.fixture(scope="module")
def page_url(make_page_service: Callable[[], Service], page_predictor: ControlledPredictor) -> Iterator[str]:
    """The page at an address of its own."""
    with listening(make_page_service(), end=page_predictor.go.set) as ((host, port), _):
        yield f"http://{host}:{port}"
