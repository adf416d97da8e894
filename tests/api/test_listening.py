"""Where to look, by what was heard: pure functions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from l2l_engine.call.listening import allowed, heard, looks, moments, near
from l2l_engine.call.order import walked

TIMES = np.arange(200) * 0.5
KEYS = np.arange(0.0, 100.0, 10.0)


def test_the_last_attention_chose_nothing() -> None:
    attention = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]], np.float32)
    assert heard(attention).tolist() == [1.5, 0.5]
    assert heard(attention[:1]).tolist() == [0.5, 0.5]


@given(
    st.lists(st.floats(0, 1), min_size=200, max_size=200),
    st.integers(0, 30),
    st.floats(0.5, 5.0),
    st.floats(0, 100),
)
def test_moments_are_those_heard_most_that_fit(
    weights: list[float], most: int, spacing: float, way: float
) -> None:
    weight = np.array(weights)
    chosen = moments(weight, TIMES, KEYS, spacing=spacing, most=most, way=way)
    assert len(chosen) <= most
    assert (np.diff(np.sort(chosen)) >= spacing).all()
    value = weight[np.searchsorted(TIMES, chosen)]
    assert (value > 0).all()
    assert (np.diff(value) <= 0).all()
    assert walked(np.sort(chosen), KEYS).sum() <= way


def test_one_that_costs_too_much_gives_way_to_the_next() -> None:
    weight = np.zeros(200)
    weight[[180, 10, 11]] = 3.0, 2.0, 1.0  # 90 s, without a key frame before it but the first
    assert moments(weight, TIMES, np.zeros(1), spacing=0.1, most=5, way=40).tolist() == [5.0, 5.5]
    assert moments(weight, TIMES, KEYS, spacing=1.0, most=5, way=40).tolist() == [90.0, 5.0]


def test_a_quarter_of_what_exact_decodes_is_allowed_and_some_frames_in_any_case() -> None:
    exact = np.arange(0.0, 1000.0, 2.5)
    keys = np.arange(0.0, 1000.0, 10.0)
    assert allowed(exact, keys, 30.0) == 0.25 * 100 * 7.5  # of each 10 s the last frame wanted is at 7.5 s
    assert allowed(exact[:20], keys, 40.0) == 20.0
    assert allowed(exact[:8], keys, 40.0) == 0.75 * 2 * 7.5
    assert allowed(exact, exact, 25.0) == 0.0  # key frames wherever one looks


def test_the_two_groups_heard_most_are_looked_at_first_and_whole() -> None:
    ranked = np.array([38.0, 5.0, 77.0, 33.0, 6.0, 2.0, 91.0])
    assert [few.tolist() for few in looks(ranked, KEYS)] == [[2.0, 5.0, 6.0, 33.0, 38.0], [77.0, 91.0]]
    assert [few.tolist() for few in looks(ranked[:2], KEYS)] == [[5.0, 38.0]]
    assert not looks(ranked[:0], KEYS)


def test_near() -> None:
    mask = near(TIMES, np.array([3.0, 7.4]), 0.5)
    assert TIMES[mask].tolist() == [2.5, 3.0, 3.5, 7.0, 7.5]
    assert near(TIMES, np.zeros(0), 1.0).all()
    assert near(TIMES, np.array([0.2]), 0.1).all()
