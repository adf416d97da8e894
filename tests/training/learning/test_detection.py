"""Average precision by temporal overlap, against a plain walk over lists, and cases known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.learning.detection import (
    Stretch,
    edge_errors,
    f1,
    interval,
    match,
    mean_precision,
    overlap,
    ranked,
    resampled,
)

VIDEOS = ("a", "b", "c")


@st.composite
def stretches(draw: st.DrawFn, most: int) -> list[Stretch]:
    found = []
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, 20))
        length = draw(st.integers(1, 8))
        video, label = draw(st.sampled_from(VIDEOS)), draw(st.sampled_from("xyz"))
        found.append(Stretch(video, label, start, start + length, draw(st.integers(0, 4)) / 4))
    return found


def walked(found: list[Stretch], truth: list[Stretch], least: float) -> float:
    """The mean average precision, one found stretch, one recall, one precision after the other."""
    labels = {stretch.label for stretch in truth}
    precisions = []
    for label in labels:
        left = [stretch for stretch in truth if stretch.label == label]
        wanted, points, right = len(left), [], 0
        mine = sorted(
            (s for s in found if s.label == label), key=lambda s: (-s.score, s.video, s.start, s.end)
        )
        for number, stretch in enumerate(mine, start=1):
            best, most = None, 0.0
            for true in left:
                if true.video != stretch.video:
                    continue
                low, high = max(true.start, stretch.start), min(true.end, stretch.end)
                both = true.end - true.start + stretch.end - stretch.start
                shared = max(0.0, high - low)
                if shared / (both - shared) > most:
                    best, most = true, shared / (both - shared)
            if best is not None and most >= least:
                left.remove(best)
                right += 1
            points.append((right / wanted, right / number))
        area, before = 0.0, 0.0
        for index, (recall, _) in enumerate(points):
            area += (recall - before) * max(precision for _, precision in points[index:])
            before = recall
        precisions.append(area)
    return sum(precisions) / len(precisions)


@settings(max_examples=150, deadline=None)
@given(stretches(8), stretches(6).filter(len), st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0]))
def test_equals_a_plain_walk(found, truth, least):
    assert mean_precision(found, truth, VIDEOS, least) == pytest.approx(walked(found, truth, least))


@settings(max_examples=50, deadline=None)
@given(stretches(8), stretches(6).filter(len))
def test_nothing_is_taken_twice_and_only_of_its_own(found, truth):
    in_order = ranked(found)
    taken = match(in_order, truth, 0.3)
    assert len({id(t) for t in taken if t is not None}) == sum(t is not None for t in taken)
    for stretch, true in zip(in_order, taken, strict=True):
        if true is not None:
            assert (stretch.video, stretch.label) == (true.video, true.label)
            assert overlap(stretch, true) >= 0.3


def test_overlap():
    one = Stretch("a", "x", 2, 6)
    assert overlap(one, Stretch("a", "x", 4, 8)) == pytest.approx(2 / 6)
    assert overlap(one, one) == 1
    assert overlap(one, Stretch("a", "x", 6, 8)) == 0


def test_the_truth_itself_is_perfect_and_the_surest_mistake_costs_half():
    truth = [Stretch("a", "x", 0, 4)]
    assert mean_precision(truth, truth, VIDEOS, 0.7) == 1
    wrong = Stretch("b", "x", 0, 4, score=2.0)
    assert mean_precision([*truth, wrong], truth, VIDEOS, 0.7) == 0.5
    assert mean_precision([*truth, Stretch("b", "x", 0, 4, score=0.5)], truth, VIDEOS, 0.7) == 1
    assert f1([*truth, wrong], truth, 0.7) == pytest.approx(2 / 3)


def test_a_second_copy_is_a_mistake():
    truth = [Stretch("a", "x", 0, 4)]
    twice = [Stretch("a", "x", 0, 4, 0.9), Stretch("a", "x", 0, 4, 0.8)]
    assert match(ranked(twice), truth, 0.5) == [truth[0], None]


def test_errors_of_edges_are_signed():
    truth = [Stretch("a", "x", 2, 6), Stretch("b", "x", 1, 3)]
    errors = edge_errors([Stretch("a", "x", 1.5, 6.25), Stretch("c", "x", 1, 3)], truth, 0.3)
    assert errors.tolist() == [[-0.5, 0.25]]


def test_resampling_repeats_videos_as_writing_them_twice_would():
    """The draws' mean lies by the figure itself, and a method that is better in every video always is."""
    rng = np.random.default_rng(3)
    videos = [f"v{number:02d}" for number in range(40)]
    truth = [Stretch(video, "xy"[number % 2], 2, 6) for number, video in enumerate(videos)]
    good = [Stretch(t.video, t.label, 2, 6, float(rng.random())) for t in truth]
    poor = [s for number, s in enumerate(good) if number % 4]
    draws = resampled({"good": good, "poor": poor}, truth, videos, 0.5)
    assert np.all(draws["good"] == 1)
    low, high = interval(draws["good"] - draws["poor"])
    assert 0 < low < 1 - mean_precision(poor, truth, videos, 0.5) < high


def test_a_video_drawn_twice_counts_as_two():
    truth = [Stretch("a", "x", 0, 4), Stretch("b", "x", 0, 4)]
    found = [Stretch("a", "x", 0, 4, 0.9), Stretch("b", "x", 9, 12, 0.8), Stretch("b", "x", 0, 4, 0.7)]
    draws = resampled({"one": found}, truth, ("a", "b"), 0.5)["one"]
    # "a" twice: all right; "b" twice: each copy's mistake before each copy's right one; both once.
    assert sorted(set(np.round(draws, 6))) == [0.5, round((1 + 2 / 3) / 2, 6), 1.0]
