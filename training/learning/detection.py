"""How well stretches of time are found: average precision by temporal overlap, errors of edges, intervals.

Overlap is temporal intersection over union, tIoU. What is found of a class is ranked by its score over all
videos; each in turn takes the free true stretch of its video that it overlaps most, if by enough, and is
right then. Average precision is the area under the envelope of precision over recall, as ActivityNet has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Draws of the bootstrap."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something that happens in a video, or is said to.

    Attributes:
        video: Its name.
        label: The class.
        start, end: Seconds, start < end.
        score: The greater the surer; of the truth it means nothing.
    """

    video: str
    label: str
    start: float
    end: float
    score: float = 1.0


def overlap(one: Stretch, other: Stretch) -> float:
    """Return the temporal intersection over union, 0 to 1."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    return max(0.0, shared) / (max(one.end, other.end) - min(one.start, other.start)) if shared > 0 else 0.0


def ranked(found: Iterable[Stretch]) -> list[Stretch]:
    """Return what was found, the surest first; equal scores in the order of videos and time."""
    return sorted(found, key=lambda s: (-s.score, s.video, s.start, s.end, s.label))


def match(found: Sequence[Stretch], truth: Sequence[Stretch], least: float) -> list[Stretch | None]:
    """Return the true stretch that each one found takes, or None; nothing is taken twice.

    Args:
        found: In the order of taking; see :func:`ranked`.
        truth: What really happens.
        least: The overlap that is enough, above 0.
    """
    free: dict[tuple[str, str], list[Stretch]] = defaultdict(list)
    for stretch in truth:
        free[stretch.video, stretch.label].append(stretch)
    taken: list[Stretch | None] = []
    for stretch in found:
        left = free[stretch.video, stretch.label]
        best = max(left, key=lambda true: overlap(stretch, true), default=None)
        if best is not None and overlap(stretch, best) >= least:
            left.remove(best)
            taken.append(best)
        else:
            taken.append(None)
    return taken


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """What was found of one class, the surest first, beside how much there was to find.

    Attributes:
        right: bool [K].
        video: int64 [K], the number of its video.
        wanted: float64 [V], true stretches a video.
    """

    right: NDArray[np.bool_]
    video: NDArray[np.int64]
    wanted: NDArray[np.float64]

    def precision(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the average precision where videos count ``weights`` [B, V] times: [B]; or NaN."""
        counts = weights[:, self.video]
        total = np.maximum(counts.cumsum(axis=1), 1e-12)
        share = (counts * self.right).cumsum(axis=1) / total
        envelope = np.maximum.accumulate(share[:, ::-1], axis=1)[:, ::-1]
        gained = (counts * self.right * envelope).sum(axis=1)
        wanted = weights @ self.wanted
        return np.where(wanted > 0, gained / np.maximum(wanted, 1e-12), np.nan)


def rankings(
    found: Sequence[Stretch], truth: Sequence[Stretch], videos: Sequence[str], least: float
) -> list[Ranking]:
    """Return a ranking for each class that occurs in ``truth``, by name.

    Args:
        found: Of all videos and classes.
        truth: Likewise.
        videos: The names of all videos, also of those in which nothing is found or happens.
        least: The overlap that is enough.
    """
    number = {name: index for index, name in enumerate(videos)}
    in_order = ranked(found)
    taken = match(in_order, truth, least)
    result = []
    for label in sorted({stretch.label for stretch in truth}):
        wanted = np.zeros(len(videos))
        np.add.at(wanted, [number[s.video] for s in truth if s.label == label], 1.0)
        of_class = [(number[s.video], t is not None) for s, t in zip(in_order, taken, strict=True)
                    if s.label == label]  # fmt: skip
        rows = np.array(of_class, np.int64).reshape(-1, 2)
        result.append(Ranking(rows[:, 1].astype(bool), rows[:, 0], wanted))
    return result


def mean_precision(
    found: Sequence[Stretch], truth: Sequence[Stretch], videos: Sequence[str], least: float
) -> float:
    """Return the mean average precision over the classes that occur in ``truth``; NaN if there are none."""
    once = np.ones((1, len(videos)))
    of_classes = [float(r.precision(once)[0]) for r in rankings(found, truth, videos, least)]
    return float(np.mean(of_classes)) if of_classes else float("nan")


def f1(found: Sequence[Stretch], truth: Sequence[Stretch], least: float) -> float:
    """Return the harmonic mean of precision and recall over all classes together, whatever the scores."""
    right = sum(taken is not None for taken in match(ranked(found), truth, least))
    return 2 * right / max(1, len(found) + len(truth))


def edge_errors(found: Sequence[Stretch], truth: Sequence[Stretch], least: float) -> NDArray[np.float64]:
    """Return by how many seconds starts and ends are off, found minus true: [K, 2] of the K that overlap."""
    in_order = ranked(found)
    pairs = zip(in_order, match(in_order, truth, least), strict=True)
    errors = [(s.start - t.start, s.end - t.end) for s, t in pairs if t is not None]
    return np.array(errors, np.float64).reshape(-1, 2)


def resampled(
    methods: Mapping[str, Sequence[Stretch]],
    truth: Sequence[Stretch],
    videos: Sequence[str],
    least: float,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """Return the mean average precision of each method on the same draws of videos: [RESAMPLES] each.

    Videos are drawn with replacement, as many as there are; a class that no drawn video has does not count.
    """
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(videos), np.full(len(videos), 1 / len(videos)), RESAMPLES).astype(float)
    means = {}
    for name, found in methods.items():
        of_classes = [r.precision(weights) for r in rankings(found, truth, videos, least)]
        means[name] = np.nanmean(np.array(of_classes), axis=0)
    return means


def interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of the bootstrap's draws."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)
