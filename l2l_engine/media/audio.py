"""Windows of sound at given moments, each sample the same whoever asks for it."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream

from l2l_engine.errors import LimitError
from l2l_engine.media.demux import Demuxer, Track
from l2l_engine.media.limits import Limits
from l2l_engine.media.mono import mono
from l2l_engine.media.resample import FloatArray, Resampler
from l2l_engine.media.source import Poll

_PREROLL = 0.25
"""Seconds decoded before a window after a jump: overlapping transforms and bit reservoirs settle in it."""
_MARGIN = 32
"""Samples, at the lower of the two rates, beside a window that its ends are resampled from."""
_MAX_RATE = 400_000
"""Hz; no real recording has more, and the filters for a damaged header's 4 GHz would fill the memory."""
_JITTER = 0.02
"""Seconds by which timestamps may disagree with the count of samples before they are believed: containers
round to milliseconds, and taking that literally would tear clicks into the sound."""
_SEEK_AHEAD = 10.0
"""Seconds to a window below which reading on costs less than seeking."""
_SEEKABLE = {"mov", "matroska", "wav", "flac", "ogg"}
"""Formats whose timestamps after a seek are those of the file, not an estimate from the bit rate."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive mono samples; ``first`` counts input samples from the start of the track."""

    first: int
    samples: FloatArray

    @property
    def stop(self) -> int:
        """One past the last sample."""
        return self.first + len(self.samples)


class AudioWalker:
    """Walks an audio track forward from window to window of ``count`` samples at ``sample_rate`` Hz."""

    def __init__(
        self,
        demuxer: Demuxer,
        track: Track,
        limits: Limits,
        poll: Poll | None,
        *,
        count: int,
        sample_rate: int,
    ) -> None:
        self._demuxer, self._track, self._limits, self._poll = demuxer, track, limits, poll
        self._count, self._sample_rate = count, sample_rate
        self.rate = track.info.sample_rate or 0
        self.ended = False
        """The last packet of the track was read."""
        self.bad: list[tuple[float, float]] = []
        """What could not be decoded: (from, to), container seconds."""
        self.end = -math.inf
        """Where the last decoded sample ends, container seconds."""
        self.covered = 0.0
        """Seconds of decoded sound in the last window."""
        self._pieces: deque[Piece] = deque()
        self._held = 0
        self._position = -math.inf
        self._restart(rewind=True)

    def _restart(self, *, rewind: bool) -> None:
        if rewind:
            self._demuxer.rewind()
        self._packets: Iterator[Packet[Stream]] = self._demuxer.packets((self._track,), self._poll)
        self._forget()
        self.ended = False

    def _forget(self) -> None:
        """Make the decoder forget the past: decoding goes on somewhere else."""
        stream = self._demuxer.stream(self._track)
        assert isinstance(stream, AudioStream)
        self._codec = stream.codec_context
        self._codec.flush_buffers()
        if not self._codec.is_open:
            self._codec.thread_count = 1
        self._next: int | None = None

    def window(self, moment: float) -> FloatArray:
        """The samples from ``moment`` on (container seconds, never decreasing between calls).

        Returns:
            float32 [count], zero where there is no sound. The first is the one nearest to the moment in the
            track resampled as a whole.

        Raises:
            LimitError: The decoded sound does not fit the limit.
        """
        self._read(moment, moment + self._count / self._sample_rate)
        self.covered = 0.0
        if not self._pieces:
            return np.zeros(self._count, np.float32)
        resampler = Resampler(self.rate, self._sample_rate)
        first = math.floor((moment - self._track.start) * self._sample_rate + 0.5)
        start, stop = resampler.span(first, self._count)
        samples = np.zeros(stop - start, np.float32)
        held = 0
        for piece in self._pieces:
            low, high = max(start, piece.first), min(stop, piece.stop)
            if low < high:
                held += high - low
                samples[low - start : high - start] = piece.samples[low - piece.first : high - piece.first]
        self.covered = held / self.rate
        # A broken float stream may hold anything; what is not a number is silence.
        samples = np.clip(np.nan_to_num(samples, nan=0.0, copy=False), -1.0, 1.0)
        return resampler(samples, first, self._count) if held else np.zeros(self._count, np.float32)

    def _read(self, start: float, stop: float) -> None:
        """Decode what lies between two moments, and as much around it as the resampler needs."""
        if start - self._position > _SEEK_AHEAD and not self.ended and self._can_seek():
            self._seek(start - _PREROLL)
        margin = _MARGIN / max(1, min(self.rate, self._sample_rate))
        while self._pieces and self._pieces[0].stop < (start - margin - self._track.start) * self.rate:
            self._held -= len(self._pieces.popleft().samples)
        while self._position < stop + margin and not self.ended:
            self._step(start - margin - _PREROLL)

    def _seek(self, goal: float) -> None:
        """Go to a packet at or before ``goal``; back to the start if the format cannot."""
        if self._demuxer.seek(self._track, goal):
            self._restart(rewind=False)
            packet = next(self._packets, None)
            time = None if packet is None else self._demuxer.time(packet, self._track)
            if packet is not None and time is not None and time <= goal:
                self._packets = itertools.chain([packet], self._packets)
                return
        self._restart(rewind=True)

    def _can_seek(self) -> bool:
        names = self._demuxer.container.format.name.split(",")
        return self._position > -math.inf and not _SEEKABLE.isdisjoint(names)

    def _step(self, needed_from: float) -> None:
        """Read one packet and decode it if it reaches into what is needed."""
        packet = next(self._packets, None)
        if packet is None:
            self.ended = True
            self._decode(None, self._position)
            self._position = math.inf
            return
        time = self._demuxer.time(packet, self._track)
        begin = self._position if time is None else time
        end = begin + (packet.duration or 0) * self._track.time_base
        if end < needed_from:
            if self._next is not None:
                self._forget()  # the decoder must not join sounds that are apart
            self._position = max(self._position, end)
            return
        self._decode(packet, begin)
        self._position = max(self._position, end)

    def _decode(self, packet: Packet[Stream] | None, begin: float) -> None:
        corrupt = packet is not None and packet.is_corrupt
        try:
            frames = [] if corrupt else self._codec.decode(packet)
        except av.error.FFmpegError:
            frames, corrupt = [], True
        if corrupt and packet is not None:
            length = (packet.duration or 0) * self._track.time_base
            self.bad.append((begin, begin + max(length, 1e-3)))
        for frame in frames:
            self._keep(frame)

    def _keep(self, frame: AudioFrame) -> None:
        if frame.sample_rate != self.rate and not self._take_rate(frame):
            return
        if frame.pts is None:
            first = self._next or 0
        else:
            first = round((frame.pts * self._track.time_base - self._track.start) * self.rate)
        if self._next is not None and abs(first - self._next) <= _JITTER * self.rate:
            first = self._next
        samples = mono(frame)
        if self._next is not None and first < self._next:
            samples = samples[self._next - first :]
            first = self._next
        if len(samples):
            self._pieces.append(Piece(first, samples))
            self._held += len(samples)
            self._next = first + len(samples)
            self.end = max(self.end, self._track.start + self._next / self.rate)
        if self._held * samples.itemsize > self._limits.audio_bytes:
            cause = f"more than the limit of {self._limits.audio_bytes} bytes of sound decoded at once"
            raise LimitError(f"{self._demuxer.name}: {cause}")

    def _take_rate(self, frame: AudioFrame) -> bool:
        """The rate is what the decoder says, not the container; a later change of it is damage."""
        if self.end > -math.inf or not 0 < frame.sample_rate <= _MAX_RATE:
            begin = max(self.end, frame.time or 0.0)
            self.bad.append((begin, begin + frame.samples / max(1, frame.sample_rate)))
            return False
        self.rate = frame.sample_rate
        return True
