"""How sure a share is, how honest a confidence, and how far two methods are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def accuracy(right: Sequence[bool]) -> dict[str, float]:
    """Return top-1 with its 95 % Wilson interval."""
    n = len(right)
    if n == 0:
        return {"videos": 0}
    p = sum(right) / n
    low, high = wilson(p, n)
    return {"videos": n, "top1": p, "low": low, "high": high}


def wilson(share: float, number: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of so many, which need be no whole number."""
    z = 1.96
    centre = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z * math.sqrt(share * (1 - share) / number + z * z / (4 * number * number)) / (1 + z * z / number)
    return centre - half, centre + half


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> float:
    """Return the expected calibration error: |accuracy - confidence| of equal bins, weighted by videos."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(right[which == b].mean() - confidence[which == b].mean()) * (which == b).mean()
        for b in range(bins)
        if (which == b).any()
    ]
    return float(sum(gaps))


def paired_difference(ours: Sequence[bool], theirs: Sequence[bool]) -> dict[str, float]:
    """Return how much more often ours is right on the same videos, in points, with the 95 % interval.

    The interval is that of a mean of paired differences; videos on which both agree narrow it.
    """
    gaps = 100 * (np.asarray(ours, float) - np.asarray(theirs, float))
    half = 1.96 * float(gaps.std()) / math.sqrt(len(gaps))
    mean = float(gaps.mean())
    return {"points": mean, "low": mean - half, "high": mean + half}
