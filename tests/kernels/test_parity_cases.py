"""The covering choice of test_parity really has the sizes that are known to go wrong."""

import numpy as np
from skim_cases import irregular_knots, random_batch
from test_parity import CASES, EVEN, ODD


def test_sizes():
    sizes = {case.sizes for case in CASES.values()}
    moments = {n for videos in sizes for n, _, _ in videos}
    assert {1, 2, 7, 129, 205, 1134} <= moments
    pairs = {(n, m) for videos in sizes for n, *knots in videos for m in knots}
    assert any(m == 1 < n for n, m in pairs)
    assert any(1 < m < n for n, m in pairs)
    assert any(m == n > 1 for n, m in pairs)
    assert any(image != audio for videos in sizes for _, image, audio in videos)
    assert {1, 3, 33} <= {len(videos) for videos in sizes}
    assert any(len({n for n, _, _ in videos}) > 1 for videos in sizes), "unequal lengths"
    assert {1, 3, 10} <= {case.steps for case in CASES.values()}
    assert all(size % 16 for size in (ODD.features, ODD.fused, ODD.state, ODD.keys))
    assert not any(size % 16 for size in (EVEN.features, EVEN.fused, EVEN.state, EVEN.keys))
    presets = {case.preset[1].get("exclude_previous_argmax", False) for case in CASES.values()}
    assert presets == {False, True}


def test_knots():
    rng = np.random.default_rng(0)
    drawn = [irregular_knots(rng, 9, 10.0) for _ in range(50)]
    assert all(len(set(np.diff(knots).round(6))) > 1 for knots in drawn), "unequal gaps"
    assert any(knots[0] < 0 for knots in drawn)
    assert any(knots[-1] > 10 for knots in drawn)
    assert any(knots[0] > 0 and knots[-1] < 10 for knots in drawn)
    on = random_batch(rng, 4, [(7, 3, 5)], on_timestamps=True)
    image_times, audio_times, timestamps = on.arguments[2:]
    assert set(image_times[0]) <= set(timestamps[0])
    assert set(audio_times[0]) <= set(timestamps[0])
