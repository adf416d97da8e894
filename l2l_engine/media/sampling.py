"""Which moments of a video are looked at: pure functions of durations and times."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Policy = Literal["exact", "keyframes", "auto", "listen"]
"""How image knots are chosen; see :func:`image_knots`."""

_TOLERANCE = 1e-6
"""Share of a hop by which a duration may pass a whole number of hops without opening another one: ten
times 0.1 s is not exactly 1 s, and containers round durations."""

_WIDER = 1.1
"""By how much a gap grows, try after try, until no more knots are left than may be."""


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


def thin(times: NDArray[np.float64], most: int | None) -> NDArray[np.float64]:
    """At most ``most`` of ``times``, evenly spread over them.

    Args:
        times: float64 [M], increasing.
        most: At least 1; None for all of them.

    Raises:
        ValueError: ``most`` is less than 1.
    """
    if most is not None and most < 1:
        raise ValueError(f"most must be at least 1, not {most!r}")
    if most is None or len(times) <= most:
        return times
    # The middles of equal parts: neither end is further from a knot than knots are from each other.
    return times[((2 * np.arange(most) + 1) * len(times)) // (2 * most)]


def image_knots(
    times: NDArray[np.float64],
    keys: NDArray[np.float64],
    *,
    policy: Policy,
    max_gap: float,
    most: int | None = None,
) -> NDArray[np.float64]:
    """The moments at which frames are decoded.

    Args:
        times: float64 [N], the timestamps: increasing seconds, evenly spaced.
        keys: float64 [K], when key frames are shown: increasing seconds; may be empty.
        policy: "exact": every k-th timestamp, as many as fit into ``max_gap``. "keyframes": key frames only,
            as few as leave no gap larger than ``max_gap`` that others could fill; without any, the first
            timestamp. "auto": key frames where they are dense enough, and where they are not, moments as
            early in their group of pictures as ``max_gap`` allows: an exact frame costs every frame since
            its key frame, so what is decoded is the least that leaves no gap above ``max_gap``. "listen":
            the key frames to begin with; where to look closer, the sound tells later.
        max_gap: Seconds between neighbouring knots, and from the last to the last timestamp; > 0. Before
            the first key frame there is nothing to see.
        most: Knots at most, at least 1: the gap grows until they are enough. None for no bound.

    Returns:
        float64 [M], M >= 1, seconds, strictly increasing.

    Raises:
        ValueError: ``max_gap`` or ``most`` is out of range.
    """
    if not max_gap > 0:
        raise ValueError(f"max_gap must be positive, not {max_gap!r}")
    if most is not None and most < 1:
        raise ValueError(f"most must be at least 1, not {most!r}")
    if policy == "exact" or len(keys) == 0:
        if policy in ("keyframes", "listen"):
            return np.array(times[:1], np.float64)
        hop = times[1] - times[0] if len(times) > 1 else max_gap
        return thin(knots(times, max(1, math.floor(max_gap / hop + _TOLERANCE))), most)
    keys = keys[: max(1, np.searchsorted(keys, times[-1], side="right"))]
    choose = _with_moments_between if policy == "auto" else _sparse_keys
    if most is None:
        return np.array(choose(keys, float(times[-1]), max_gap), np.float64)
    span = float(times[-1] - keys[0])
    gap = max(max_gap, span / most)
    chosen = choose(keys, float(times[-1]), gap)
    while len(chosen) > most and gap < span:
        gap *= _WIDER
        chosen = choose(keys, float(times[-1]), gap)
    # The widest gap still leaves the first key frame and the last.
    return np.array(chosen, np.float64) if len(chosen) <= most else thin(keys, most)


def _with_moments_between(keys: NDArray[np.float64], end: float, max_gap: float) -> list[float]:
    """Key frames as :func:`_sparse_keys`, and the moments that close what gaps they leave."""
    chosen = _sparse_keys(keys, end, max_gap)
    dense: list[float] = []
    for key, following in itertools.pairwise([*chosen, end]):
        dense += [key, *_between(key, following, max_gap)]
    return dense


def _sparse_keys(keys: NDArray[np.float64], _end: float, max_gap: float) -> list[float]:
    """From key frame to key frame in the longest steps up to ``max_gap``; longer only where there is none."""
    limit = max_gap * (1 + _TOLERANCE)
    chosen = [float(keys[0])]
    while chosen[-1] < keys[-1]:
        reachable = int(np.searchsorted(keys, chosen[-1] + limit, side="right")) - 1
        following = int(np.searchsorted(keys, chosen[-1], side="right"))
        chosen.append(float(keys[max(reachable, following)]))
    return chosen


def _between(begin: float, end: float, max_gap: float) -> list[float]:
    """Moments that close the gap between two knots, the last of them as early as it may be."""
    count = max(0, math.ceil((end - begin) / (max_gap * (1 + _TOLERANCE))) - 1)
    return [end - max_gap * step for step in range(count, 0, -1)]
