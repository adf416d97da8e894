"""From which packets decoding can begin: what the container says of them, and what the decoder does.

Containers mark key frames. Some marks are false: of frames that were predicted from others, of points where
an intra refresh only begins, of packets whose frame comes with the next one. The decoder knows better, so
whoever jumps to a mark looks at the frame that comes of it. Once one was false, all marks of the track are
tried, one after the other, and only those that stood the trial are believed from then on.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import av.error
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from l2l_engine.media.demux import Demuxer
from l2l_engine.media.limits import Limits
from l2l_engine.media.source import Poll
from l2l_engine.media.tracks import Track

EPSILON = 1e-6
"""Seconds; timestamps are ticks of a clock, and moments are sums of hops in floating point."""
_MOST_FED = 64
"""Packets after a mark within which a decoder shows a frame, whatever it holds back."""
_LEADING = 24
"""Packets after a key frame among which are all that are shown before it."""


class FalseMarkError(Exception):
    """A packet that is marked as a key frame is none; nothing decoded from it on is right."""


@dataclass(slots=True)
class Marks:
    """Key frames of one video track; shared by all readers of a file, since what one learns holds for all."""

    confirmed: Mapping[int, float] | None = None
    """When key frames are shown, by their packets' stamps; None as long as packets are believed."""
    _stamps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """Of the confirmed ones, increasing."""

    def shown(self, packet: Packet[Stream], demuxer: Demuxer, track: Track) -> float | None:
        """When the key frame of a packet is shown, in container seconds; None if it has none."""
        if not packet.is_keyframe:
            return None
        if self.confirmed is None:
            return demuxer.time(packet, track)
        stamp = packet.dts if packet.pts is None else packet.pts
        return None if stamp is None else self.confirmed.get(stamp)

    def goal(self, moment: float, track: Track) -> float | None:
        """Where to go to decode what is shown at ``moment``; None if only the start will do."""
        if self.confirmed is None:
            return moment
        found = bisect.bisect_right(self.times, moment + EPSILON)
        return self._stamps[found - 1] * track.time_base if found else None

    def between(self, since: float, to: float) -> bool:
        """Whether a confirmed key frame is shown after one moment, and by another."""
        return bisect.bisect_right(self.times, to + EPSILON) > bisect.bisect_right(
            self.times, since + EPSILON
        )

    def confirm(self, demuxer: Demuxer, track: Track, limits: Limits, poll: Poll | None) -> None:
        """Try all marks of the track; whoever reads from ``demuxer`` has to begin anew afterwards."""
        tried = dict(_tried(demuxer, track, limits, poll))
        demuxer.rewind()
        ordered = sorted((shown, stamp) for stamp, shown in tried.items())
        self.times, self._stamps = [shown for shown, _ in ordered], [stamp for _, stamp in ordered]
        self.confirmed = tried


def open_decoder(demuxer: Demuxer, track: Track, limits: Limits, threads: int) -> VideoCodecContext:
    """The track's decoder, with nothing in it."""
    stream = demuxer.stream(track)
    assert isinstance(stream, VideoStream)
    codec = stream.codec_context
    if codec.is_open:
        codec.flush_buffers()
    else:
        codec.thread_count = threads
        codec.thread_type = "AUTO"
        codec.options = {"max_pixels": str(limits.pixels)}
    return codec


def _tried(demuxer: Demuxer, track: Track, limits: Limits, poll: Poll | None) -> Iterator[tuple[int, float]]:
    """The stamps of packets that are key frames by the decoder, and when those are shown."""
    demuxer.rewind()
    codec = open_decoder(demuxer, track, limits, 1)
    by_order = demuxer.by_order(track)
    most = _LEADING if by_order else _MOST_FED
    waiting: deque[list[Packet[Stream]]] = deque()
    """The marks that wait for what follows them; there may be others among that."""

    def tried() -> Iterator[tuple[int, float]]:
        trial = _Trial(codec, waiting.popleft(), by_order=by_order)
        for stamp, shown in trial.verdict():
            yield stamp, shown * track.time_base

    for packet in demuxer.packets((track,), poll):
        if packet.is_keyframe:
            waiting.append([])
        for packets in waiting:
            packets.append(packet)
        if waiting and len(waiting[0]) > most:
            yield from tried()
    while waiting:
        yield from tried()


class _Trial:
    """What comes out of a decoder that begins at a mark, the first of ``packets``."""

    def __init__(self, codec: VideoCodecContext, packets: list[Packet[Stream]], *, by_order: bool) -> None:
        self._codec, self._by_order = codec, by_order
        codec.flush_buffers()
        self._fed: list[int | None] = []
        self._frames: list[tuple[int | None, bool]] = []
        self._failed = False
        for packet in packets:
            self._fed.append(packet.dts if packet.pts is None else packet.pts)
            self._decode(packet)
            if self._failed or (not by_order and self._first() is not None):
                return
        self._decode(None)

    def _decode(self, packet: Packet[Stream] | None) -> None:
        try:
            frames: list[VideoFrame] = self._codec.decode(packet)
        except av.error.FFmpegError:
            self._failed |= len(self._fed) <= 1
            return
        self._frames += [(frame.dts if frame.pts is None else frame.pts, frame.key_frame) for frame in frames]

    def _first(self) -> tuple[int, bool] | None:
        """The first frame that counts: what is shown before the key frame may need what came before it."""
        mark = self._fed[0]
        counts = ((at, key) for at, key in self._frames if mark is not None and at is not None and at >= mark)
        return next(counts, None)

    def verdict(self) -> Iterator[tuple[int, int]]:
        """The mark's stamp and that of the moment when its frame is shown; nothing if it was false."""
        mark = self._fed[0]
        if self._failed or mark is None:
            return
        if not self._by_order:
            if self._first() == (mark, True):
                yield mark, mark
        elif (mark, True) in self._frames:
            # What is shown before it follows it in the file, and takes its turn though the decoder drop it.
            stamps = [stamp for stamp, _ in self._frames]
            place = stamps.index(mark) + len([stamp for stamp in self._fed if stamp not in stamps])
            if place < len(self._fed) and (shown := self._fed[place]) is not None:
                yield mark, shown
