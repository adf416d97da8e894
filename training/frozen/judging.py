"""What cross-validation says of a head beyond its score: how sure it may be, and what it mixes up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.learning.measures import accuracy

LEVEL = 0.9
"""Share of answers that are to be right where a plan does not call itself unsure."""

_LEAST_KNOWN = 10
"""Held-out videos that must be sure together before their share of right answers counts for anything."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which confidence on an answer counts as known.

    Attributes:
        confidence: Answers below it are unsure; None if all answers together are right often enough, or no
            confidence suffices.
        level: The share of right answers that is asked for.
        reached: Whether it is reached.
        known: Share of held-out videos whose answer is known.
        right: Share of these whose answer is right.
    """

    confidence: float | None
    level: float
    reached: bool
    known: float
    right: float


def unsure_below(confidence: Tensor, right: Tensor, level: float = LEVEL) -> Threshold:
    """Return the least confidence above which answers are right as often as ``level`` says.

    Args:
        confidence: [V], calibrated, of held-out videos.
        right: bool [V], whether their answer is one of their labels.
        level: The share that is to be right.
    """
    order = confidence.argsort(descending=True, stable=True)
    sure, good = confidence[order].double(), right[order].double()
    count = torch.arange(1, len(good) + 1)
    shares = good.cumsum(0) / count
    # Answers of one confidence are known together.
    ends = torch.cat([sure[1:] < sure[:-1], torch.tensor([True])])
    enough = torch.nonzero(ends & (shares >= level) & (count >= min(_LEAST_KNOWN, len(good))))
    overall = float(shares[-1])
    if not len(enough):
        return Threshold(None, level, False, 1.0, overall)
    last = int(enough[-1])
    if last == len(good) - 1:
        return Threshold(None, level, True, 1.0, overall)
    between = float((sure[last] + sure[last + 1]) / 2)
    return Threshold(round(between, 4), level, True, (last + 1) / len(good), float(shares[last]))


@dataclass(frozen=True, slots=True)
class Confusion:
    """Two classes that are taken for one another.

    Attributes:
        classes: Their names, in the order of the logits.
        videos: Held-out videos of either that are called one or the other.
        swapped: How many are called the other.
        low, high: 95 % interval of the share that is called right.
        indistinct: Whether that is not shown to be more than always saying the commoner one.
    """

    classes: tuple[str, str]
    videos: int
    swapped: int
    low: float
    high: float
    indistinct: bool


def confusions(logits: Tensor, labels: Tensor, classes: Sequence[str], least: int = 2) -> list[Confusion]:
    """Return the pairs of classes of which at least ``least`` held-out videos were taken for the other.

    Args:
        logits: [V, C].
        labels: bool [V, C]; videos of several labels are left out, for they may be both.
        classes: C names.
        least: Fewer say nothing.

    Returns:
        Those confused most often first.
    """
    single = labels.sum(dim=1) == 1
    said, truth = logits[single].argmax(dim=1), labels[single].int().argmax(dim=1)
    table = torch.zeros(len(classes), len(classes), dtype=torch.int64)
    table.index_put_((truth, said), torch.ones(len(said), dtype=torch.int64), accumulate=True)
    found = []
    for a in range(len(classes)):
        for b in range(a + 1, len(classes)):
            right, swapped = int(table[a, a] + table[b, b]), int(table[a, b] + table[b, a])
            if swapped < least:
                continue
            score = accuracy([True] * right + [False] * swapped)
            common = max(int(table[a, a] + table[a, b]), int(table[b, a] + table[b, b])) / (right + swapped)
            names = (classes[a], classes[b])
            low, high = score["low"], score["high"]
            found.append(Confusion(names, right + swapped, swapped, low, high, low <= common))
    return sorted(found, key=lambda pair: (-pair.swapped, pair.classes))
