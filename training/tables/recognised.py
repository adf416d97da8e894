"""Recognition apart from indexing (Fig. 7, Table 2): a recogniser sees the moments that something chose."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from l2l_engine.plan import RecogniserSettings
from training.baselines import Skimming
from training.baselines.averages import uniform
from training.skimming.features import VideoFeatures
from training.skimming.sequences import Track, collate, fixed_knots
from training.tables.bench import Bench, Result, describe
from training.tables.macs import Cost, cost

Moments = list[list[int]]
"""Timestamps by video."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A trained recogniser.

    Attributes:
        network: uint8 frames [B, H, W, 3], or clips [B, F, H, W, 3], to logits [B, C].
        settings: What it sees of a moment.
        several: Whether a video may have several labels.
    """

    network: nn.Module
    settings: RecogniserSettings
    several: bool = False


def recognise(bench: Bench, sight: Sight, indexes: Sequence[Skimming]) -> dict[str, Result]:
    """Return a row for ten uniform moments, and for each skimmer's, with what choosing them costs.

    Args:
        bench: The test set.
        sight: Says what is seen.
        indexes: Choose where to look.
    """
    name = f"{sight.settings.kind} recogniser"
    evenly = [uniform(len(track)).tolist() for track in bench.examples.tracks]
    found = [see(bench, sight, f"uniform | {name}", evenly, None)]
    for index in indexes:
        moments = looked_at(index, bench.examples.tracks)
        found.append(see(bench, sight, f"{index.name} | {name}", moments, bench.run(index)))
    return {result.name: result for result in found}


@torch.inference_mode()
def looked_at(index: Skimming, tracks: Sequence[Track]) -> Moments:
    """Return the different timestamps that a skimmer looked at, increasing; none without a picture."""
    index.skimmer.eval()
    moments = []
    for track in tracks:
        item = fixed_knots(track, index.factor)
        chosen: set[int] = set()
        if len(item.image_knots):
            output = index.skimmer(collate([item]), index.steps)
            chosen = set(output.image_attention[0, :-1, : len(track)].argmax(dim=1).tolist())
        moments.append(sorted(chosen))
    return moments


def see(bench: Bench, sight: Sight, name: str, moments: Moments, index: Result | None) -> Result:
    """Average the recogniser's scores at the moments; where it saw nothing, the index's own stand.

    Args:
        bench: The test set.
        sight: The recogniser.
        name: Of the row.
        moments: By video.
        index: What chose them, and its costs; None for nothing.
    """
    examples = bench.examples
    what = ["recognised", describe(sight), moments]
    kept = bench.keep(what, lambda: _answers(sight, examples.videos, moments, len(examples.classes)))
    scores, seen = kept["scores"].numpy(), kept["seen"].numpy()
    if index is not None:
        scores = np.where(seen[:, None] > 0, scores, index.scores)
    shape = sight.settings.input_shape
    each = cost(sight.network.eval(), torch.zeros((2, *shape), dtype=torch.uint8))
    head = each * float(seen.mean()) + (Cost() if index is None else index.head)
    images, windows = (0.0, 0.0) if index is None else (index.images, index.windows)
    return Result(
        name=name,
        scores=scores,
        right=examples.right(scores),
        images=images,
        windows=windows,
        head=head,
        cost=bench.encoders.of(images, windows) + head,
        quality=examples.quality(scores),
    )


@torch.inference_mode()
def _answers(
    sight: Sight, videos: Sequence[VideoFeatures], moments: Moments, classes: int
) -> dict[str, Tensor]:
    """Return scores [V, C], zero where nothing was seen, and how many moments were seen [V]."""
    sight.network.eval()
    scores, seen = torch.zeros(len(videos), classes), torch.zeros(len(videos), dtype=torch.int64)
    for row, (item, chosen) in enumerate(zip(videos, moments, strict=True)):
        views = decode(item, chosen, sight.settings)
        seen[row] = len(views)
        if len(views):
            logits = sight.network(torch.from_numpy(views)) / sight.settings.temperature
            scores[row] = (logits.sigmoid() if sight.several else logits.softmax(dim=1)).mean(dim=0)
    return {"scores": scores, "seen": seen}


def decode(item: VideoFeatures, moments: Sequence[int], settings: RecogniserSettings) -> NDArray[np.uint8]:
    """Decode what the recogniser takes of some moments: [K, ...], without those that cannot be had."""
    after = np.arange(settings.frames) * (settings.seconds / settings.frames)
    times = (item.video.start + item.hop * np.array(moments, np.float64))[:, None] + after
    wanted, places = np.unique(times, return_inverse=True)
    if not len(wanted):
        return np.zeros((0, *settings.input_shape), np.uint8)
    try:
        with closing(open_media(item.video.path)) as source:
            frames = source.frames(wanted, short_side=settings.short_side, crop=settings.crop)
    except MediaError:
        return np.zeros((0, *settings.input_shape), np.uint8)
    places = places.reshape(times.shape)
    whole = frames.valid[places].all(axis=1)
    views: NDArray[np.uint8] = frames.images[places[whole]].reshape(-1, *settings.input_shape)
    return views
