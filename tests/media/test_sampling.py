from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2l_engine.media import knots, open_media, timestamps
from l2l_engine.media.sampling import Policy, image_knots, thin

from .makers import media

HOPS = st.floats(0.01, 10.0)


@pytest.mark.parametrize(
    ("duration", "hop", "count"),
    [(0.0, 0.5, 1), (0.1, 0.5, 1), (0.5, 0.5, 1), (0.51, 0.5, 2), (1.0, 0.1, 10), (10.0, 16 / 30, 19)],
)
def test_counts(duration: float, hop: float, count: int) -> None:
    assert timestamps(duration, hop).tolist() == [j * hop for j in range(count)]


@given(HOPS, st.integers(1, 2000))
def test_whole_numbers_of_hops_open_no_further_one(hop: float, count: int) -> None:
    summed = sum([hop] * count)  # not exactly hop * count
    assert len(timestamps(summed, hop)) == count
    assert len(timestamps(hop * count, hop)) == count


@given(st.floats(0.0, 2000.0), HOPS)
def test_every_moment_is_covered_and_none_lies_past_the_end(duration: float, hop: float) -> None:
    times = timestamps(duration, hop)
    assert times.dtype == np.float64
    assert times[0] == 0.0
    assert times[-1] < max(duration, 1e-9) or len(times) == 1
    assert duration <= len(times) * hop * (1 + 1e-5)
    assert len(times) <= max(1, math.ceil(duration / hop))


@pytest.mark.parametrize(
    ("duration", "hop"), [(-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (1.0, 0.0), (1.0, math.nan)]
)
def test_nonsense_is_refused(duration: float, hop: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        timestamps(duration, hop)


@given(st.integers(1, 300), st.integers(1, 20))
def test_knots_are_every_kth_from_the_first(count: int, factor: int) -> None:
    times = timestamps(count * 0.5, 0.5)
    assert knots(times, factor).tolist() == [0.5 * j for j in range(0, count, factor)]


def test_a_factor_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="factor"):
        knots(np.zeros(3), 0)


GROUPS = st.lists(st.floats(0.04, 12.0), min_size=1, max_size=30)
GAPS = st.floats(0.1, 8.0)


def decoded(chosen: np.ndarray, keys: np.ndarray) -> float:
    """Seconds of video that go through a decoder which restarts at every key frame it can."""
    total, position = 0.0, -1.0
    for moment in chosen:
        key = keys[max(0, int(np.searchsorted(keys, moment + 1e-9, side="right")) - 1)]
        total += max(0.0, moment - max(key, position))
        position = moment
    return total


@given(GROUPS, GAPS)
def test_auto_leaves_no_gap_and_decodes_the_least(groups: list[float], gap: float) -> None:
    keys = np.concatenate([[0.0], np.cumsum(groups)])
    times = timestamps(float(keys[-1]) + 1.0, 0.5)
    chosen = image_knots(times, keys, policy="auto", max_gap=gap)
    assert (np.diff(chosen) > 0).all()
    assert np.diff(chosen, append=max(times[-1], chosen[-1])).max() <= gap * 1.0001
    # No plan does with less: what is left of a group must be reached from the next key frame backwards.
    ends = np.append(keys[1:], times[-1])
    least = np.clip(ends - gap - keys, 0.0, None).sum()
    exact = image_knots(times, keys, policy="exact", max_gap=max(gap, 0.5))
    assert decoded(chosen, keys) <= least + 1e-3 * len(keys)
    assert gap < 0.5 or decoded(chosen, keys) <= decoded(exact, keys) + 1e-3 * len(keys)


@given(GROUPS, GAPS)
def test_keyframes_are_thinned_but_leave_no_gap_that_one_could_fill(groups: list[float], gap: float) -> None:
    keys = np.concatenate([[0.0], np.cumsum(groups)])
    chosen = image_knots(timestamps(float(keys[-1]) + 1.0, 0.5), keys, policy="keyframes", max_gap=gap)
    assert set(chosen) <= set(keys)
    for begin, end in itertools.pairwise(chosen):
        assert end - begin <= gap * 1.0001 or not ((keys > begin) & (keys < end)).any()
    for begin, end in zip(chosen, chosen[2:], strict=False):
        assert end - begin > gap  # the one between could not be left out


def test_exact_knots_follow_the_gap() -> None:
    times = timestamps(10.0, 0.5)
    for gap, factor in [(0.2, 1), (0.5, 1), (0.99, 1), (1.0, 2), (2.5, 5)]:
        chosen = image_knots(times, np.zeros(1), policy="exact", max_gap=gap)
        assert chosen.tolist() == times[::factor].tolist()


@given(st.integers(1, 400), st.integers(1, 60))
def test_thinning_keeps_the_ends_as_near_as_the_others(count: int, most: int) -> None:
    times = timestamps(count * 0.5, 0.5)
    chosen = thin(times, most)
    assert len(chosen) == min(count, most)
    assert set(chosen) <= set(times)
    if most < count:
        gaps = np.diff(chosen, prepend=-0.5, append=count * 0.5)
        assert gaps[1:-1].max(initial=0.0) <= 0.5 * math.ceil(count / most)
        assert gaps[[0, -1]].max() <= 0.25 * count / most + 1.0


@given(GROUPS, GAPS, st.integers(1, 40), st.sampled_from(["exact", "keyframes", "auto", "listen"]))
def test_a_bound_on_knots_holds_and_costs_no_needless_gap(
    groups: list[float], gap: float, most: int, policy: Policy
) -> None:
    keys = np.concatenate([[0.0], np.cumsum(groups)])
    times = timestamps(float(keys[-1]) + 1.0, 0.5)
    free = image_knots(times, keys, policy=policy, max_gap=gap)
    chosen = image_knots(times, keys, policy=policy, max_gap=gap, most=most)
    assert 1 <= len(chosen) <= most
    assert (np.diff(chosen) > 0).all()
    if len(free) <= most and times[-1] / most <= gap:
        assert chosen.tolist() == free.tolist()
    if policy == "auto" and most > 2:
        # Three neighbouring steps are longer than the gap together, so a gap of three times the span over
        # most - 2 is enough, and the last try may be a tenth beyond that.
        widest = np.diff(chosen, append=max(times[-1], chosen[-1])).max()
        assert widest <= max(gap, 3.3 * times[-1] / (most - 2)) * 1.0001
    if policy in {"keyframes", "listen"}:
        assert set(chosen) <= set(keys)


def test_a_bound_of_none_at_all_is_refused() -> None:
    times = timestamps(3.0, 0.5)
    with pytest.raises(ValueError, match="most"):
        thin(times, 0)
    with pytest.raises(ValueError, match="most"):
        image_knots(times, times, policy="auto", max_gap=1.0, most=0)


def test_without_key_frames_or_sense() -> None:
    times, none = timestamps(3.0, 0.5), np.zeros(0)
    assert image_knots(times, none, policy="keyframes", max_gap=1.0).tolist() == [0.0]
    assert image_knots(times, none, policy="auto", max_gap=1.0).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="max_gap"):
        image_knots(times, none, policy="auto", max_gap=0.0)


@pytest.mark.parametrize(
    ("container", "options"),
    [
        ("mp4", {}),
        ("mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("matroska", {}),
        ("mpegts", {}),
        ("flv", {}),
        ("avi", {"video": "mpeg4", "audio": "libmp3lame"}),
        ("webm", {"video": "libvpx-vp9", "audio": "libopus"}),
        ("mp4", {"video_start": 1.0, "audio_start": 0.5}),
    ],
)
def test_key_frames_are_where_the_source_says(container: str, options: dict[str, object]) -> None:
    """A moment at a key frame costs that frame, not its group."""
    with open_media(media(container, frames=150, **options)) as source:
        keys = source.key_times()
        frames = source.frames(keys, short_side=128, crop=112)
        assert len(keys) >= 5
        np.testing.assert_allclose(frames.shown_at, keys, atol=1e-5)
        assert frames.frames_decoded <= 4 * len(keys)  # and those that push it out of the decoder


def test_auto_decodes_less_of_a_real_file() -> None:
    content = media("mp4", audio=None, frames=500, size=(32, 32), video_options={"g": "200", "bf": "0"})
    with open_media(content) as source:
        times, keys = timestamps(source.duration, 0.5), source.key_times()
        counts = {}
        for policy in ("exact", "auto", "keyframes"):
            chosen = image_knots(times, keys, policy=policy, max_gap=2.5)
            frames = source.frames(chosen, short_side=128, crop=112)
            assert frames.valid.all()
            counts[policy] = frames.frames_decoded
    assert keys.tolist() == [0.0, 8.0, 16.0]
    assert counts["keyframes"] <= 2 * 3
    assert counts["auto"] <= 2 * 138 + 38 + 2 * 3  # 8 s - 2.5 s of two groups, 4 s - 2.5 s of the last
    assert counts["exact"] >= 1.2 * counts["auto"]
