"""What the page says, and that it says it to nobody else."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from pathlib import Path

import av
import pytest

from l2l_engine.report import write_timeline
from l2l_engine.report.evidence import Evidence
from l2l_engine.report.page import render
from l2l_engine.report.words import clock, percent
from tests.report.cases import AWKWARD, from_features, hostile, make, timed
from tests.report.reading import Node, read, skeleton

HOSTILE = (
    '"><script>alert(1)</script>',
    "</title></style><img src=x onerror=alert(1)>",
    "' onload='alert(1)",
    "<!-- ]]> {{7*7}} $body ${style} %s &amp; &#60;b&#62;",
    "javascript:alert(1)",
    "\u202egpj.\u2066exe",
    "\x00\x07\x1b[31m\r\n\t\u2028",
    "\udcff\ud800 not text",
)


@pytest.fixture(scope="module")
def page(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Node:
    path = tmp_path_factory.mktemp("page") / "out.html"
    write_timeline(path, make(), video)
    return read(path.read_text(encoding="utf-8"))


def test_the_answer_is_on_top(page: Node) -> None:
    prediction = make()
    assert page.all("h1")[0].text == prediction.label
    ranking = page.all("ol", class_="ranking")[0].all("li")
    assert [row.all("bdi")[0].text for row in ranking] == [name for name, _ in prediction.top_k]
    assert f"{prediction.confidence:.1%}" in page.all("p", class_="sure")[0].text


def test_every_moment_is_a_button_with_its_picture(page: Node) -> None:
    cards = page.all("button", class_="card")
    moments = sorted(make().moments, key=lambda moment: moment.look_at or 0.0)
    assert [card.attributes["data-steps"] for card in cards] == [str(moment.step) for moment in moments]
    for card, moment in zip(cards, moments, strict=True):
        assert card.attributes["aria-label"] == f"Looked at 0:0{moment.look_at:.1f} in step {moment.step}"
        data = base64.b64decode(card.all("img")[0].attributes["src"].partition("base64,")[2])
        with av.open(io.BytesIO(data), format="mjpeg") as picture:
            frame = next(picture.decode(video=0)).to_ndarray(format="rgb24")
        red = frame[..., 0].mean() - frame[..., 1].mean() > 100
        assert red == (2.0 <= (moment.look_at or 0.0) < 4.0)


def test_a_moment_chosen_by_many_steps_is_one_card() -> None:
    moments = make(steps=8).moments
    same = tuple(replace(m, look_at=3.2 if m.step > 2 else 0.0) for m in moments)
    page = read(render(replace(make(), moments=same), Evidence()))
    cards = page.all("button", class_="card")
    assert [card.all("span", class_="number")[0].text for card in cards] == ["1, 2", "3–7"]
    assert cards[1].attributes["aria-label"] == "Looked at 0:03.2 in steps 3, 4, 5, 6, 7"
    assert len(page.all("ol", class_="steps")[0].all("li")) == 7
    assert "7 choices of 2 moments" in page.all("figcaption")[0].text


def test_every_step_has_its_curves_and_scores(page: Node) -> None:
    rows = page.all("ol", class_="steps")[0].all("li")
    moments = make().moments
    assert len(rows) == len(moments)
    for row, moment in zip(rows, moments, strict=True):
        for kind in ("look", "listen"):
            assert len(row.all("path", id_=f"{kind}-{moment.step}")) == 1
        assert f"{moment.modality_scores[0]:.0%} picture" in row.text
        assert "looked at most at" in row.all("svg", class_="plot")[0].attributes["aria-label"]


def test_the_waveform_is_loud_where_the_file_is(page: Node) -> None:
    d = page.all("path", class_="peaks")[0].attributes["d"]
    points = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", d)]
    loud = [x * 6 / 1000 for x, y in points if y < 25]
    assert 1.9 < min(loud) < 2.1
    assert 3.9 < max(loud) < 4.1


def test_what_was_read_and_where_the_time_went(page: Node) -> None:
    details = page.all("section", class_="details")[0].text
    for fact in ("h264, 160 × 120", "aac, 16 kHz, mono", "pyav", "fp32", "cpu", "400 ms", "690 ms", "120"):
        assert fact in details


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_predictions_give_a_sound_page(name: str) -> None:
    prediction = AWKWARD[name]
    page = read(render(prediction, Evidence()))
    everything = page.every()
    ids = [node.attributes["id"] for node in everything if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for node in everything:
        if node.tag == "use":
            assert node.attributes["href"][1:] in ids
        for value in node.attributes.values():
            assert not re.search(r"\b(nan|inf|None)\b", value), (node.tag, value)
    cards, steps = page.all("button", class_="card"), page.all("button", class_="number")
    held = [int(step) for card in cards for step in card.attributes["data-steps"].split()]
    assert sorted(held) == [int(step.text) for step in steps]
    assert len(steps) == len(prediction.moments)
    assert len(page.all("svg", class_="plot")) == len(prediction.moments)
    assert page.all("svg", class_="scale")[0].all("text")


def test_a_long_video_stays_a_light_page() -> None:
    assert len(render(AWKWARD["three hours"], Evidence())) < 500_000


def test_a_missing_sense_is_left_out() -> None:
    look_only = read(render(AWKWARD["look-only"], Evidence()))
    assert look_only.all("div", class_="band")
    assert not look_only.all("path", class_="listen")
    assert "Audio none" in look_only.all("section", class_="details")[0].text
    listen_only = read(render(AWKWARD["listen-only"], Evidence()))
    assert not listen_only.all("path", class_="look")
    assert listen_only.all("button")[0].attributes["aria-label"].count("looked at") == 0


def test_one_step_says_that_it_chose_nothing() -> None:
    page = read(render(AWKWARD["one step"], Evidence()))
    assert "chose no moments" in page.all("figcaption")[0].text
    assert not page.all("ol", class_="steps")


def test_tags_are_told_with_their_moments() -> None:
    text = read(render(AWKWARD["tags"], Evidence())).text
    for words in ("a tag, not an action", "not actions", "Heard", "Seen", "Speech", "90.0%", "0:04.0"):
        assert words in text
    assert "Heard" not in read(render(AWKWARD["ordinary"], Evidence())).text


def test_segments_are_bars_by_class_and_a_list() -> None:
    prediction = timed(count=5, duration=60.0)
    page = read(render(prediction, Evidence()))
    buttons = page.all("g", class_="bar-button")
    assert prediction.segments is not None
    told = {
        f"{s.label}, {clock(s.start_s)} to {clock(s.end_s)}, {percent(s.score)}": s
        for s in prediction.segments
    }
    assert {button.attributes["aria-label"] for button in buttons} == set(told)
    for button in buttons:
        (bar,), segment = button.all("rect"), told[button.attributes["aria-label"]]
        assert button.attributes["role"] == "button"
        assert button.attributes["tabindex"] == "0"
        left, width = (float(bar.attributes[name].rstrip("%")) for name in ("x", "width"))
        assert left == pytest.approx(100 * segment.start_s / 60, abs=0.01)
        assert left + width == pytest.approx(100 * segment.end_s / 60, abs=0.01)
    (picture,) = page.all("svg", class_="bars")
    assert [text.text for text in picture.all("text")] == [name for name, _ in prediction.top_k]
    rows = page.all("ol", class_="segments")[0].all("li")
    assert [row.all("bdi")[0].text for row in rows] == [segment.label for segment in prediction.segments]
    assert "5 segments of 3 classes" in page.all("figcaption")[0].text
    others = page.all("p", class_="also")[0].all("bdi")
    assert [name.text for name in others] == ["box sliding", "star shaking"]


def test_a_plan_without_segments_and_one_that_found_none() -> None:
    nothing = read(render(AWKWARD["no segments"], Evidence()))
    assert "no class reaches its threshold" in nothing.text
    assert not nothing.all("svg", class_="bars")
    assert nothing.all("h2", id_="when")
    assert not read(render(AWKWARD["ordinary"], Evidence())).all("h2", id_="when")


def test_of_many_segments_the_surest_are_shown() -> None:
    prediction = AWKWARD["segments of a day"]
    html = render(prediction, Evidence())
    page = read(html)
    assert (
        len(page.all("g", class_="bar-button")) == len(page.all("ol", class_="segments")[0].all("li")) == 200
    )
    assert "700 more" in page.text
    assert len(html) < 500_000


def test_doubt_is_told() -> None:
    text = read(render(AWKWARD["unsure"], Evidence())).text
    assert "unsure" in text
    assert "none of the classes" in text
    assert "unsure" not in read(render(AWKWARD["ordinary"], Evidence())).text


def test_features_need_no_file(tmp_path: Path) -> None:
    write_timeline(tmp_path / "out.html", from_features(), None)
    page = read((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert "features were given" in page.text
    assert not page.all("img")
    assert not page.all("p", class_="note")


@pytest.mark.parametrize("text", HOSTILE)
def test_words_of_others_stay_words(text: str) -> None:
    html = render(hostile(text), Evidence())
    html.encode("utf-8")
    page = read(html)
    assert skeleton(page) == skeleton(read(render(hostile("t" * len(text)), Evidence())))
    spelled = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    assert page.all("h1")[0].text == " ".join(spelled.split())
    assert page.all("title")[0].text.startswith(" ".join(spelled.split()))


@pytest.mark.parametrize("name", ["ordinary", "long names"])
def test_nothing_is_fetched(name: str, video: Path, tmp_path: Path) -> None:
    write_timeline(tmp_path / "out.html", AWKWARD[name], video)
    page = read((tmp_path / "out.html").read_text(encoding="utf-8"))
    for node in page.every():
        for attribute, value in node.attributes.items():
            assert attribute != "style", f"the policy forbids it: {node.tag}"
            assert not attribute.startswith("on"), (node.tag, attribute)
            if attribute in {"src", "href", "srcset", "data", "action", "poster"}:
                assert value.startswith(("data:", "#")), (node.tag, value)
    (style,), (script,) = page.all("style"), page.all("script")
    assert not re.search(r"url\(|@import|expression\(", style.words[0])
    assert not re.search(r"fetch|XMLHttp|import|eval|innerHTML|https?:", script.words[0])


def test_the_policy_allows_this_style_and_script_alone(page: Node) -> None:
    (policy,) = page.all("meta", http_equiv="Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.attributes["content"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        digest = hashlib.sha256("".join(page.all(tag)[0].words).encode()).digest()
        assert rules[kind] == f"'sha256-{base64.b64encode(digest).decode()}'"


def test_the_folder_of_the_file_is_nobodys_business(tmp_path: Path) -> None:
    gone = tmp_path / "private" / "event.mp4"
    write_timeline(tmp_path / "out.html", make(path=str(gone)), gone)
    html = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "event.mp4: no such file" in html
    assert "private" not in html


def test_it_says_what_bounded_the_work() -> None:
    whole = make(duration=30.0)
    assert whole.media is not None
    planned = replace(whole.media, image_knots=3, image_planned=9, sampling="listen")
    cut = replace(whole, media=planned, stopped_by="budget")
    text = render(cut, Evidence())
    for expected in ("3 of 9", "the time was up", "listen"):
        assert expected in text
    assert "the time was up" not in render(whole, Evidence())
