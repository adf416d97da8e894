"""What is seen at the moments looked at: the optional network that answers instead of the skimmer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends import Encoder
from l2l_engine.media import MediaSource, Poll
from l2l_engine.media.source import FrameAt
from l2l_engine.plan import MediaSettings, PlanDocument, RecogniserSettings
from l2l_engine.result import TimeArray
from l2l_engine.run.kept import Kept

MAX_CACHE_BYTES = 64 << 20
"""Most bytes of frames that one call keeps for the recogniser: 1,783 of 112 pixels."""

FRAMES_A_CALL = 8
"""Frames a call of a network: enough to keep a core busy, little enough to share out and to stop in time."""


class FrameCache(Kept[NDArray[Any]]):
    """Frames that were decoded for the image encoder, for the recogniser to see again."""

    def __init__(self) -> None:
        super().__init__(MAX_CACHE_BYTES)


class Recogniser:
    """The network, and which frames of a video it takes. Safe from many threads.

    Args:
        document: The document of a plan that has a recogniser.
        encoder: Runs its graph: a batch of moments in, logits out.
    """

    def __init__(self, document: PlanDocument, encoder: Encoder) -> None:
        assert document.recogniser is not None
        self.settings: RecogniserSettings = document.recogniser
        self._encoder = encoder
        self.media = replace(document.media, short_side=self.settings.short_side, crop=self.settings.crop)
        self.seconds = self._try()
        """What the network takes for one moment at best."""

    @property
    def most(self) -> int:
        """Moments a call of the network: a clip is work enough for one."""
        return FRAMES_A_CALL if self.settings.kind == "frame" else 1

    def encode(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """The network's logits float32 [B, C] of a batch of moments; takes note of how long they took."""
        begin = time.perf_counter()
        logits = self._encoder.encode(batch)
        self.took((time.perf_counter() - begin) / len(batch))
        return logits

    def measure(self) -> None:
        """Take note of what a moment takes now that the network has run before."""
        self.took(self._try())

    def took(self, seconds: float) -> None:
        """Take note of what a moment took just now.

        The least counts: one that was slow, because the machine was busy, would keep budgets from ever trying
        again. What takes longer is broken off.
        """
        self.seconds = min(self.seconds, seconds)

    def times(self, moments: TimeArray) -> TimeArray:
        """When the frames are shown that it takes of some moments: float64 [M, frames], seconds."""
        settings = self.settings
        times: TimeArray = moments[:, None] + np.arange(settings.frames) * (
            settings.seconds / settings.frames
        )
        return times

    def sees_frames_of(self, document: PlanDocument) -> bool:
        """Whether it takes the very frames that the plan's image encoder does."""
        settings, media = self.settings, document.media
        same = (settings.short_side, settings.crop) == (media.short_side, media.crop)
        return settings.kind == "frame" and same

    def _try(self) -> float:
        moment = np.zeros((1, *self.settings.input_shape), np.uint8)
        self._encoder.encode(moment)  # the first run prepares for those that follow
        begin = time.perf_counter()
        self._encoder.encode(moment)
        return time.perf_counter() - begin


class CachedFrames:
    """A :data:`l2l_engine.run.compute.FrameReader` that decodes only the frames that were not kept.

    Args:
        cache: Where frames may be; None if none were kept.
        media: How the others are decoded.
    """

    def __init__(self, cache: FrameCache | None, media: MediaSettings) -> None:
        self._cache, self._media = cache, media

    def __call__(self, source: MediaSource, times: TimeArray, poll: Poll) -> Iterator[FrameAt]:
        """Yield the frames shown at some moments that never decrease, those that were kept first."""
        missing = []
        for row, moment in enumerate(times.tolist()):
            frame = None if self._cache is None else self._cache.get(moment)
            if frame is None:
                missing.append(row)
            else:
                yield FrameAt(row, frame, moment)
        if missing:
            short_side, crop = self._media.short_side, self._media.crop
            for found in source.iter_frames(times[missing], short_side=short_side, crop=crop, poll=poll):
                yield replace(found, row=missing[found.row])
