"""Frames of one file by the GPU's decoder, or why the CPU's takes its place."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import DeviceError, DeviceLostError, DeviceMemoryError
from l2l_engine.gpu.device import Device
from l2l_engine.gpu.slots import DeviceSample
from l2l_engine.media import MediaSource, Poll
from l2l_engine.media.clips import Clip
from l2l_engine.media.clock import CUT_SHORT
from l2l_engine.media.dali import DaliDecoder, Decoded, unsuitable
from l2l_engine.media.ffmpeg import FFmpegSource
from l2l_engine.media.source import FrameAt

_NO_CLIPS = frozenset({"asf"})
"""Formats whose packets do not say when frames are shown."""

_WAIT_S = 0.005
_log = logging.getLogger("l2l_engine")


class Decoder(Protocol):
    """What decodes clips where the encoder can read them; see :class:`l2l_engine.media.dali.DaliDecoder`."""

    batch: int

    def decode_in_place(self, clips: list[Clip], stream: int) -> Decoded:
        """The frames of at most ``batch`` clips, for what is queued on ``stream`` from now on."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceFrameAt:
    """A :class:`l2l_engine.media.source.FrameAt` whose image is on the device."""

    row: int
    image: DeviceSample
    shown_at: float


class Decoders:
    """Decoders on the GPU, made when they are needed, one for each thread that decodes at the same time.

    Args:
        device: Where they decode.
        codecs: FFmpeg's names of those they take.
        missing: Why there are none; None if there may be.
        most: Decoders at once.
        **options: Of :class:`l2l_engine.media.dali.DaliDecoder`.
    """

    def __init__(
        self,
        device: Device,
        codecs: frozenset[str],
        *,
        missing: str | None = None,
        most: int = 2,
        **options: Any,
    ) -> None:
        self.device = device
        self._codecs, self._options, self._left = codecs, options, most
        self._idle: list[Decoder] = []
        self._free = threading.Condition()
        self.missing = missing

    def why_not(self, source: MediaSource) -> str | None:
        """Why this file's frames are decoded on the CPU, as far as its header tells; None if they are not."""
        if self.missing is not None:
            return self.missing
        codec = next((stream.codec for stream in source.streams if stream.kind == "video"), "")
        if codec not in self._codecs:
            return f"{codec} is not decoded on the GPU"
        if not isinstance(source, FFmpegSource) or not _NO_CLIPS.isdisjoint(source.container.split(",")):
            return "its format does not say when frames are shown"
        return None if source.marks_hold else "its key frames are not where it says"

    @contextmanager
    def use(self, poll: Poll) -> Iterator[Decoder]:
        """A decoder that nobody else uses; waits for one if all are in use.

        Raises:
            DeviceError: There is none, and none can be made; that is remembered.
            DeviceLostError: The device is lost.
        """
        decoder = self._take(poll)
        try:
            yield decoder
        finally:
            with self._free:
                self._idle.append(decoder)
                self._free.notify()

    def close(self) -> None:
        """Let go of all that are idle."""
        with self._free:
            self._idle.clear()

    def _take(self, poll: Poll) -> Decoder:
        with self._free:
            while not self._idle and not self._left:
                self._free.wait(_WAIT_S)
                poll()
            if self._idle:
                return self._idle.pop()
            self._left -= 1
        try:
            return self._make()
        except DeviceError as error:
            with self._free:
                self._left += 1
            self.device.require()
            if not isinstance(error, (DeviceMemoryError, DeviceLostError)):
                self.missing = str(error)
                _log.warning("frames are decoded on the CPU: %s", error)
            raise

    def _make(self) -> Decoder:
        with self.device.use():
            return DaliDecoder(**self._options)


class FrameDecoding:
    """Decodes the frames of one file on the GPU as far as that works, and keeps account of who did what.

    Several threads may use it at once, each with a source of its own.
    """

    def __init__(self, decoders: Decoders, *, short_side: int, crop: int) -> None:
        self._decoders, self._sizes = decoders, {"short_side": short_side, "crop": crop}
        self._lock, self._first = threading.Lock(), threading.Lock()
        self._checked = False
        self._refused: str | None = None
        self.frames_decoded = 0
        """Frames that went through the GPU's decoder."""
        self.used: set[str] = set()
        """Decoders that frames came from: "dali", "pyav"."""

    def suits(self, source: MediaSource) -> bool:
        """Whether the GPU's decoder takes this file's frames, as far as its header tells."""
        return self._decoders.why_not(source) is None

    def iter_frames(
        self, source: MediaSource, times: NDArray[np.float64], stream: int, poll: Poll
    ) -> Iterator[FrameAt | DeviceFrameAt]:
        """Yield the frames at ``times`` as :meth:`MediaSource.iter_frames` does, from whichever decoder.

        Args:
            source: Used by this thread alone.
            times: float64 [M], seconds that never decrease.
            stream: That may read frames on the device.
            poll: Called now and then; raises to stop.
        """
        left = np.ones(len(times), np.bool_)
        if self._refused is None:
            self._refused = self._decoders.why_not(source)
        if self._refused is None:
            try:
                yield from self._by_gpu(source, times, left, stream, poll)
            except (DeviceMemoryError, DeviceLostError):
                raise
            except DeviceError as error:
                # DALI says in words of its own that the device is lost, and then nothing may take its place.
                self._decoders.device.require()
                self._refuse(str(error))
        rows = np.flatnonzero(left)
        if len(rows):
            for seen in source.iter_frames(times[rows], **self._sizes, whole=False, poll=poll):
                self.used.add("pyav")
                yield FrameAt(int(rows[seen.row]), seen.image, seen.shown_at)

    def _by_gpu(
        self,
        source: MediaSource,
        times: NDArray[np.float64],
        left: NDArray[np.bool_],
        stream: int,
        poll: Poll,
    ) -> Iterator[DeviceFrameAt]:
        """Mark what is yielded: the rest is the CPU decoder's, which knows what a late frame means."""
        assert isinstance(source, FFmpegSource)
        clips = source.clips(times, poll=poll)
        for clip in clips:
            self._check(clip, source)
            some = [clip]
            with self._decoders.use(poll) as decoder:
                while len(some) < decoder.batch and (more := next(clips, None)) is not None:
                    some.append(more)
                with self._decoders.device.use():
                    frames = decoder.decode_in_place(some, stream)
            with self._lock:
                self.frames_decoded += sum(clip.packets for clip in some)
                self.used.add("dali")
            places = ((row, time) for clip in some for row, time in zip(clip.rows, clip.times, strict=True))
            for pointer, (row, shown_at) in zip(frames.pointers, places, strict=True):
                if float(times[row]) - shown_at <= CUT_SHORT:
                    left[row] = False
                    yield DeviceFrameAt(row, DeviceSample(pointer, frames.owner), shown_at)

    def _check(self, clip: Clip, source: FFmpegSource) -> None:
        """Look at the file's first clip that comes; threads with others wait for what it says."""
        with self._first:
            if not self._checked and self._refused is None:
                self._checked = True
                self._refused = unsuitable(clip, most_pixels=source.limits.pixels)
            if self._refused is not None:
                raise DeviceError(self._refused)

    def _refuse(self, reason: str) -> None:
        self._refused = reason
        _log.info("frames are decoded on the CPU: %s", reason)
