"""The mean over a video's moments, weighted as a plan that averages weighs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from training.frozen.cache import VideoEmbeddings
from training.models.banks import Interpolation
from training.skimming.sequences import regular_knots

TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda rows: rows,
    "root": lambda rows: rows.sign() * rows.abs().sqrt(),
    "unit": lambda rows: functional.normalize(rows, dim=-1),
}
"""What may be done to the embedding of a moment before anything linear: all of it goes into a plan's graph."""


def moment_weights(valid: Tensor, hop: float, factor: int) -> Tensor:
    """Return how much each of N moments counts: float64 [N], sum 1, or all 0 where none is valid.

    Features are known at the valid ones of every ``factor``-th timestamp and interpolated in between, so that
    knots at the ends of gaps count for more.
    """
    count = len(valid)
    knots = torch.from_numpy(regular_knots(count, factor))
    knots = knots[valid[knots]]
    weights = torch.zeros(count, dtype=torch.float64)
    if len(knots):
        stamps = hop * torch.arange(count, dtype=torch.float64)
        between = Interpolation(hop * knots[None].double(), torch.tensor([len(knots)]), stamps)
        weights[knots] = between.collect(torch.full((1, count), 1 / count, dtype=torch.float64))[0]
    return weights


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
