"""What one call keeps of what it decoded, up to so many bytes, for whoever wants it again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from l2l_engine.media import MediaSource, Poll
from l2l_engine.media.source import FrameAt, Whole
from l2l_engine.plan import MediaSettings
from l2l_engine.result import FloatArray, TimeArray

MAX_BYTES = 256 << 20
"""Most bytes of whole frames, and of sound, that one call keeps: 86 frames of 1920x1080, an hour of sound."""


class Sized(Protocol):
    """Something that knows how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes."""


_Thing = TypeVar("_Thing", bound=Sized)


class Kept(Generic[_Thing]):
    """Things by their moment, as long as there is room; several threads add to them.

    Args:
        most: Bytes of all of them together.
    """

    def __init__(self, most: int) -> None:
        self._things: dict[float, _Thing] = {}
        self._lock = threading.Lock()
        self._left = most

    def add(self, moment: float, thing: _Thing) -> None:
        """Keep a thing, if there is room."""
        nbytes = thing.nbytes
        with self._lock:
            if nbytes <= self._left and moment not in self._things:
                self._left -= nbytes
                self._things[moment] = thing

    def get(self, moment: float) -> _Thing | None:
        """What was kept of a moment; None if it was not decoded, or not kept."""
        return self._things.get(moment)


class Keeper:
    """Whole frames and windows of sound of one file, for who is to be given them.

    Args:
        media: The plan's settings.
    """

    def __init__(self, media: MediaSettings) -> None:
        self._media = media
        self._wholes: Kept[Whole] = Kept(MAX_BYTES)
        self.windows: Kept[NDArray[np.float32]] = Kept(MAX_BYTES)
        """Windows of sound, by their start."""

    def iter_frames(self, source: MediaSource, times: TimeArray, poll: Poll) -> Iterator[FrameAt]:
        """Yield frames and keep them at their own size; a :data:`l2l_engine.run.compute.FrameReader`."""
        for seen in self._iter_wholes(source, times, poll):
            if seen.whole is not None:
                self._wholes.add(float(times[seen.row]), seen.whole)
            yield seen

    def pictures(self, source: MediaSource, moments: TimeArray, poll: Poll) -> dict[float, NDArray[np.uint8]]:
        """The frames shown at some moments; see :meth:`l2l_engine.run.session.Session.pictures`."""
        wholes = {moment: self._wholes.get(moment) for moment in moments.tolist()}
        lost = np.array([moment for moment, whole in wholes.items() if whole is None], np.float64)
        if len(lost):
            for seen in self._iter_wholes(source, lost, poll):
                wholes[float(lost[seen.row])] = seen.whole
        found: dict[float, NDArray[np.uint8]] = {}
        for moment, whole in wholes.items():
            with suppress(ValueError):  # a frame that no picture can be made of is none
                found |= {} if whole is None else {moment: whole.pixels()}
        return found

    def sounds(self, source: MediaSource, starts: TimeArray, poll: Poll) -> dict[float, FloatArray]:
        """The windows that begin at some moments; see :meth:`l2l_engine.run.session.Session.sounds`."""
        windows = {start: self.windows.get(start) for start in starts.tolist()}
        lost = np.array([start for start, samples in windows.items() if samples is None], np.float64)
        if len(lost):
            sizes = {"window": self._media.window, "sample_rate": self._media.sample_rate}
            for some in source.iter_windows(lost, **sizes, poll=poll):
                windows |= dict(zip(lost[some.rows].tolist(), some.samples, strict=True))
        return {start: samples.copy() for start, samples in windows.items() if samples is not None}

    def _iter_wholes(self, source: MediaSource, times: TimeArray, poll: Poll) -> Iterator[FrameAt]:
        media = self._media
        return source.iter_frames(times, short_side=media.short_side, crop=media.crop, whole=True, poll=poll)
