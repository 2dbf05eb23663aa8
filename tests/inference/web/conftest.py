"""The page on a tiny run, behind its server, for clients and for a browser."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Held

from gsa.inference.loading import load
from gsa.inference.server.app import Service, make_service
from gsa.inference.server.draining import Server
from gsa.inference.server.limits import Limits
from gsa.inference.server.run import bound
from gsa.inference.web.levels import Levels


@pytest.fixture
def tuned_predictor(tuned: Path) -> Held:
    return Held(load(tuned))


@pytest.fixture
def page_limits() -> Limits:
    return Limits()


@pytest.fixture
def page_service(
    tuned_predictor: Held, tuned: Path, page_limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> Service:
    """The server with its page; what the page sets in the environment is taken back."""
    pytest.importorskip("gradio", reason="needs the extra `web`")
    from gsa.inference.web.page import make_page

    for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "before")
    levels = Levels(tuned_predictor, tuned)
    page = make_page(tuned_predictor, levels, "<b>tiny</b>")
    return make_service(tuned_predictor, page_limits, "", page, levels.predict)


@pytest.fixture
def page_url(page_service: Service, tuned_predictor: Held) -> Iterator[str]:
    """The page at an address of its own."""
    listening = threading.Event()
    with bound("127.0.0.1", 0) as listener:
        server = Server(page_service, 10, listening.set)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert listening.wait(20)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        tuned_predictor.go.set()
        thread.join(20)
        assert not thread.is_alive()
