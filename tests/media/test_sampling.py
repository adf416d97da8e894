from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2l_engine.media import knots, timestamps

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
