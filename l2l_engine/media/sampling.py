"""Which moments of a video are looked at: pure functions of durations and times."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Policy = Literal["exact", "keyframes", "auto"]
"""How image knots are chosen; see :func:`image_knots`."""

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


def image_knots(
    times: NDArray[np.float64], keys: NDArray[np.float64], *, policy: Policy, max_gap: float
) -> NDArray[np.float64]:
    """The moments at which frames are decoded.

    Args:
        times: float64 [N], the timestamps: increasing seconds, evenly spaced.
        keys: float64 [K], when key frames are shown: increasing seconds; may be empty.
        policy: "exact": every k-th timestamp, as many as fit into ``max_gap``. "keyframes": key frames only,
            as few as leave no gap larger than ``max_gap`` that others could fill; without any, the first
            timestamp. "auto": key frames where they are dense enough, and where they are not, moments as
            early in their group of pictures as ``max_gap`` allows: an exact frame costs every frame since
            its key frame, so what is decoded is the least that leaves no gap above ``max_gap``.
        max_gap: Seconds between neighbouring knots, and from the last to the last timestamp; > 0. Before
            the first key frame there is nothing to see.

    Returns:
        float64 [M], M >= 1, seconds, strictly increasing.

    Raises:
        ValueError: ``max_gap`` is not positive.
    """
    if not max_gap > 0:
        raise ValueError(f"max_gap must be positive, not {max_gap!r}")
    if policy == "exact" or len(keys) == 0:
        if policy == "keyframes":
            return np.array(times[:1], np.float64)
        hop = times[1] - times[0] if len(times) > 1 else max_gap
        return knots(times, max(1, math.floor(max_gap / hop + _TOLERANCE)))
    limit = max_gap * (1 + _TOLERANCE)
    chosen = _sparse_keys(keys[: max(1, np.searchsorted(keys, times[-1], side="right"))], limit)
    dense: list[float] = []
    for key, following in zip(chosen, [*chosen[1:], float(times[-1])], strict=True):
        dense += [key, *_between(key, following, max_gap, limit)]
    return np.array(chosen if policy == "keyframes" else dense, np.float64)


def _sparse_keys(keys: NDArray[np.float64], limit: float) -> list[float]:
    """From key frame to key frame in the longest steps up to ``limit``; longer only where there is none."""
    chosen = [float(keys[0])]
    while chosen[-1] < keys[-1]:
        reachable = int(np.searchsorted(keys, chosen[-1] + limit, side="right")) - 1
        following = int(np.searchsorted(keys, chosen[-1], side="right"))
        chosen.append(float(keys[max(reachable, following)]))
    return chosen


def _between(begin: float, end: float, max_gap: float, limit: float) -> list[float]:
    """Moments that close the gap between two knots, the last of them as early as it may be."""
    count = max(0, math.ceil((end - begin) / limit) - 1)
    return [end - max_gap * step for step in range(count, 0, -1)]
