"""What is known of every moment of a labelled video: what happens there, what does not, what may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.learning.detection import Stretch
from training.videos.manifest import Video

_ALL = 0.95
"""Share of a video from which on its stretches say no more than its label."""

TRIMMED = 12.0
"""Seconds up to which a video is taken for a clip that is nothing but its action."""


def says_when(video: Video) -> bool:
    """Whether the manifest says where in the video its only action is."""
    told = sum(end - start for start, end in video.stretches)
    return len(video.labels) == 1 and 0 < told < _ALL * video.duration


def stretches_of(videos: Sequence[Video]) -> list[Stretch]:
    """Return what is to be found in videos whose manifest says when."""
    return [
        Stretch(video.name, video.label, start, end)
        for video in videos
        if says_when(video)
        for start, end in video.stretches
        if end > start
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The truth of a video's moments.

    Attributes:
        happens: bool [N, C].
        known: bool [N, C]; False where it may happen, because the video has the label and nobody said when.
    """

    happens: NDArray[np.bool_]
    known: NDArray[np.bool_]


def moments_of(video: Video, times: NDArray[np.float64], classes: Sequence[str]) -> Moments:
    """Return what is known of the moments at ``times`` [N].

    Outside of the stretches nothing happens, and nowhere what is no label. Within them the only label does,
    if the manifest says when or the video is a clip; otherwise each label does somewhere in them.
    """
    columns = [classes.index(name) for name in video.labels if name in classes]
    inside = np.zeros(len(times), np.bool_)
    for start, end in video.stretches:
        inside |= (times >= start) & (times < end)
    happens, known = (
        np.zeros((len(times), len(classes)), np.bool_),
        np.ones((len(times), len(classes)), np.bool_),
    )
    clip = len(video.labels) == 1 and video.duration <= TRIMMED
    for column in columns:
        if says_when(video) or clip:
            happens[:, column] = inside
        else:
            known[:, column] = ~inside
    return Moments(happens, known)
