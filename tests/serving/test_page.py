"""Access to the page, without the page: which requests, from whom, how much."""

import base64
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gsa.data.types import Prediction
from gsa.serving import middleware
from gsa.serving.app import NO_PAGE, make_service
from gsa.serving.limits import Limits
from gsa.serving.page import HEADERS, MountedPage, basic_password
from gsa.serving.scheduler import QueryGroup, Scheduler, predict_groups
from serving import ControlledPredictor

TOKEN = "s3cret"


async def shown(scope: Any, receive: Any, send: Any) -> None:
    """A page that answers everything with what it was sent."""
    body = (await receive())["body"] if scope["method"] == "POST" else scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def page(tmp_path: Path) -> MountedPage:
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "made.csv").write_text("text\n")
    return MountedPage(shown, folder, contextlib.nullcontext)


class StubPage:
    """A page that is mounted as it is given."""

    def __init__(self, predictor: ControlledPredictor, mounted: MountedPage) -> None:
        self._predictor, self._mounted = predictor, mounted

    def predict(self, groups: Sequence[QueryGroup]) -> list[list[Prediction]]:
        return predict_groups(self._predictor, groups)

    def mount(self, scheduler: Scheduler, limits: Limits) -> MountedPage:
        return self._mounted


def client_of(
    predictor: ControlledPredictor, page: MountedPage, token: str = "", **limits: Any
) -> TestClient:
    service = make_service(predictor, Limits(**limits), token, StubPage(predictor, page))
    return TestClient(service.app)


def basic(words: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}


def test_only_what_the_page_asks_for_reaches_it(predictor: ControlledPredictor, page: MountedPage) -> None:
    made = page.folder / "made.csv"
    with client_of(predictor, page) as client:
        for path in ("/", "/config", "/theme.css", "/assets/index.js", f"/gradio_api/file={made}"):
            answer = client.get(path)
            assert (answer.status_code, answer.text) == (200, path)
            assert HEADERS.items() <= answer.headers.items()
        for path in (
            "/gradio_api/info", "/gradio_api/vibe-code/", "/gradio_api/proxy=http://a/", "/monitoring",
            "/gradio_api/run/0", "/login", "/gradio_api/deep_link", "/assets/../config", "/no/such",
            "/gradio_api/file=/etc/passwd", f"/gradio_api/file={made}/../../secret",
            f"/gradio_api/file={page.folder}", "/gradio_api/file=http://127.0.0.1/", "/gradio_api/file=a%00b",
        ):  # fmt: skip
            answer = client.get(path.replace("..", "%2e%2e"))
            assert answer.status_code == 404, path
            assert answer.json() == {"detail": "Not Found"} or "error" in answer.json()
        for path in ("/", "/config", "/gradio_api/run/0", "/gradio_api/vibe-edit/", "/login"):
            assert client.post(path, json={}).status_code in (404, 405), path
        assert client.post("/health").status_code == 405, "the routes answer as they do without a page"
        assert client.post("/v1/sentiment", json={"text": "a"}).status_code == 200
        assert "content-security-policy" not in client.get("/health").headers


def test_a_link_out_of_the_folder_is_not_followed(
    predictor: ControlledPredictor, page: MountedPage, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    (page.folder / "link").symlink_to(tmp_path / "secret")
    with client_of(predictor, page) as client:
        assert client.get(f"/gradio_api/file={page.folder / 'link'}").status_code == 404


def test_the_token_is_the_password_that_browsers_ask_for(
    predictor: ControlledPredictor, page: MountedPage
) -> None:
    with client_of(predictor, page, TOKEN) as client:
        for headers in ({}, basic("any:wrong"), basic("any"), {"authorization": f"Bearer {TOKEN}"},
                        {"authorization": "Basic %%%"}):  # fmt: skip
            for path in ("/", "/config", f"/gradio_api/file={page.folder / 'made.csv'}"):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Basic ")
            assert client.post("/gradio_api/queue/join", json={}, headers=headers).status_code == 401
        assert client.get("/", headers=basic(f"any:{TOKEN}")).status_code == 200
        assert client.post("/v1/sentiment", json={"text": "a"}, headers=basic(f":{TOKEN}")).status_code == 401


def test_another_site_cannot_press_the_pages_buttons(
    predictor: ControlledPredictor, page: MountedPage
) -> None:
    with client_of(predictor, page) as client:
        for site, status in {"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200}.items():
            answer = client.post("/gradio_api/queue/join", json={}, headers={"sec-fetch-site": site})
            assert answer.status_code == status
        text = {"content-type": "text/plain"}
        assert client.post("/gradio_api/queue/join", content="{}", headers=text).status_code == 415


def test_what_is_sent_is_bounded(
    predictor: ControlledPredictor, page: MountedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(predictor, page, body=100, upload=1000, storage=3000) as client:
        assert client.post("/gradio_api/queue/join", json="x" * 90).status_code == 200
        assert client.post("/gradio_api/queue/join", json="x" * 110).status_code == 413

        def send(size: int) -> tuple[int, str]:
            answer = client.post("/gradio_api/upload", files={"files": ("a.csv", b"x" * size)})
            return answer.status_code, answer.text

        assert send(500)[0] == 200
        status, text = send(2000)
        assert (status, "expected a body of at most 1,000 bytes" in text) == (413, True)
        assert client.post("/gradio_api/upload", json={}).status_code == 415
        (page.folder / "more").mkdir()
        (page.folder / "more" / "large").write_bytes(b"x" * 2500)
        status, text = send(10)
        assert (status, "the server holds too many files" in text) == (429, True)
        (page.folder / "more" / "large").unlink()
        monkeypatch.setattr(middleware, "MAX_UPLOADS", 0)
        assert send(10)[0] == 429


def test_the_page_is_counted_as_one(predictor: ControlledPredictor, page: MountedPage) -> None:
    with client_of(predictor, page) as client:
        client.get("/assets/index.js")
        client.get("/")
        text = client.get("/metrics").text
        assert 'gsa_requests_total{path="page",status="200"} 2.0' in text


def test_without_a_page_its_place_says_why(predictor: ControlledPredictor) -> None:
    with TestClient(make_service(predictor).app) as client:
        answer = client.get("/")
        assert (answer.status_code, answer.text) == (404, f"{NO_PAGE}\n")
        assert client.get("/gradio_api/queue/data").status_code == 404
        assert "/" not in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", b""), (b"Basic", b""), (b"Bearer eDp5", b""), (b"Basic eDp5", b"y"), (b"basic eDp5", b"y"),
        (b"Basic eHk=", b""), (b"Basic \xff", b""), (b"Basic eDp5Onp6", b"y:zz"),
    ],
)  # fmt: skip
def test_a_password_is_what_follows_the_first_colon(header: bytes, expected: bytes) -> None:
    assert basic_password(header) == expected
