"""Which moments of a video are looked at: pure functions of durations and times."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_TOLERANCE = 1e-6
"""Share of a hop by which a duration may pass a whole number of hops without opening another one: ten
times 0.1 s is not exactly 1 s, and containers round durations."""


def timestamps(duration: float, hop: float) -> NDArray[np.float64]:
    """The timestamps j * hop of a video, j = 0 … N-1, N = max(1, ceil(duration / hop)).

    Args:
        duration: Seconds, finite, not negative.
        hop: Seconds between timestamps, > 0.

    Returns:
        float64 [N], seconds.

    Raises:
        ValueError: An argument is out of range.
    """
    if not (math.isfinite(duration) and duration >= 0):
        raise ValueError(f"duration must be finite and not negative, not {duration!r}")
    if not (math.isfinite(hop) and hop > 0):
        raise ValueError(f"hop must be finite and positive, not {hop!r}")
    count = max(1, math.ceil(duration / hop - _TOLERANCE))
    return np.arange(count, dtype=np.float64) * hop


def knots(times: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Every ``factor``-th of ``times`` from the first (policy "exact").

    Args:
        times: float64 [N], seconds, increasing.
        factor: At least 1.

    Returns:
        float64 [ceil(N / factor)], seconds.

    Raises:
        ValueError: ``factor`` is less than 1.
    """
    if factor < 1:
        raise ValueError(f"factor must be at least 1, not {factor!r}")
    return np.ascontiguousarray(times[::factor])
