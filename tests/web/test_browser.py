"""The page in a browser: every tab clicked through, no request to another host, no error in the console."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gsa.serving.app import Service
from gsa.web import examples
from serving import ControlledPredictor, listening, until

pytest.importorskip("gradio", reason="needs the extra `web`")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the group dev")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium is installed: apt-get install chromium"),
]
WIDE, NARROW = (1280, 900), (360, 740)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser: Any) -> Any:
    """One cache for all tests, so that the page's scripts are compiled once."""
    return browser.new_context()


@pytest.fixture
def page(request: pytest.FixtureRequest, context: Any, page_url: str) -> Iterator[Any]:
    """The page, loaded, narrow if not said otherwise; afterwards nothing may have gone elsewhere or wrong."""
    width, height = getattr(request, "param", NARROW)
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda m: wrong.append((m.text, m.location)) if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.set_default_timeout(60_000)  # machines are shared
    page.goto(page_url)
    page.wait_for_selector("#text-go")
    yield page
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off at the right"
    page.close()
    assert len(asked) > 10
    assert {url for url in asked if not url.startswith((f"{page_url}/", "data:", "blob:"))} == set()
    assert wrong == []


in_both_widths = pytest.mark.parametrize("page", [WIDE, NARROW], ids=["wide", "narrow"], indirect=True)


def tab(page: Any, name: str) -> None:
    """Go to a tab; none hides in a menu, even on the narrow page."""
    page.get_by_role("tab", name=name, exact=True).click()


@in_both_widths
def test_a_text(page: Any) -> None:
    page.locator("button:visible", has_text="a broken zip").click()
    assert page.locator("#text-in textarea").input_value() == examples.TEXTS["a broken zip"]
    page.locator("#text-go").click()
    page.wait_for_selector("#text-out [data-testid=label-output-value]")
    assert page.locator("#text-out button.confidence-set, #text-out .confidence-set").count() == 3
    assert re.search(r"\d%", page.locator("#text-out").inner_text())
    page.locator("#text-in textarea").fill("")
    page.locator("#text-go").click()
    page.wait_for_selector(".toast-wrap :text('expected a text, found an empty one')")


@in_both_widths
def test_a_conversation_and_what_looks_like_markup(page: Any) -> None:
    tab(page, "Conversation")
    hostile = "<img src=x onerror=alert(1)>: ${alert(2)} {{constructor}} <script>alert(3)</script>"
    page.locator("#talk-in textarea").fill(f"Mara: Hello!\n\n{hostile}\nمريم: مرحبا 😀\nno name here")
    page.locator("#talk-go").click()
    page.wait_for_selector("#talk-out .gsa-conversation")
    assert page.locator("#talk-out .gsa-turn").count() == 4
    page.wait_for_selector("#talk-plot canvas, #talk-plot svg.marks")
    said = page.locator("#talk-out").inner_text()
    assert "<img src=x onerror=alert(1)>" in said
    assert "${alert(2)} {{constructor}} <script>alert(3)</script>" in said
    assert page.locator("#talk-out img, #talk-out script").count() == 0


def test_a_file(page: Any, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("id,text\n1,It was fine.\n2,\n3,Dreadful!\n")
    tab(page, "File")
    page.locator("#file-in input[type=file]").set_input_files(source)
    page.wait_for_selector("#file-in :text('rows.csv'), #file-in a")
    page.locator("#file-go").click()
    page.wait_for_selector("#file-out :text('2 rows labelled, 1 rejected')")
    with page.expect_download() as waiting:
        page.locator("#file-done a").first.click()
    rows = Path(waiting.value.path()).read_text().splitlines()
    assert rows[0].startswith("id,text,predicted,p_")
    assert len(rows) == 3
    assert "rejected" in page.locator("#file-bad").inner_text()


def test_a_file_can_be_stopped(page: Any, tuned_predictor: ControlledPredictor, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("text\n" + "It was fine.\n" * 200)
    tuned_predictor.go.clear()
    tuned_predictor.calls.clear()
    tab(page, "File")
    page.locator("#file-in input[type=file]").set_input_files(source)
    page.wait_for_selector("#file-in :text('rows.csv'), #file-in a")
    page.locator("#file-go").click()
    page.wait_for_selector("#file-out :text('reading the file')")
    until(lambda: tuned_predictor.calls)
    page.locator("#file-stop").click()
    page.wait_for_selector("#file-out :text('stopped')")
    page.wait_for_timeout(3000)  # the note is there before the server has heeded the press
    tuned_predictor.go.set()
    done = page.locator("#file-out :text('200 rows labelled')")

    def labelled() -> bool:  # a press is not heeded before the browser has noted that the last one ended
        page.locator("#file-go").click()
        for _ in range(50):
            if done.count() or page.locator("#file-out :text('stopped')").count():
                break
            page.wait_for_timeout(100)
        return bool(done.count())

    until(labelled, 60)
    assert sum(map(len, tuned_predictor.calls)) <= 200 + 64, "what was stopped was not labelled to its end"


def test_the_token_is_asked_for_and_then_everything_works(
    browser: Any, make_page_service: Callable[..., Service]
) -> None:
    with listening(make_page_service("s3cret")) as ((host, port), _):
        for word, status in {"wrong": 401, "s3cret": 200}.items():
            context = browser.new_context(http_credentials={"username": "me", "password": word})
            page = context.new_page()
            page.set_default_timeout(60_000)
            answer = page.goto(f"http://{host}:{port}/")
            assert answer.status == status
            if status == 200:
                page.locator("#text-in textarea").fill("It was fine.")
                page.locator("#text-go").click()
                page.wait_for_selector("#text-out [data-testid=label-output-value]")
            context.close()


@in_both_widths
def test_the_levels(page: Any) -> None:
    tab(page, "Levels")
    page.locator("button:visible", has_text="a night at the hotel").click()
    page.locator("#levels-go").click()
    page.wait_for_selector(".gsa-level [data-testid=label-output-value]")
    names = page.locator(".gsa-level").all_inner_texts()
    assert [name.split("\n")[0] for name in names] == ["untuned", "after SA", "after ERC", "after SD"]


def test_the_keyboard_suffices(page: Any) -> None:
    page.locator("#text-in textarea").focus()
    page.keyboard.type("It was fine.")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "text-go":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#text-out [data-testid=label-output-value]")
