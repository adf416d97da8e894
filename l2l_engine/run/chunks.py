"""Which moments of one file are decoded together, by one reader in one go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from l2l_engine.result import TimeArray
from l2l_engine.run.collector import Collector

WINDOWS = 64
"""Windows of sound a chunk. It does not depend on the threads: a decoder may add noise from a generator that
goes on from window to window, and the same bits must come out whoever decodes."""

_SAME = 1e-6
"""Seconds by which two times may differ that are the same tick of a clock."""
_GROUP_S = 0.5
"""What going to another group of pictures costs, in seconds of video walked through."""
_CHUNK_S = 1.0
"""Least cost of a chunk of the picture, in the same unit: little enough to share out evenly."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Moments of one modality that one reader decodes in one go.

    Attributes:
        collector: Where the samples go.
        knots: float64 [M], increasing seconds, at least one.
        cost: Seconds of video to walk through; what costs most should be begun first.
    """

    collector: Collector
    knots: TimeArray
    cost: float = math.inf


def video_chunks(
    collector: Collector, knots: TimeArray, keys: TimeArray | None, *, together: int | None = None
) -> list[Chunk]:
    """Chunks of the picture that may be decoded apart: a group of pictures is never divided.

    Args:
        collector: Where the frames go.
        knots: float64 [M], increasing seconds.
        keys: float64 [K], when the key frames are shown; None if nothing tells without reading everything:
            then there is one chunk.
        together: Groups of pictures a chunk; None to make chunks of about equal cost.
    """
    if keys is None or not len(keys) or not len(knots):
        return [Chunk(collector, knots)] if len(knots) else []
    # Whatever comes before the first key frame is shown by it.
    group = np.maximum(np.searchsorted(keys, knots + _SAME, side="right") - 1, 0)
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    if together is not None:
        return [Chunk(collector, some) for some in np.split(knots, begins[::together][1:])]
    chunks, begin, cost = [], 0, 0.0
    for first, stop in zip(begins, [*begins[1:], len(knots)], strict=True):
        if cost > _CHUNK_S:
            chunks.append(Chunk(collector, knots[begin:first], cost))
            begin, cost = int(first), 0.0
        cost += _GROUP_S + max(0.0, float(knots[stop - 1] - keys[group[first]]))
    return [*chunks, Chunk(collector, knots[begin:], cost)]


def audio_chunks(collector: Collector, starts: TimeArray) -> list[Chunk]:
    """Chunks of the sound, the same whatever the threads."""
    return [Chunk(collector, starts[at : at + WINDOWS]) for at in range(0, len(starts), WINDOWS)]
