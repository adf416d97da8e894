"""The share of answers that is right, with an interval that knows which videos belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from training.learning.measures import wilson


def score(right: Sequence[bool], groups: Sequence[str]) -> dict[str, float]:
    """Return the share that is right, with its 95 % interval.

    Videos cut from one recording are right and wrong together, so that ten of them tell less than ten. The
    interval is Wilson's for as many independent videos as would leave the share as uncertain as the groups
    do (the effective number of Korn and Graubard); for groups of one, all.
    """
    n = len(right)
    if n == 0:
        return {"videos": 0}
    p = sum(right) / n
    low, high = wilson(p, effective_number(right, groups))
    return {"videos": n, "top1": p, "low": low, "high": high}


def effective_number(right: Sequence[bool], groups: Sequence[str]) -> float:
    """Return how many independent videos would tell as much as these, which come in groups.

    Never less than the number of groups, nor more than that of videos.
    """
    n, p = len(right), sum(right) / len(right)
    sums: dict[str, float] = defaultdict(float)
    for good, group in zip(right, groups, strict=True):
        sums[group] += good - p
    count = len(sums)
    if count == n:
        return n
    if count < 2:
        return count
    variance = count / (count - 1) * sum(value * value for value in sums.values()) / n**2
    return n if variance == 0 and 0 < p < 1 else min(n, max(count, p * (1 - p) / variance if variance else 0))
