"""What segments are compared with, from the same knots: clip classifier, attention, the whole video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from l2l_engine.plan import Plan, PlanDocument, SegmentSettings
from training.learning.detection import Stretch
from training.segments.banks import Banks
from training.segments.head import clip_head, hidden_rows
from training.segments.material import Doubles, Said, names
from training.segments.settings import LEVELS, judge

PEAKS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
"""Levels of attention that are tried, in multiples of one spread evenly."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What is chosen on validation for what segments are compared with.

    Attributes:
        classifier: Probability of the clip classifier from which on its class happens.
        attention: Multiple of an even attention from which on the label happens.
    """

    classifier: float = 0.5
    attention: float = 2.0


class ClipScores:
    """The plan's own classifier asked about every moment by itself.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._hidden, self._head = hidden_rows(plan), clip_head(plan)
        self._several = plan.document.output == "sigmoid"

    def __call__(self, banks: Banks) -> Doubles:
        """Return logits [N, C] whose sigmoid are the classifier's probabilities of each moment."""
        logits = self._head.logits(self._hidden(banks))
        if self._several:
            return logits
        others = logits - logits.max(axis=1, keepdims=True)
        total = np.exp(others).sum(axis=1, keepdims=True)
        # log(p / (1 - p)) of the softmax.
        return others - np.log(np.maximum(total - np.exp(others), 1e-300))


def by_classifier(said: Said, document: PlanDocument, level: float) -> list[Stretch]:
    """Return where the clip classifier's probability of a class is at least ``level``."""
    return said.found(document, SegmentSettings(thresholds=(level,) * len(document.classes)))


def by_attention(said: Said, document: PlanDocument, level: float) -> list[Stretch]:
    """Return where the attention is at least ``level`` times an even one, as the label."""
    share = said.attention * len(said.times)
    foreground = document.foreground
    best = foreground[said.probabilities[foreground].argmax()]
    found = []
    for first, last in _runs(share >= level):
        start = _crossing(said.times, share, first - 1, first, level)
        end = _crossing(said.times, share, last + 1, last, level) if last + 1 < len(share) else said.end
        if end > start:
            # The surest of two stretches of a file is the one that is attended to most.
            peak = float(share[first : last + 1].max()) / len(share)
            score = float(said.probabilities[best]) * peak
            found.append(Stretch(said.video.name, document.classes[best], start, end, score))
    return found


def by_whole(said: Said, document: PlanDocument) -> list[Stretch]:
    """Return the whole file as one stretch of its label."""
    foreground = document.foreground
    best = foreground[said.probabilities[foreground].argmax()]
    score = float(said.probabilities[best])
    return [Stretch(said.video.name, document.classes[best], 0.0, said.end, score)]


def _runs(above: np.ndarray) -> list[tuple[int, int]]:
    """Return (first, last) of the runs of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], above.astype(np.int8), [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


def _crossing(times: Doubles, share: Doubles, outer: int, inner: int, level: float) -> float:
    """Return where the line between two neighbours crosses the level."""
    if outer < 0:
        return float(times[inner])
    rise = share[inner] - share[outer]
    part = (level - share[outer]) / rise if rise > 0 else 1.0
    return float(times[outer] + part * (times[inner] - times[outer]))


def fit_levels(
    said: Sequence[Said], clip: Sequence[Said], document: PlanDocument, truth: Sequence[Stretch]
) -> Levels:
    """Choose both levels as settings are chosen.

    Args:
        said: What the plan says of videos.
        clip: The same with the clip classifier's logits.
        document: The plan's.
        truth: What is to be found.
    """
    videos = names(said)

    def worth(found: list[list[Stretch]]) -> float:
        return judge([stretch for part in found for stretch in part], truth, videos).whole

    classifier = {level: worth([by_classifier(one, document, level) for one in clip]) for level in LEVELS}
    attention = {level: worth([by_attention(one, document, level) for one in said]) for level in PEAKS}
    return Levels(max(classifier, key=classifier.__getitem__), max(attention, key=attention.__getitem__))


def with_logits(said: Said, logits: Doubles) -> Said:
    """Return the same video, its moments judged by others."""
    return replace(said, logits=logits)
