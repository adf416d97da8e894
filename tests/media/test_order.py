from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from l2l_engine.call.order import coarse_to_fine, spread, walked
from l2l_engine.media.sampling import timestamps


@given(st.integers(0, 500))
def test_every_beginning_is_evenly_spread(count: int) -> None:
    order = spread(count)
    assert sorted(order) == list(range(count))
    for taken in range(1, count + 1):
        gaps = np.diff(np.sort(order[:taken]), prepend=-1, append=count)
        assert gaps.max() <= 1 + 2.5 * count / taken


def test_the_middle_comes_first_then_the_quarters() -> None:
    assert spread(7).tolist() == [3, 1, 5, 0, 4, 2, 6]


@given(st.lists(st.floats(0.04, 12.0), max_size=30), st.integers(1, 200))
def test_groups_come_by_their_first_knot_then_whole(groups: list[float], count: int) -> None:
    keys = np.cumsum([0.0, *groups])
    knots = timestamps(count * 0.5, 0.5)
    ordered = coarse_to_fine(knots, keys)
    assert sorted(ordered) == knots.tolist()
    group = np.searchsorted(keys, ordered + 1e-3, side="right")
    many = len(set(group))
    assert len(set(group[:many])) == many
    for one in set(group):  # a group's others stand together, in the order they are decoded
        places = np.flatnonzero(group[many:] == one)
        assert (np.diff(places) == 1).all()
        assert (np.diff(ordered[many:][places]) > 0).all()


def test_without_key_frames_knots_are_spread_one_by_one() -> None:
    knots = timestamps(3.5, 0.5)
    assert coarse_to_fine(knots, np.zeros(0)).tolist() == knots[spread(7)].tolist()


def test_what_is_walked() -> None:
    keys = np.array([0.0, 4.0, 8.0])
    assert walked(np.array([4.0, 5.0, 7.0, 11.0]), keys).tolist() == [0.0, 1.0, 2.0, 3.0]
    assert walked(np.array([2.0, 3.0]), np.zeros(0)).tolist() == [2.0, 1.0]
    assert walked(np.array([7.0]), keys, position=6.5).tolist() == [0.5]
    assert walked(np.zeros(0), keys).shape == (0,)
