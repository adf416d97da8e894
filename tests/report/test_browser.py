"""The page in a real browser: it renders, it complains of nothing, and the keyboard reaches everything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Request, sync_playwright

from l2l_engine import Prediction
from l2l_engine.report import write_timeline
from l2l_engine.report.words import clock
from tests.report.cases import hostile, make, timed

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SELECTED = "document.querySelector('.steps .on').dataset.step"
FOCUSED = "document.activeElement.getAttribute('aria-label')"
LABELS = "[...document.querySelectorAll('button')].map((button) => button.getAttribute('aria-label'))"
CARDS = "[...document.querySelectorAll('.card')].map((card) => card.dataset.steps.split(' '))"
SHADED = "[...document.querySelectorAll('.span')].map((shade) => shade.getAttribute('width'))"
PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def repeating() -> Prediction:
    """Five steps; the last two chose the same moment."""
    prediction = make(steps=6)
    last = prediction.moments[-1]
    again = replace(last, look_at=prediction.moments[-2].look_at)
    return replace(prediction, moments=(*prediction.moments[:-1], again))


class Tab:
    """One page in a tab of its own, with everything that it asked for and complained about."""

    def __init__(
        self, browser: Browser, path: Path, *, width: int = 1240, height: int = 900, scheme: Any = "light"
    ) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        self._requests: list[str] = []
        self._complaints: list[str] = []
        self.page.on("request", self._asked)
        self.page.on("console", self._said)
        self.page.on("pageerror", self._threw)
        self.page.goto(path.as_uri())
        self.run = self.page.evaluate
        self.press = self.page.keyboard.press

    def _asked(self, request: Request) -> None:
        if not request.url.startswith("data:"):
            self._requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self._complaints.append(message.text)

    def _threw(self, error: Error) -> None:
        self._complaints.append(str(error))

    def complaints(self) -> list[str]:
        """Console errors and warnings, uncaught exceptions and policy violations, once all is painted."""
        self.run(PAINTED)
        return list(self._complaints)

    def requests(self) -> list[str]:
        """Everything the page asked for, itself included, pictures inside the page left out."""
        self.run(PAINTED)
        return list(self._requests)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens files, each in a tab that is closed after the test."""
    tabs: list[Tab] = []

    def show(path: Path, **view: Any) -> Tab:
        tabs.append(Tab(browser, path, **view))
        return tabs[-1]

    yield show
    for tab in tabs:
        tab.page.close()


@pytest.fixture(scope="module")
def page(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "out.html"
    write_timeline(path, repeating(), video)
    return path


@pytest.fixture
def tab(show: Callable[..., Tab], page: Path) -> Tab:
    return show(page)


def test_nothing_that_a_page_complains_of_is_missed(show: Callable[..., Tab], tmp_path: Path) -> None:
    """Else the tests below could not fail."""
    (tmp_path / "bad.html").write_text(
        "<meta http-equiv=Content-Security-Policy content=\"img-src 'none'\"><img src='data:image/png,'>"
        "<script>console.warn('warned'); setTimeout(() => { throw new Error('thrown') })</script>"
        "<script>console.assert(false, 'asserted')</script><script src='gone.js'></script>"
    )
    tab = show(tmp_path / "bad.html")
    told = "\n".join(tab.complaints())
    for expected in ("warned", "thrown", "asserted", "Content Security Policy", "ERR_FILE_NOT_FOUND"):
        assert expected in told
    assert [url.rpartition("/")[2] for url in tab.requests()] == ["bad.html", "gone.js"]


def test_pictures_show_and_nothing_complains(tab: Tab, page: Path) -> None:
    sizes = tab.run(
        "[...document.images].map((i) => [i.complete, i.naturalWidth, i.getBoundingClientRect().width])"
    )
    assert len(sizes) == 5  # four cards, and the selected one enlarged
    assert all(complete and natural == 224 and shown > 30 for complete, natural, shown in sizes)
    drawn = "[...document.querySelectorAll('.picked')].map((use) => use.getBoundingClientRect())"
    assert all(
        box["width"] > 900 and box["height"] > 40 for box in tab.run(f"{drawn}.map((b) => b.toJSON())")
    )
    assert tab.complaints() == []
    assert tab.requests() == [page.as_uri()]


def test_the_keyboard_reaches_every_moment(tab: Tab) -> None:
    everything, cards = tab.run(LABELS), tab.run(CARDS)
    assert len(everything) == 4 + 5  # cards, then steps
    reached = []
    for _ in everything:
        tab.press("Tab")
        reached.append(tab.run(FOCUSED))
    assert reached == everything
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert tab.run(SELECTED) == "1"  # the focus alone chooses nothing
    tab.press("Enter")
    assert tab.run(SELECTED) == "5"
    tab.press("ArrowUp")
    assert tab.run(SELECTED) == "4"
    assert tab.run(FOCUSED).startswith("Step 4")
    tab.run("document.querySelector('.card').focus()")
    for key, card in (("Home", 0), ("ArrowRight", 1), ("End", 3), ("ArrowRight", 3), ("ArrowLeft", 2)):
        tab.press(key)
        assert tab.run(SELECTED) == cards[card][0]
        assert tab.run(FOCUSED) == everything[card]
        assert tab.run("getComputedStyle(document.activeElement.firstElementChild).outlineStyle") == "solid"


def test_a_card_goes_through_the_steps_that_chose_it(tab: Tab) -> None:
    steps = next(steps for steps in tab.run(CARDS) if len(steps) > 1)
    assert steps == ["4", "5"]
    tab.run(f"document.querySelector('.card[data-steps=\"{' '.join(steps)}\"]').focus()")
    seen = []
    for _ in range(3):
        tab.press("Enter")
        seen.append(tab.run(SELECTED))
    assert seen == ["4", "5", "4"]
    assert tab.run("document.querySelectorAll('.card[aria-pressed=true]').length") == 1


def test_selecting_a_moment_shows_its_step(tab: Tab) -> None:
    tab.run("document.querySelector('.card[data-steps=\"3\"]').click()")
    assert tab.run("document.querySelector('.steps .on').dataset.step") == "3"
    assert tab.run("document.querySelector('.look .picked').getAttribute('href')") == "#look-3"
    assert tab.run("document.querySelector('.connectors .on').dataset.steps") == "3"
    assert "Step 3 of 5" in tab.run("document.querySelector('.closer').innerText")
    expected = tab.run("document.querySelector('.steps .on').dataset.listen")
    lines = "[...document.querySelectorAll('.hair.listen')].map((line) => line.getAttribute('x1'))"
    assert tab.run(lines) == [expected, expected]
    tab.run("document.querySelector('.steps li[data-step=\"4\"]').click()")
    assert tab.run(SELECTED) == "4"
    assert tab.complaints() == []


def test_a_phone_shows_it_without_scrolling_sideways(show: Callable[..., Tab], page: Path) -> None:
    tab = show(page, width=360, height=740, scheme="dark")
    assert tab.run("document.documentElement.scrollWidth") == 360
    smallest = (
        "Math.min(...[...document.querySelectorAll('.card')].map((c) => c.getBoundingClientRect().width))"
    )
    assert tab.run(smallest) >= 24
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(17, 19, 21)"
    tab.page.emulate_media(media="print", color_scheme="null")
    assert tab.run("getComputedStyle(document.querySelector('.closer')).display") == "none"
    assert tab.run("document.querySelectorAll('.steps > li').length") == 5
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_keyboard_reaches_every_segment(show: Callable[..., Tab], video: Path, tmp_path: Path) -> None:
    prediction = timed(count=4)
    write_timeline(tmp_path / "out.html", prediction, video)
    tab = show(tmp_path / "out.html")
    assert prediction.segments is not None
    names = [f"{segment.label}, {clock(segment.start_s)}" for segment in prediction.segments]
    bars = tab.run(
        "[...document.querySelectorAll('.bar-button')].map((bar) => bar.getAttribute('aria-label'))"
    )
    assert sorted(bar.partition(" to ")[0] for bar in bars) == sorted(names)
    reached = []
    for _ in range(3 + len(bars) + 3):  # cards, bars, steps
        tab.press("Tab")
        reached.append(tab.run(FOCUSED))
    assert reached[3:-3] == bars
    tab.run("document.querySelector('.bar-button').focus()")
    assert tab.run(SHADED) == ["0", "0", "0"]  # two curves and the sound
    tab.press("Enter")
    assert len(set(tab.run(SHADED))) == 1
    assert tab.run(SHADED)[0] != "0"
    tab.press("End")
    assert tab.run(FOCUSED) == bars[-1]
    tab.press("ArrowLeft")
    tab.press("Space")
    assert tab.run("document.querySelectorAll('.bar-button[aria-pressed=true]').length") == 1
    assert tab.run(SELECTED) == "1"  # which is another thing
    tab.press("Space")
    assert tab.run(SHADED) == ["0", "0", "0"]
    boxes = "[...document.querySelectorAll('.segment')].map((bar) => bar.getBoundingClientRect().toJSON())"
    axis = tab.run("document.querySelector('.bars').getBoundingClientRect().toJSON()")
    for box, name in zip(tab.run(boxes), bars, strict=True):
        segment = next(s for s in prediction.segments if name.startswith(f"{s.label}, {clock(s.start_s)}"))
        assert abs(box["x"] - axis["x"] - segment.start_s / 6 * axis["width"]) < 1
        assert box["height"] >= 12
    assert tab.complaints() == []
    phone = show(tmp_path / "out.html", width=360, height=740, scheme="dark")
    assert phone.run("document.documentElement.scrollWidth") == 360


def test_hostile_names_run_nothing(show: Callable[..., Tab], video: Path, tmp_path: Path) -> None:
    text = "\"'></title></script><script>window.hit=1</script><img src=x onerror=window.hit=1>"
    write_timeline(tmp_path / "out.html", hostile(text), video)
    tab = show(tmp_path / "out.html")
    assert tab.run("typeof window.hit") == "undefined"
    assert tab.run("document.querySelector('h1').textContent") == text
    assert tab.run("document.querySelectorAll('script').length") == 1
    assert tab.complaints() == []
    # The policy holds even for markup that got in.
    tab.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"window.hit=1\">')")
    assert any("Content Security Policy" in complaint for complaint in tab.complaints())
    assert tab.run("typeof window.hit") == "undefined"
