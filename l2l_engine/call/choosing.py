"""Which of the moments that were seen matter most and say different things: pure functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l2l_engine.result import FloatArray, TimeArray
from l2l_engine.skim import SkimResult

Weights = NDArray[np.float64]

SAME = 0.02
"""Share of their length by which features differ at most that say the same: one picture shown twice."""

ALIKE = 0.5
"""Share of its weight that a moment loses which says the same as one that was chosen."""

LATER = 1e-3
"""What is far from all that was chosen goes before what is near, if it matters as much up to this share."""


def shares(result: SkimResult) -> tuple[Weights, Weights]:
    """How much each timestamp was looked at and listened to by the one video's run.

    Every choice mixes Index(w^I) and Index(w^A) by s^I and s^A (Eq. 8), so that a timestamp's share of it is
    s^I w^I and s^A w^A. The last step's attention chose nothing, unless it is the only one.

    Returns:
        float64 [N] of images and of sounds; the sum of both is 1.
    """
    chosen = max(1, result.image_attention.shape[1] - 1)
    scores = result.modality_scores[0, :chosen].astype(np.float64)
    image, audio = (
        (scores[:, kind, None] * attention[0, :chosen]).sum(axis=0) / chosen
        for kind, attention in enumerate((result.image_attention, result.audio_attention))
    )
    return image, audio


def at(moments: TimeArray, timestamps: TimeArray, weight: Weights) -> Weights:
    """The weight float64 [M] of moments: that of the timestamp next to each."""
    between = (timestamps[1:] + timestamps[:-1]) / 2
    return weight[np.searchsorted(between, moments)]


def choose(
    weight: Weights, moments: TimeArray, features: FloatArray | None, *, count: int, apart: float
) -> NDArray[np.int64]:
    """Choose moments one by one: each is worth its weight, less what those before it say already.

    Args:
        weight: float64 [M], not negative.
        moments: float64 [M], increasing seconds.
        features: float32 [M, D] of the moments; None where they cannot be compared.
        count: Moments at most.
        apart: Seconds between two of them at least.

    Returns:
        int64 [K], K at most ``count``, in the order of choice. Moments that say the same as one of them are
        left out, so that there may be fewer.
    """
    value = weight / max(float(weight.max(initial=0.0)), np.finfo(float).tiny)
    free = np.ones(len(moments), np.bool_)
    alike, near = np.zeros(len(moments)), np.zeros(len(moments))
    reach = max(apart, float(np.ptp(moments)) / max(count, 1)) if len(moments) else apart
    directions = None if features is None else _directions(features)
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        worth = np.where(free, value * (1.0 - alike) - LATER * near, -np.inf)
        best = int(worth.argmax())
        chosen.append(best)
        distance = np.abs(moments - moments[best])
        near = np.maximum(near, np.exp(-distance / reach))
        free &= distance >= apart * (1 - 1e-9)
        if features is not None and directions is not None:
            alike = np.maximum(alike, ALIKE * np.clip(directions @ directions[best], 0.0, 1.0))
            free &= np.abs(features - features[best]).max(axis=1) > SAME * np.abs(features[best]).max()
    return np.array(chosen, np.int64)


def _directions(features: FloatArray) -> NDArray[np.float64]:
    """Where features [M, D] lie from their mean, as unit vectors."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    directions: NDArray[np.float64] = centred / np.maximum(length, np.finfo(np.float32).tiny)
    return directions
