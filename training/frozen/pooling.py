"""The mean over a video's moments, weighted as a plan that averages weighs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from training.frozen.cache import VideoEmbeddings
from training.models.banks import Interpolation
from training.skimming.sequences import regular_knots

TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda rows: rows,
    "root": lambda rows: rows.sign() * rows.abs().sqrt(),
}
"""What may be done to a moment's embedding before anything linear: all of it goes into a plan's graph."""


def between_knots(valid: Tensor, hop: float, factor: int) -> tuple[Tensor, Interpolation]:
    """Return which of N moments a plan knows, int64 [M], and how it interpolates these at all N.

    Features are known at the valid ones of every ``factor``-th timestamp.
    """
    knots = torch.from_numpy(regular_knots(len(valid), factor))
    knots = knots[valid[knots]]
    stamps = hop * torch.arange(len(valid), dtype=torch.float64)
    return knots, Interpolation(hop * knots[None].double(), torch.tensor([len(knots)]), stamps)


def moment_weights(valid: Tensor, hop: float, factor: int) -> Tensor:
    """Return how much each of N moments counts in the mean: float64 [N], sum 1, or all 0 where none is known.

    Knots at the ends of gaps count for more.
    """
    count = len(valid)
    weights = torch.zeros(count, dtype=torch.float64)
    if factor == 1 and bool(valid.all()):
        return weights + 1 / count
    if not bool(valid[::factor].any()):
        return weights
    knots, between = between_knots(valid, hop, factor)
    weights[knots] = between.collect(torch.full((1, count), 1 / count, dtype=torch.float64))[0]
    return weights


def interpolated(features: Tensor, valid: Tensor, hop: float, factor: int) -> Tensor:
    """Return features float64 [N, D] as a plan has them that knows but the knots."""
    knots, between = between_knots(valid, hop, factor)
    return between.rows(features[knots][None])[0]


def pooled(
    videos: Sequence[VideoEmbeddings], modality: str, transform: str, *, factor: int = 1, view: int = 0
) -> Tensor:
    """Return the mean embedding of each video: float64 [V, E]; NaN where the modality is absent.

    Args:
        videos: Their embeddings.
        modality: "image" or "audio".
        transform: One of ``TRANSFORMS``, of each moment.
        factor: Every how many-th timestamp a feature is known.
        view: Which of the views; the last one of a video that has not so many.
    """
    rows = []
    for video in videos:
        views, valid = video.modality(modality)
        moments = TRANSFORMS[transform](views[min(view, len(views) - 1)].double())
        weights = moment_weights(valid, video.hop, factor)
        rows.append(weights @ moments if weights.any() else torch.full_like(moments[0], torch.nan))
    return torch.stack(rows)
