"""Where to look, by what was heard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l2l_engine.call.order import AT_KEY, walked
from l2l_engine.result import FloatArray, TimeArray

MOMENTS = 24
"""Moments looked at because of the sound, whatever the video's length."""

SURE = 0.9
"""Confidence that is enough. Looking until it is sure takes fewer frames than always looking everywhere, and
sees more where the sound misled."""

SPACING = 0.5
"""Seconds between such moments, as a share of the largest gap between frames: several may show one action."""

FIRST_GROUPS = 2
"""Groups of pictures of the first look. Mostly the answer is in them; if not, all others are looked at
together, because every look has an end at which threads wait for each other."""

_SHARE = 0.25
"""Frames that may go through the decoder on the way to the moments, as a share of what "exact" decodes."""

_FRAMES = 800
_MOST = 0.75
"""So many frames may do so in any case, a few groups of pictures, up to this share of the same: of a short
video that has few key frames the quarter may not reach one moment."""

_FLAT = 1e-3
"""Share of its peak by which an attention must vary to say anything."""

_CANDIDATES = 256
"""Timestamps considered, those of most attention."""


def heard(attention: FloatArray) -> NDArray[np.float64]:
    """How much each timestamp was listened to: float64 [N] from the audio attention [T, N] of all choices.

    The last step's attention chose nothing, unless it is the only one.
    """
    chosen = attention[: max(1, len(attention) - 1)]
    total: NDArray[np.float64] = chosen.astype(np.float64).sum(axis=0)
    return total


def is_flat(weight: NDArray[np.float64]) -> bool:
    """Whether attention says nothing: a track, but no sound in it that matters more than another."""
    return bool(np.ptp(weight) <= _FLAT * weight.max())


def allowed(exact: TimeArray, keys: TimeArray, frame_rate: float) -> float:
    """Seconds of video that may go through the decoder on the way to the moments.

    Args:
        exact: float64 [M], the moments that "exact" would decode, increasing seconds.
        keys: float64 [K], when key frames are shown.
        frame_rate: Frames a second.
    """
    whole = float(walked(exact, keys).sum())
    return max(_SHARE * whole, min(_FRAMES / frame_rate, _MOST * whole))


def moments(
    weight: NDArray[np.float64],
    timestamps: TimeArray,
    keys: TimeArray,
    *,
    spacing: float,
    most: int,
    way: float,
) -> TimeArray:
    """The moments worth a look, those heard most first in line.

    A moment costs the frames since its key frame. One that would make the way too long is passed over for
    one of less attention but nearer to a key frame, or in a group of pictures that is decoded anyway.

    Args:
        weight: float64 [N], attention to each timestamp.
        timestamps: float64 [N], increasing seconds.
        keys: float64 [K], when key frames are shown.
        spacing: Seconds between moments, at least.
        most: Moments at most.
        way: Seconds of video decoded on the way to them, at most.

    Returns:
        float64, in order of attention.
    """
    taken: list[float] = []
    order = np.argsort(-weight, kind="stable")[:_CANDIDATES]
    for time in timestamps[order[weight[order] > 0]].tolist():
        if len(taken) >= most:
            break
        if any(abs(time - other) < spacing for other in taken):
            continue
        if walked(np.array(sorted([*taken, time])), keys).sum() <= way:
            taken.append(time)
    return np.array(taken, np.float64)


def looks(ranked: TimeArray, keys: TimeArray) -> list[TimeArray]:
    """One look or two: at the groups of pictures of the most important moments, and at all others.

    What lies in one group is looked at together: nothing is decoded twice.

    Args:
        ranked: float64 [M], the most important first.
        keys: float64 [K], when key frames are shown.

    Returns:
        float64 arrays that are not empty, each by time.
    """
    group = np.searchsorted(keys, ranked + AT_KEY, side="right")
    _, first = np.unique(group, return_index=True)
    early = np.isin(group, group[np.sort(first)[:FIRST_GROUPS]])
    return [np.sort(part) for part in (ranked[early], ranked[~early]) if len(part)]


def near(timestamps: TimeArray, knots: TimeArray, reach: float) -> NDArray[np.bool_]:
    """Which timestamps lie within ``reach`` seconds of a knot: bool [N]; all of them if none does."""
    after = np.searchsorted(knots, timestamps)
    padded = np.concatenate([[-np.inf], knots, [np.inf]])
    distance = np.minimum(timestamps - padded[after], padded[after + 1] - timestamps)
    within: NDArray[np.bool_] = distance <= reach
    return within if within.any() else np.ones(len(timestamps), np.bool_)
