"""What can be measured of the looks: contrast, and words for numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from l2l_engine.report.geometry import Axis, scaled, thinned
from l2l_engine.report.stops import slots, stops
from l2l_engine.report.words import clock, duration_of_work, percent, visible, whole_percents
from tests.report.cases import make

STYLE = files("l2l_engine.report").joinpath("page.css").read_text(encoding="utf-8")


def colours(scheme: str) -> dict[str, str]:
    light, dark = (
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", STYLE, re.S)[:2]
    )
    return light if scheme == "light" else light | dark


def luminance(colour: str) -> float:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 for words, 3 for graphics that carry meaning."""
    named = colours(scheme)
    for words in ("ink", "soft", "look", "listen"):
        for ground in ("paper", "raised", "faint"):
            assert contrast(named[words], named[ground]) >= 4.5, (scheme, words, ground)
    assert contrast(named["levels"], named["paper"]) >= 3
    assert contrast(named["paper"], named["ink"]) >= 4.5


@pytest.mark.parametrize(
    ("seconds", "decimals", "words"),
    [
        (0, 1, "0:00.0"),
        (59.96, 1, "1:00.0"),
        (72.34, 1, "1:12.3"),
        (3599.6, 0, "1:00:00"),
        (-1, 0, "0:00"),
        (86400, 1, "24:00:00.0"),
    ],
)
def test_clock(seconds: float, decimals: int, words: str) -> None:
    assert clock(seconds, decimals) == words


def test_shares_are_not_rounded_to_certainty() -> None:
    assert [percent(p) for p in (0, 1e-9, 0.5, 0.99999, 1)] == ["0.0%", "<0.1%", "50.0%", ">99.9%", "100.0%"]
    assert whole_percents(0.335, 0.665) in {("33%", "67%"), ("34%", "66%")}
    assert whole_percents(0, 0) == ("0%", "100%")
    assert [duration_of_work(s) for s in (0, 0.0124, 0.9999, 12.34)] == ["0 ms", "12 ms", "1.0 s", "12.3 s"]


def test_invisible_characters_are_spelled_out() -> None:
    assert visible("a\u202eb\udcff\n") == "a\\u202eb\\udcff\\n"
    assert visible("👩\u200d🚀 ünï") == "👩\u200d🚀 ünï"


@pytest.mark.parametrize("duration", [0.04, 0.2, 1.0, 6.0, 59.0, 600.0, 10800.0, 86400.0])
def test_the_axis_has_a_few_round_ticks(duration: float) -> None:
    ticks = Axis(duration).ticks()
    assert 1 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] < duration or len(ticks) == 1


@pytest.mark.parametrize("count", [1, 2, 500, 501, 20250, 160000])
def test_thinning_keeps_the_peaks(count: int) -> None:
    values = np.random.default_rng(count).random(count)
    times, kept = thinned(np.arange(count, dtype=float), values)
    assert len(kept) <= 500
    assert kept.max() == values.max()
    assert times[kept.argmax()] == values.argmax()
    assert (np.diff(times) > 0).all()


def test_an_attention_that_is_nothing_or_nonsense_is_flat() -> None:
    for values in (np.zeros(3), np.full(3, np.nan), np.zeros(0)):
        x, heights = scaled(np.arange(len(values)), values, Axis(3.0))
        assert (heights == 0).all()
        assert (x[0], x[-1]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0], [0]),
        ([6.0], [5]),
        ([3.0, 5.9], [3, 5]),
        ([5.7, 5.8, 5.9], [3, 4, 5]),
        ([0.0, 0.1, 0.2], [0, 1, 2]),
        ([float(t) / 2 for t in range(9)], list(range(9))),
    ],
)
def test_cards_stand_near_their_moments_in_order(times: list[float], expected: list[int]) -> None:
    first = make().moments[0]
    places = stops(replace(first, step=step + 1, look_at=time) for step, time in enumerate(times))
    taken, count = slots(places, Axis(6.0))
    assert taken == expected
    assert count == max(6, len(times))
