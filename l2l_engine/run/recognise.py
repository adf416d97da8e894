"""What is seen at the moments looked at: the optional network that answers instead of the skimmer."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends import Encoder
from l2l_engine.media import MediaSource
from l2l_engine.media.source import FrameAt
from l2l_engine.plan import MediaSettings, PlanDocument, RecogniserSettings
from l2l_engine.result import TimeArray
from l2l_engine.run.extraction import MOST, Batch, Extraction, Gathered, Part, Readers
from l2l_engine.run.request import Stopwatch
from l2l_engine.run.workers import Job

MAX_KEPT_BYTES = 64 << 20
"""Most bytes of frames that one call keeps for the recogniser: 1,783 of 112 pixels."""


class Kept:
    """Frames that were decoded for the image encoder, for the recogniser to see again."""

    def __init__(self) -> None:
        self._frames: dict[float, NDArray[Any]] = {}
        self._lock = threading.Lock()
        self._left = MAX_KEPT_BYTES

    def add(self, moment: float, frame: NDArray[Any]) -> None:
        """Keep one, if there is room."""
        with self._lock:
            if frame.nbytes <= self._left and moment not in self._frames:
                self._left -= frame.nbytes
                self._frames[moment] = frame

    def get(self, moment: float) -> NDArray[Any] | None:
        """The frame shown at a moment; None if it was not decoded for it, or not kept."""
        return self._frames.get(moment)


class Recogniser:
    """The network, and which frames of a video it takes. Safe from many threads.

    Args:
        document: Of a plan that has a recogniser.
        encoder: Of its graph: a batch of moments in, logits out.
    """

    def __init__(self, document: PlanDocument, encoder: Encoder) -> None:
        assert document.recogniser is not None
        self.settings: RecogniserSettings = document.recogniser
        self.encoder = encoder
        self.media = replace(document.media, short_side=self.settings.short_side, crop=self.settings.crop)
        self.seconds = self._try()
        """What the network takes for one moment at best."""

    @property
    def most(self) -> int:
        """Moments a call of the network: a clip is work enough for one."""
        return MOST["frames"] if self.settings.kind == "frame" else 1

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

    def _try(self) -> float:
        moment = np.zeros((1, *self.settings.input_shape), np.uint8)
        self.encoder.encode(moment)  # the first run prepares for those that follow
        begin = time.perf_counter()
        self.encoder.encode(moment)
        return time.perf_counter() - begin


def sees_the_same(document: PlanDocument) -> bool:
    """Whether the recogniser takes the very frames that the image encoder does."""
    settings, media = document.recogniser, document.media
    if settings is None or settings.kind != "frame":
        return False
    return (settings.short_side, settings.crop) == (media.short_side, media.crop)


class Views(Gathered):
    """The logits of some moments so far; their frames come one by one, in any order, from several threads.

    Args:
        recogniser: Sees them.
        moments: float64 [M], increasing seconds.
    """

    def __init__(self, recogniser: Recogniser, moments: TimeArray) -> None:
        super().__init__("frames", recogniser.encoder)
        self._recogniser = recogniser
        self.most = self._size = recogniser.most
        self.knots = recogniser.settings.frames
        self._places: dict[float, list[tuple[float, int]]] = defaultdict(list)
        for moment, times in zip(moments.tolist(), recogniser.times(moments).tolist(), strict=True):
            for place, shown in enumerate(times):
                self._places[shown].append((moment, place))
        self._begun: dict[float, dict[int, NDArray[Any]]] = defaultdict(dict)
        self._begun_lock = threading.Lock()

    @property
    def wanted(self) -> TimeArray:
        """The frames that are still to come: float64 [K], increasing seconds."""
        return np.array(sorted(self._places), np.float64)

    def encode(self, batch: Batch) -> None:
        """Have the network see some moments."""
        begin = time.perf_counter()
        super().encode(batch)
        self._recogniser.took((time.perf_counter() - begin) / len(batch))

    def add(self, time: float, sample: NDArray[Any]) -> None:
        """Take a frame; a moment waits to be encoded once all of its frames are there."""
        whole = []
        with self._begun_lock:
            for moment, place in self._places.pop(time):
                frames = self._begun[moment]
                frames[place] = sample
                if len(frames) == self.knots:
                    whole.append((moment, self._begun.pop(moment)))
        for moment, frames in whole:
            clip = [frames[place] for place in range(self.knots)]
            super().add(moment, np.stack(clip) if self._recogniser.settings.kind == "clip" else clip[0])


class Viewing(Extraction):
    """An extraction that need not decode the frames that were kept."""

    def __init__(
        self, job: Job, readers: Readers, media: MediaSettings, watch: Stopwatch, kept: Kept | None
    ) -> None:
        super().__init__(job, readers, media, watch)
        self._kept = kept

    def _frames(self, source: MediaSource, part: Part) -> Iterator[FrameAt]:
        missing = []
        for row, moment in enumerate(part.knots.tolist()):
            frame = None if self._kept is None else self._kept.get(moment)
            if frame is None:
                missing.append(row)
            else:
                yield FrameAt(row, frame, moment)
        if missing:
            for seen in super()._frames(source, Part(part.gathered, part.knots[missing])):
                yield replace(seen, row=missing[seen.row])
