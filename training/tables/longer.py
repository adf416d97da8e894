"""The same videos, several times as long: does a method still find the action among more of the rest?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.baselines import Method
from training.skimming.features import VideoFeatures
from training.tables.bench import Bench, Examples
from training.tables.lineup import LONG

TIMES = (1, 2, 4)
METHODS = (
    "DENSE",
    "SCSAMPLER",
    "LSTM",
    "NON-RECURRENT",
    "NON-RECURRENT, paired",
    "paper (sparse)",
    "paper (dense)",
    "ours (sparse)",
    "ours (dense)",
    *LONG,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive timestamps of one video, all of the action or none."""

    image: Tensor
    audio: Tensor
    image_valid: Tensor
    audio_valid: Tensor
    inside: bool

    def __len__(self) -> int:
        return len(self.image)


def by_length(bench: Bench, methods: Mapping[str, Method]) -> list[dict[str, Any]]:
    """Return a row for each length: top-1 of every method that there is."""
    rows = []
    for times in TIMES:
        examples = bench.examples if times == 1 else lengthen(bench.examples, times)
        there = bench.on(examples)
        top1 = {name: there.quality(methods[name])["top1"] for name in METHODS if name in methods}
        lengths = [len(track) for track in examples.tracks]
        rows.append({"times": times, "mean_timestamps": float(np.mean(lengths)), "top1": top1})
    return rows


def lengthen(examples: Examples, times: int, seed: int = 0) -> Examples:
    """Put pieces of other videos, none of them of an action, in random order between each one's own.

    A pair's truth does not depend on its neighbours, so the labels stay. A video without sound stays so.
    """
    cut = [pieces(video) for video in examples.videos]
    others = [piece for video in cut for piece in video if not piece.inside and bool(piece.audio_valid.any())]
    longer = []
    for number, (video, own) in enumerate(zip(examples.videos, cut, strict=True)):
        rng = np.random.default_rng([seed, times, number])
        chosen, wanted = list(own), times * len(video.image)
        while sum(map(len, chosen)) < wanted and others:
            chosen.append(others[int(rng.integers(len(others)))])
        longer.append(_joined(video, [chosen[place] for place in rng.permutation(len(chosen))]))
    return Examples(longer, examples.classes, [examples.origin, "longer", times, seed])


def pieces(video: VideoFeatures) -> list[Piece]:
    """A video cut where an action begins or ends."""
    inside = video.inside()
    edges = (torch.nonzero(inside[1:] != inside[:-1]).flatten() + 1).tolist()
    found = []
    for start, end in zip([0, *edges], [*edges, len(inside)], strict=True):
        part = slice(start, end)
        rows = video.image[part], video.audio[part], video.image_valid[part], video.audio_valid[part]
        found.append(Piece(*rows, inside=bool(inside[start])))
    return found


def _joined(video: VideoFeatures, parts: Sequence[Piece]) -> VideoFeatures:
    image, audio, image_valid, audio_valid = (
        torch.cat([getattr(part, name) for part in parts])
        for name in ("image", "audio", "image_valid", "audio_valid")
    )
    starts = np.cumsum([0, *map(len, parts)])
    # Half a hop early, so that no timestamp is on an edge.
    stretches = tuple(
        (video.hop * (start - 0.5), video.hop * (start + len(part) - 0.5))
        for start, part in zip(starts.tolist(), parts, strict=False)
        if part.inside
    )
    footage = replace(video.video, start=0.0, end=None, duration=video.hop * len(image), stretches=stretches)
    heard = audio_valid & bool(video.audio_valid.any())
    return VideoFeatures(footage, image, audio, image_valid, heard, video.hop)
