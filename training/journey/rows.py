"""What a table of results says of answers: shares with intervals, classes taken for each other, doubt."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.learning.measures import wilson

WANTED = 0.9
"""Share of the answers above the threshold that should be right."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one way of answering says of some videos.

    Attributes:
        name: In the table.
        about: What it does, in a few words.
        right: Whether it is right, for each video.
    """

    name: str
    about: str
    right: Sequence[bool]


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


def confused(pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return classes that these answers do not tell apart, the worst first.

    Of a pair of classes count the videos of either that were called by either name. If no more than half of
    them right is still likely (the interval's lower end), and some are wrong, the two are not told apart.

    Args:
        pairs: The class of each video, and what was said.
    """
    counts = Counter(pairs)
    classes = sorted({label for pair in counts for label in pair})
    found = []
    for number, one in enumerate(classes):
        for other in classes[number + 1 :]:
            wrong = counts[one, other] + counts[other, one]
            total = wrong + counts[one, one] + counts[other, other]
            if wrong >= 2 and wilson(1 - wrong / total, total)[0] <= 0.5:
                found.append({"classes": [one, other], "videos": total, "confused": wrong})
    return sorted(found, key=lambda pair: -pair["confused"] / pair["videos"])


@dataclass(frozen=True, slots=True)
class Doubt:
    """The confidence below which an answer is called unsure.

    Attributes:
        threshold: The confidence.
        wanted: The share of surer answers that should be right; None where that cannot be had, and the
            threshold lies where an answer is as likely wrong as right.
        videos: How many answers told.
    """

    threshold: float
    wanted: float | None
    videos: int


def doubt(confidences: Sequence[float], right: Sequence[bool]) -> Doubt | None:
    """Return the least confidence from which on 90 % of the answers are right.

    If that would leave less than half of the right ones, the threshold that leaves the most right answers
    less wrong ones.

    Args:
        confidences: Of answers on videos that were not learnt from, and that no score is told of.
        right: Whether they are.

    Returns:
        The threshold; None for fewer than ten answers, which tell nothing.
    """
    if len(right) < 10:
        return None
    order = np.argsort(-np.asarray(confidences), kind="stable")
    sure, good = np.asarray(confidences)[order], np.asarray(right, bool)[order]
    hits = np.cumsum(good)
    counts = np.arange(1, len(good) + 1)
    # A threshold lies between two confidences, never among equals.
    ends = np.flatnonzero(np.append(sure[1:] < sure[:-1], True))
    able = [end for end in ends if hits[end] >= WANTED * counts[end] and 2 * hits[end] >= hits[-1]]
    wanted = WANTED if able and hits[-1] else None
    end = int(able[-1]) if wanted else int(max(ends, key=lambda end: (2 * hits[end] - counts[end], end)))
    if end == len(sure) - 1:
        # Nobody was too unsure; less sure than any of these is what nobody has seen yet.
        return Doubt(_down(float(sure[-1])), wanted, len(good))
    return Doubt(_down(float(sure[end] + sure[end + 1]) / 2), wanted, len(good))


def _down(value: float) -> float:
    """Round down to three digits, so that what lies at the threshold stays above it."""
    return math.floor(value * 1000) / 1000


def known(confidences: Sequence[float], right: Sequence[bool], threshold: float) -> dict[str, Any]:
    """Return what a threshold does to answers: how many it leaves, and how many of these are right."""
    kept = [good for sure, good in zip(confidences, right, strict=True) if sure >= threshold]
    return {"videos": len(right), "known": len(kept), "right": sum(kept)}
