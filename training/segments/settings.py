"""Chooses how moments become segments: thresholds, smoothing, edges, on videos that were not learnt from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.call.segments import moment_scores
from l2l_engine.plan import PlanDocument, SegmentSettings
from training.learning.detection import Stretch, edge_errors, f1, match, mean_precision, ranked
from training.segments.material import Said, found_in, names
from training.segments.truth import stretches_of

OVERLAPS = (0.5, 0.7)
"""At which settings are judged; the greater one asks for sharp edges."""

LEVELS = tuple(round(float(level), 2) for level in np.arange(0.05, 0.96, 0.05))
"""Thresholds that are tried."""

_TRIED: dict[str, tuple[Any, ...]] = {
    "thresholds": LEVELS,
    "edge": (1.0, 0.8, 0.6, 0.4, 0.25),
    "smooth_s": (0.0, 1.2, 2.3, 3.4),
    "prior": (0.0, 0.25, 0.5, 1.0),
    "attention": (0.0, 0.25, 0.5, 1.0),
    "bridge_s": (0.0, 0.6, 1.2, 2.4),
    "least_s": (0.0, 0.6, 1.2, 2.4),
}
"""What is tried of each setting, in this order; a whole number of hops would be a tie."""

_ROUNDS = 2
_LEAST_EDGES = 10
"""Stretches found from which on it is known by how much edges are early or late."""
_ENOUGH = 0.3
"""Overlap of stretches whose edges are compared."""
_AS_GOOD = 0.01
"""F1 by which thresholds do not differ. The lowest of those is taken: what is missed cannot be ranked, and
other files are harder than those that settings were chosen on."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How good some settings are on some videos: shares of 1, mAP by overlap, and F1 at half."""

    precisions: dict[float, float]
    f1: float

    @property
    def whole(self) -> float:
        """The one number that settings are chosen by."""
        return (float(np.mean(list(self.precisions.values()))) + self.f1) / 2


def judge(found: Sequence[Stretch], truth: Sequence[Stretch], videos: Sequence[str]) -> Judged:
    """Compare what was found with the truth."""
    precisions = {least: mean_precision(found, truth, videos, least) for least in OVERLAPS}
    return Judged(precisions, f1(found, truth, OVERLAPS[0]))


def fit_settings(
    said: Sequence[Said], document: PlanDocument, start: SegmentSettings | None = None
) -> SegmentSettings:
    """Choose settings one after the other, each as the others are by then.

    Args:
        said: Of videos that were not learnt from. Where none of their manifests says when, only the
            thresholds are chosen, by whether a class is found in a video at all.
        document: The plan's.
        start: Where to begin.
    """
    classes = len(document.classes)
    settings = usual(classes) if start is None else start
    truth = stretches_of([one.video for one in said])
    if not truth:
        return replace(settings, thresholds=_by_label(said, document, settings))
    told = {stretch.video for stretch in truth}
    said = [one for one in said if one.video.name in told]

    def worth(tried: SegmentSettings) -> float:
        return judge(found_in(said, document, tried), truth, names(said)).whole

    for _ in range(_ROUNDS):
        for name, values in _TRIED.items():
            if name == "thresholds" and len(set(settings.thresholds)) > 1:
                continue
            settings = _best(settings, name, values, classes, worth)
        settings = shifted(settings, found_in(said, document, settings), truth)
    settings = _by_class(said, document, settings, truth)
    # Other thresholds, other edges.
    return shifted(settings, found_in(said, document, settings), truth)


def usual(classes: int) -> SegmentSettings:
    """Return the settings to begin with."""
    return SegmentSettings(thresholds=(0.5,) * classes, edge=0.6, smooth_s=1.2, bridge_s=1.2, least_s=0.6)


def _best(
    settings: SegmentSettings,
    name: str,
    values: Sequence[Any],
    classes: int,
    worth: Callable[[SegmentSettings], float],
) -> SegmentSettings:
    """Return the settings with the best value of one; what they have stays unless another is better."""
    best, most = settings, worth(settings)
    for value in values:
        changed: dict[str, Any] = {name: (value,) * classes if name == "thresholds" else value}
        tried = replace(settings, **changed)
        found = worth(tried)
        if found > most + 1e-9:
            best, most = tried, found
    return best


def shifted(settings: SegmentSettings, found: Sequence[Stretch], truth: Sequence[Stretch]) -> SegmentSettings:
    """Return the settings whose edges are as often early as late."""
    errors = edge_errors(found, truth, _ENOUGH)
    if len(errors) < _LEAST_EDGES:
        return settings
    start, end = (
        round(float(s - e), 3) for s, e in zip(settings.shift_s, np.median(errors, axis=0), strict=True)
    )
    return replace(settings, shift_s=(start, end))


def _by_class(
    said: Sequence[Said], document: PlanDocument, settings: SegmentSettings, truth: Sequence[Stretch]
) -> SegmentSettings:
    """Give each class the threshold of the best F1, where a class counts as much as all others together.

    A class of a few videos would take whatever threshold suits those few.
    """
    classes = document.classes
    counts = np.zeros((len(LEVELS), len(classes), 2))  # right, found
    for row, level in zip(counts, LEVELS, strict=True):
        tried = replace(settings, thresholds=(level,) * len(classes))
        in_order = ranked(found_in(said, document, tried))
        for stretch, taken in zip(in_order, match(in_order, truth, OVERLAPS[0]), strict=True):
            row[classes.index(stretch.label)] += (taken is not None, 1)
    wanted = np.array([sum(s.label == name for s in truth) for name in classes], np.float64)
    return replace(settings, thresholds=tuple(_shrunk(counts, wanted)))


def _shrunk(counts: NDArray[np.float64], wanted: NDArray[np.float64]) -> list[float]:
    """Return the level of the best F1 by class, of counts [L, C, 2] and how many were wanted [C]."""
    share = 1 / max(1, int((wanted > 0).sum()))
    mixed = counts + share * counts.sum(axis=1, keepdims=True)
    right, said = mixed[..., 0], mixed[..., 1]
    scores = 2 * right / np.maximum(said + wanted + share * wanted.sum(), 1e-9)
    return [LEVELS[level] for level in (scores >= scores.max(axis=0) - _AS_GOOD).argmax(axis=0)]


def _by_label(said: Sequence[Said], document: PlanDocument, settings: SegmentSettings) -> tuple[float, ...]:
    """Return thresholds by whether the greatest score of a video tells that it has the label."""
    tops = np.array(
        [
            moment_scores(one.logits, settings, probabilities=one.probabilities, attention=one.attention).max(
                axis=0
            )
            for one in said
        ]
    )
    labels = np.array([[name in one.video.labels for name in document.classes] for one in said])
    return best_thresholds(tops, labels)


def best_thresholds(scores: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return for each class the threshold of the best F1 of scores [V, C] against labels [V, C].

    Every class counts as much as all others together; one half stands where nothing tells.
    """
    levels = np.array(LEVELS)[:, None, None]
    said = scores[None] >= levels
    counts = np.stack([(said & labels).sum(axis=1), said.sum(axis=1)], axis=-1).astype(np.float64)
    if not labels.any():
        return (0.5,) * labels.shape[1]
    return tuple(_shrunk(counts, labels.sum(axis=0).astype(np.float64)))
