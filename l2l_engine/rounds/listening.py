"""Where to look, by what was heard."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from l2l_engine.media.order import walked
from l2l_engine.result import FloatArray, TimeArray

MOMENTS = 24
"""Moments looked at because of the sound, whatever the video's length."""

SURE = 0.9
"""Confidence that is enough. Looking until it is sure takes fewer frames than a fixed number of looks, and
sees more where the sound misled."""

SPACING = 0.9
"""Seconds between such moments, as a share of the largest gap between frames."""

_WALK = 0.4
"""Share of the video's length that may go through the decoder on the way to them."""

_CANDIDATES = 256
"""Timestamps considered, those of most attention."""


def heard(attention: FloatArray) -> NDArray[np.float64]:
    """How much each timestamp was listened to: float64 [N] from the audio attention [T, N] of all choices.

    The last step's attention chose nothing, unless it is the only one.
    """
    chosen = attention[: max(1, len(attention) - 1)]
    total: NDArray[np.float64] = chosen.astype(np.float64).sum(axis=0)
    return total


def moments(
    weight: NDArray[np.float64], timestamps: TimeArray, keys: TimeArray, *, spacing: float, most: int
) -> TimeArray:
    """The moments worth a look, those heard most first in line.

    A moment costs the frames since its key frame. One that would make the way longer than its share of
    the video is passed over for one of less attention but nearer to a key frame, or in a group of pictures
    that is decoded anyway.

    Args:
        weight: float64 [N], attention to each timestamp.
        timestamps: float64 [N], increasing seconds.
        keys: float64 [K], when key frames are shown.
        spacing: Seconds between moments, at least.
        most: Moments at most.

    Returns:
        float64, in order of attention.
    """
    allowed = _WALK * float(timestamps[-1])
    taken: list[float] = []
    order = np.argsort(-weight, kind="stable")[:_CANDIDATES]
    for time in timestamps[order[weight[order] > 0]].tolist():
        if len(taken) >= most:
            break
        if any(abs(time - other) < spacing for other in taken):
            continue
        if walked(np.array(sorted([*taken, time])), keys).sum() <= allowed:
            taken.append(time)
    return np.array(taken, np.float64)


def looks(ranked: TimeArray, keys: TimeArray) -> Iterator[TimeArray]:
    """Moments in the order given, those on the way to one along with it; each by time.

    First one, mostly it is enough; later as many as there have been. The more were needed so far, the less
    likely is the next to be the last, and several are decoded side by side.

    Args:
        ranked: float64 [M], the most important first.
        keys: float64 [K], when key frames are shown.
    """
    left = ranked.tolist()
    done = 0
    while left:
        few = [left.pop(0) for _ in range(min(len(left), max(1, done)))]
        done += len(few)
        way = walked(np.sort(few), keys).sum() + 1e-6
        for time in tuple(left):
            if walked(np.sort([*few, time]), keys).sum() <= way:
                few.append(time)
                left.remove(time)
        yield np.sort(few)


def near(timestamps: TimeArray, knots: TimeArray, reach: float) -> NDArray[np.bool_]:
    """Which timestamps lie within ``reach`` seconds of a knot: bool [N]; all of them if none does."""
    after = np.searchsorted(knots, timestamps)
    padded = np.concatenate([[-np.inf], knots, [np.inf]])
    distance = np.minimum(timestamps - padded[after], padded[after + 1] - timestamps)
    within: NDArray[np.bool_] = distance <= reach
    return within if within.any() else np.ones(len(timestamps), np.bool_)
