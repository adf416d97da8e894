"""The page at / in a real browser: drop a video, see how it goes, reach its moments by keyboard."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from l2l_engine.serve import Settings
from l2l_engine.serve.server import make_server
from tests.report.test_browser import browser
from tests.serve.conftest import Running, Start, running

__all__ = ["browser"]

DEMO = Path(__file__).parents[2] / "demo"
DESKTOP, PHONE = (1240, 900), (360, 740)


class Visit:
    """The page in a tab of its own, with everything it asked for and complained about."""

    def __init__(self, browser: Browser, url: str, size: tuple[int, int], **view: Any) -> None:
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **view)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)

    def drop(self, path: Path) -> None:
        """Drop a file as a hand would."""
        script = """async ([name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name));
          const at = document.querySelector('.drop');
          for (const kind of ['dragover', 'drop'])
            at.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
        self.page.evaluate(script, [path.name, list(path.read_bytes())])

    def result(self) -> Any:
        """The timeline, once it is there."""
        frame = self.page.frame_locator("iframe")
        frame.locator("h1").wait_for(timeout=60_000)
        return frame

    def picture(self, name: str) -> None:
        """Keep a picture of it, where a folder for them is named."""
        folder = os.environ.get("L2L_PICTURES")
        if folder:
            self.page.screenshot(path=Path(folder) / name)


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    """The demo's plan: it chooses several moments."""
    settings = Settings(plans={"demo": DEMO / "demo.plan"})
    with running(make_server(settings, host="127.0.0.1", port=0)) as there:
        yield there


@pytest.fixture
def visit(browser: Browser, service: Running, request: pytest.FixtureRequest) -> Iterator[Visit]:
    there = Visit(browser, service.url, getattr(request, "param", DESKTOP))
    yield there
    there.context.close()


def test_nothing_is_fetched_from_elsewhere(visit: Visit, service: Running) -> None:
    assert visit.asked == [f"{service.url}/"]
    assert visit.complaints == []


@pytest.mark.parametrize("visit", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
def test_a_dropped_video_becomes_a_timeline(visit: Visit, service: Running) -> None:
    width = visit.page.viewport_size["width"]  # type: ignore[index]
    visit.picture(f"service-start-{width}.png")
    visit.drop(DEMO / "ring-spinning.mp4")
    result = visit.result()
    cards = result.locator(".card")
    assert cards.count() > 1
    assert result.locator(".card img").first.evaluate("(image) => image.naturalWidth") == 224
    # Nobody scrolls in two places, nor sideways.
    frame = visit.page.locator("iframe")
    inside = "document.querySelector('iframe').contentDocument.documentElement"
    visit.page.wait_for_function(
        f"Math.abs({inside}.scrollHeight - document.querySelector('iframe').clientHeight) < 2"
    )
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    assert frame.is_visible()
    visit.picture(f"service-done-{width}.png")
    # By Tab from where the focus was put to the moments, and there by the arrows.
    where = f"{inside}.ownerDocument.activeElement?.className"
    for _ in range(4):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate(where) == "card":
            break
    assert visit.page.evaluate(where) == "card"
    visit.page.keyboard.press("End")
    assert cards.last.get_attribute("aria-pressed") == "true"
    assert visit.complaints == []
    assert {url.split("/")[2] for url in visit.asked if url.startswith("http")} == {service.url.split("/")[2]}


def test_a_file_is_chosen_by_keyboard_and_another_after_it(visit: Visit, video: Path) -> None:
    visit.page.locator("#video").set_input_files(video)
    visit.result()
    assert visit.page.evaluate("document.activeElement.className") == "again"
    assert visit.page.locator("a[download]").get_attribute("href").startswith("blob:")  # type: ignore[union-attr]
    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.activeElement.id") == "video"
    assert visit.page.locator("iframe").is_hidden()


def test_what_went_wrong_is_said(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"no video")
    visit.drop(tmp_path / "no.mp4")
    problem = visit.page.locator(".problem")
    problem.wait_for()
    assert "no.mp4" in problem.inner_text()
    assert visit.page.locator("button[type=submit]").is_enabled()
    # The browser itself says in the console that a request was refused; the page says nothing.
    assert all("422" in complaint for complaint in visit.complaints)


def test_a_long_wait_can_be_seen_and_cancelled(browser: Browser, start: Start, video: Path) -> None:
    there = start(workers=1)
    gate = threading.Event()
    held = there.service.queue._pool.submit(gate.wait)
    visit = Visit(browser, there.url, DESKTOP)
    visit.drop(video)
    visit.page.get_by_text("Waiting for its turn").wait_for()
    visit.page.keyboard.press("Enter")  # the focus is on Cancel
    visit.page.locator(".state").wait_for(state="hidden")
    gate.set()
    held.result()
    assert visit.complaints == []
    visit.context.close()


def test_without_script_the_form_works(browser: Browser, service: Running, video: Path) -> None:
    visit = Visit(browser, service.url, DESKTOP, java_script_enabled=False)
    visit.page.locator("#video").set_input_files(video)
    visit.page.get_by_role("button", name="Say what happens").click()
    visit.page.locator("h1").wait_for()
    visit.page.wait_for_url("**/timeline")
    assert "event" in visit.page.title() or visit.page.locator(".card").count() > 0
    visit.context.close()
