"""Windows of sound at given moments, each sample the same whoever asks for it."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream

from l2l_engine.errors import LimitError
from l2l_engine.media.demux import Demuxer
from l2l_engine.media.limits import Limits
from l2l_engine.media.mono import MAX_RATE, mono
from l2l_engine.media.resample import FloatArray, Resampler
from l2l_engine.media.source import Poll, WindowsAt
from l2l_engine.media.tracks import Track

_PREROLL = 0.25
"""Seconds decoded before a window after a jump: overlapping transforms and bit reservoirs settle in it."""
_MARGIN = 32
"""Samples, at the lower of the two rates, beside a window that its ends are resampled from."""
_JITTER = 0.02
"""Seconds by which timestamps may disagree with the count of samples before they are believed: containers
round to milliseconds, and taking that literally would tear clicks into the sound."""
_INTERPOLATED = 0.25
"""The same where FFmpeg interpolates them by a rate that is no longer true."""
_SEEK_AHEAD = 10.0
"""Seconds to a window below which reading on costs less than seeking."""
_LEAP_AHEAD = 0.5
"""The same where the container knows the place of every packet."""


_WITH_PREAMBLE = {"adpcm_ms", "adpcm_ima_wav", "adpcm_swf"}
"""Codecs of their kind whose packets each say where the wave stands."""


def _goes_on(codec: str) -> bool:
    """Whether each sample is a difference to the one before, from the first of the track to the last."""
    differences = codec.startswith("adpcm_") or codec.endswith("_dpcm") or codec == "dfpwm"
    return differences and codec not in _WITH_PREAMBLE


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive mono samples at ``rate`` Hz; ``first`` counts samples from the start of the track."""

    first: int
    samples: FloatArray
    rate: int

    @property
    def stop(self) -> int:
        """One past the last sample."""
        return self.first + len(self.samples)


@dataclass(frozen=True, slots=True)
class Sound:
    """What one window is resampled from: output sample ``first`` on, at the track's own rate.

    Attributes:
        first: Index of the window's first output sample in the track resampled as a whole.
        samples: float32, by the rate at which they were recorded, the input samples of ``Resampler.span``;
            empty where there is no sound. There are several rates where the rate changes in the window:
            each is zero where another one has the sound, and what they are resampled to adds up.
    """

    first: int
    samples: dict[int, FloatArray]


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
        self._demuxer, self._track, self._limits, self.poll = demuxer, track, limits, poll
        self._count, self._sample_rate = count, sample_rate
        rate = track.info.sample_rate or 0
        self.rate = rate if rate <= MAX_RATE else 0
        self.ended = False
        """The last packet of the track was read."""
        self.bad: list[tuple[float, float]] = []
        """What could not be decoded: (from, to), container seconds."""
        self.end = -math.inf
        """Where the last decoded sample ends, container seconds."""
        self.passed = -math.inf
        """Where the last packet ends that nobody wanted decoded, container seconds."""
        self.covered = 0.0
        """Seconds of decoded sound in the last window."""
        self._goes_on = _goes_on(track.info.codec)
        self._jitter = _JITTER
        self._can_seek = demuxer.finds_sound and not self._goes_on
        self._stamped = False
        self._far = _LEAP_AHEAD if demuxer.lists_packets else _SEEK_AHEAD
        self._pieces: deque[Piece] = deque()
        self._held = 0
        self._doubtful: tuple[Packet[Stream], float] | None = None
        """The last packet and its time, if that was passed by and does not say how long it lasts."""
        self._run: AudioFifo | None = None
        self._run_first = 0
        self._run_kind: tuple[str, str, int, int] | None = None
        # The decoder must be one that was never used: some add noise from a generator that no flush sets
        # back, and a window should hold the same samples whatever was decoded before.
        if self._can_seek and self._far == _LEAP_AHEAD and demuxer.take_unused_audio():
            self._packets: Iterator[Packet[Stream]] = iter(())
            self._position = -math.inf  # the first window says where to begin
            self._forget()
        else:
            self._restart(rewind=True)
        self._preroll = self._preroll_of(self._codec)

    @staticmethod
    def _preroll_of(codec: AudioCodecContext) -> float:
        """Seconds decoded before a window after a jump."""
        if codec.name == "aac" and codec.profile == "LC" and codec.sample_rate:
            return 3 * 1024 / codec.sample_rate  # one packet overlaps the next, and nothing else goes on
        return _PREROLL

    def _restart(self, *, rewind: bool) -> None:
        if rewind:
            self._demuxer.rewind()
            self._demuxer.take_unused_audio()
        self._packets = self._demuxer.packets((self._track,), self.poll)
        self._position = self._track.start if rewind else -math.inf
        self._doubtful = None
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

    def window(self, moment: float) -> Sound:
        """The sound from ``moment`` on (container seconds, never decreasing between calls).

        Its first output sample is the one nearest to the moment in the track resampled as a whole.

        Raises:
            LimitError: The decoded sound does not fit the limit.
        """
        preroll, stop = self._preroll, moment + self._count / self._sample_rate
        self._read(moment, stop)
        if self._counts_from_now_on() or self._preroll > preroll:
            # The rate changed on the way: decoding should have begun earlier.
            self._restart(rewind=True)
            self._run, self._held = None, 0
            self._pieces.clear()
            self._read(moment, stop)
        self._flush()
        self.covered = 0.0
        first = math.floor((moment - self._track.start) * self._sample_rate + 0.5)
        rates = dict.fromkeys(piece.rate for piece in self._pieces)
        spans = {rate: Resampler(rate, self._sample_rate).span(first, self._count) for rate in rates}
        found: dict[int, FloatArray] = {}
        for piece in self._pieces:
            start, stop = spans[piece.rate]
            low, high = max(start, piece.first), min(stop, piece.stop)
            if low < high:
                self.covered += (high - low) / piece.rate
                samples = found.setdefault(piece.rate, np.zeros(stop - start, np.float32))
                samples[low - start : high - start] = piece.samples[low - piece.first : high - piece.first]
        return Sound(first, found)

    def _counts_from_now_on(self) -> bool:
        """Whether stamps have turned out to be worth less than a count of samples.

        Where the header says nothing, FFmpeg interpolates stamps by the rate that the file began with.
        """
        if not self._demuxer.free or self._goes_on or self.rate == self._track.info.sample_rate:
            return False
        self._goes_on, self._jitter = True, _INTERPOLATED
        return True

    def resampled(self, sounds: list[tuple[int, Sound]]) -> WindowsAt:
        """Windows from what was decoded for them; zero where there is no sound."""
        out = np.zeros((len(sounds), self._count), np.float32)
        for number, (_, sound) in enumerate(sounds):
            for rate, samples in sound.samples.items():
                # A broken float stream may hold anything; what is not a number is silence.
                clean = np.nan_to_num(samples, nan=0.0, copy=False)
                np.clip(clean, -1.0, 1.0, out=clean)
                out[number] += Resampler(rate, self._sample_rate)(clean, sound.first, self._count)
        return WindowsAt(np.array([row for row, _ in sounds], np.int64), out)

    def _read(self, start: float, stop: float) -> None:
        """Decode what lies between two moments, and as much around it as the resampler needs."""
        margin = _MARGIN / max(1, min(self.rate, self._sample_rate))
        needed_from = start - margin - self._preroll
        if needed_from - self._position > self._far and self._can_seek and not self.ended:
            self._seek(needed_from)
        begin = start - margin - self._track.start
        while self._pieces and self._pieces[0].stop < begin * self._pieces[0].rate:
            self._held -= len(self._pieces.popleft().samples)
        while self._position < stop + margin and not self.ended:
            self._step(needed_from)

    def _seek(self, goal: float) -> None:
        """Go to a packet at or before ``goal``; back to the start if the format cannot."""
        if self._demuxer.seek(self._track, goal):
            self._restart(rewind=False)
            packet = next(self._packets, None)
            time = None if packet is None else self._demuxer.time(packet, self._track)
            if packet is not None and time is not None and time <= max(goal, self._track.start):
                self._packets = itertools.chain([packet], self._packets)
                return
        self._can_seek = False
        self._restart(rewind=True)

    def _step(self, needed_from: float) -> None:
        """Read one packet and decode it if it reaches into what is needed."""
        packet = next(self._packets, None)
        time = None if packet is None else self._demuxer.time(packet, self._track)
        if self._doubtful is not None and (packet is None or time is None or time > needed_from):
            self._decode(*self._doubtful)  # it lasted up to here, and reaches into what is needed
        self._doubtful = None
        if packet is None:
            self.ended = True
            self._decode(None, self._position)
            self._position = math.inf
            return
        self._stamped |= time is not None
        begin = self._position if time is None else time
        length = self._demuxer.length(packet, self._track)
        end = begin + length
        if end > needed_from or not self._stamped:
            self._decode(packet, begin)
            end = end if self._stamped else max(end, self.end)
        elif self._goes_on:
            self._decode(packet, begin)
            self._flush()
            self._pieces.clear()  # it is for the decoder's memory alone
            self._held = 0
        else:
            self.passed = max(self.passed, end)
            self._doubtful = (packet, begin) if length == 0.0 else None
            if self._next is not None:
                self._forget()  # the decoder must not join sounds that are apart
        self._position = max(self._position, end)

    def _decode(self, packet: Packet[Stream] | None, begin: float) -> None:
        corrupt = packet is not None and packet.is_corrupt
        try:
            frames = [] if corrupt else self._codec.decode(packet)
        except av.error.FFmpegError:
            frames, corrupt = [], True
        if corrupt and packet is not None:
            self.bad.append((begin, begin + max(self._demuxer.length(packet, self._track), 1e-3)))
        for frame in frames:
            self._keep(frame)

    def _keep(self, frame: AudioFrame) -> None:
        changes = frame.sample_rate != self.rate
        if changes and not self._take_rate(frame):
            return
        if frame.pts is None:
            first = self._next or 0
        else:
            first = round((frame.pts * self._track.time_base - self._track.start) * self.rate)
        if self._next is not None and not changes and abs(first - self._next) <= self._jitter * self.rate:
            first = self._next
        if self._next is not None and first < self._next:
            self._flush()
            self._add(Piece(self._next, mono(frame)[self._next - first :], self.rate))
        else:
            self._append(frame, first)
        if self._held * np.float32().itemsize > self._limits.audio_bytes:
            cause = f"more than the limit of {self._limits.audio_bytes} bytes of sound decoded at once"
            raise LimitError(f"{self._demuxer.name}: {cause}")

    def _append(self, frame: AudioFrame, first: int) -> None:
        """Add a frame to those it follows without a gap: they are converted together."""
        # PyAV's queue looks at the format, not at the channels: fewer of them, and it reads past their end.
        kind = frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate
        if self._run is None or first != self._next or kind != self._run_kind:
            self._flush()
            self._run, self._run_first, self._run_kind = AudioFifo(), first, kind
        frame.pts = None  # counted here; the queue's own count knows no jitter
        self._run.write(frame)
        self._held += frame.samples
        self._ends(first + frame.samples)

    def _flush(self) -> None:
        """Convert the frames that follow each other."""
        frame = None if self._run is None else self._run.read()
        self._run = None
        if frame is not None:
            self._held -= frame.samples
            self._add(Piece(self._run_first, mono(frame), frame.sample_rate))

    def _add(self, piece: Piece) -> None:
        if len(piece.samples):
            self._pieces.append(piece)
            self._held += len(piece.samples)
            self._ends(piece.stop)

    def _ends(self, stop: int) -> None:
        self._next = stop
        self.end = max(self.end, self._track.start + stop / self.rate)

    def _take_rate(self, frame: AudioFrame) -> bool:
        """The rate is what the decoder says, not the container, and may change on the way."""
        if not 0 < frame.sample_rate <= MAX_RATE:
            begin = max(self.end, frame.time or 0.0)
            self.bad.append((begin, begin + frame.samples / max(1, frame.sample_rate)))
            return False
        self._flush()
        if self._next is not None:
            self._next = round(self._next * frame.sample_rate / self.rate)
        self.rate = frame.sample_rate
        self._preroll = max(self._preroll, self._preroll_of(self._codec))
        return True
