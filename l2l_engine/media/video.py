"""The frame shown at a moment, decoding as little as possible on the way there."""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import av.error
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from l2l_engine.errors import LimitError
from l2l_engine.media.demux import Demuxer
from l2l_engine.media.limits import Limits
from l2l_engine.media.source import Poll
from l2l_engine.media.tracks import Track

_EPSILON = 1e-6
"""Seconds; timestamps are ticks of a clock, and moments are sums of hops in floating point."""
_SEEK_AHEAD = 10.0
"""Seconds to a moment below which reading on costs less than seeking without an index."""
_LEAP_AHEAD = 1.0
"""The same with an index: seeking is a look-up then, and it is known to lead to a later key frame."""
_SEEK_BACK = (0.0, 4.0, 16.0)
"""How much earlier to aim, try after try, where a format's seek lands behind its goal."""
_REFERENCED = {"h264", "hevc"}
"""Codecs whose packets say whether other frames refer to them, one frame a packet."""
_MAX_QUEUE = 1024
"""Packets read ahead before they are decoded even though a later key frame might make that needless."""


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A decoded frame; ``clean`` is False if it is damaged or was predicted from a damaged one."""

    time: float
    frame: VideoFrame
    clean: bool


class FrameWalker:
    """Walks a video track forward from moment to moment (container seconds, never decreasing).

    Packets are read ahead up to the moment before anything is decoded. What lies before the last key frame
    at or before the moment is then dropped without being decoded. A frame counts as damaged if FFmpeg says
    so, and so does everything after a failure up to the next key frame, since it was predicted from it.
    """

    def __init__(
        self, demuxer: Demuxer, track: Track, limits: Limits, threads: int, poll: Poll | None
    ) -> None:
        self._demuxer, self._track, self._limits = demuxer, track, limits
        self._threads, self.poll = threads, poll
        self.decoded = 0
        """Packets sent through the decoder."""
        self.shown = 0
        """Frames that came out of it."""
        self._skips = track.info.codec in _REFERENCED
        self._level = ""
        self.ended = False
        """The last packet of the track was read."""
        self.end = -math.inf
        """Where the last packet read ends, container seconds."""
        # Nothing is read yet: the first moment says where to begin.
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._begin_to_read(from_start=False)

    def _restart(self, *, rewind: bool) -> None:
        """Begin to read at the demuxer's position, or at the first packet."""
        if rewind:
            self._demuxer.rewind()
        self._packets = self._demuxer.packets((self._track,), self.poll)
        self._begin_to_read(from_start=rewind)

    def _begin_to_read(self, *, from_start: bool) -> None:
        self._queue: deque[Packet[Stream]] = deque()
        self._horizon = -math.inf
        self._from_start = from_start
        self.ended = False
        self._forget()

    def _forget(self) -> None:
        """Drop every frame and failure: decoding goes on at a key frame with nothing before it."""
        stream = self._demuxer.stream(self._track)
        assert isinstance(stream, VideoStream)
        self._codec = stream.codec_context
        if self._codec.is_open:
            self._codec.flush_buffers()
        else:
            self._codec.thread_count = self._threads
            self._codec.thread_type = "AUTO"
            self._codec.options = {"max_pixels": str(self._limits.pixels)}
        self._drained = False
        self._spent = False
        self._wanted = math.inf
        self._key: int | None = None
        self._ahead: deque[DecodedFrame] = deque()
        self._last: DecodedFrame | None = None
        self._times: list[float] = []
        self._bad: list[float] = []
        self._tainted = False
        self._clean_from = math.inf

    def at(self, moment: float, following: float | None = None) -> DecodedFrame | None:
        """The frame shown at ``moment``: the last that starts at or before it, or the file's first.

        Args:
            moment: Container seconds.
            following: The next moment, if it is known, infinite if there is none: should it lie in another
                group of pictures, the decoder need not be fed to give out what it holds back for reordering.

        Returns:
            None where that frame could not be decoded. After the last frame that one holds; the caller
            knows whether the track was meant to go on (``ended`` is set then).
        """
        self._approach(moment)
        while True:
            while self._ahead and self._ahead[0].time <= moment + _EPSILON:
                self._last = self._ahead.popleft()
            if self._ahead or self._is_last_before(moment):
                break
            if self._spent:  # nothing came out, or a promised key frame did not come: go back, once
                following = None
                self._seek(moment)
                self._approach(moment)
            self._wanted = self._starts_by(moment)
            if not self._decode_next(following):
                break
        if self._last is None:
            first = self._ahead[0] if self._ahead and self._from_start and not self._bad else None
            return first if first is None or first.clean else None
        lost = self._skips and self._last.time < self._wanted - _EPSILON < moment
        lost |= any(self._last.time + _EPSILON < time <= moment + _EPSILON for time in self._bad)
        return None if lost or not self._last.clean else self._last

    def _starts_by(self, moment: float) -> float:
        """When the frame shown at a moment starts, as far as packets tell; infinite if none does."""
        found = bisect.bisect_right(self._times, moment + _EPSILON)
        return self._times[found - 1] if found else math.inf

    def _is_last_before(self, moment: float) -> bool:
        """Whether no packet starts between the last frame and the moment."""
        if self._last is None or self._horizon <= moment:
            return False
        following = bisect.bisect_right(self._times, self._last.time + _EPSILON)
        return following == len(self._times) or self._times[following] > moment + _EPSILON

    def _approach(self, moment: float) -> None:
        """Read ahead until every packet shown by ``moment`` is known, dropping what is not needed."""
        if self._ahead and self._ahead[0].time > moment + _EPSILON:
            return
        if not self.ended and self._seek_pays(moment):
            self._seek(moment)
        while self._horizon <= moment + _EPSILON and (packet := self._read()) is not None:
            time = self._demuxer.time(packet, self._track)
            leap = self._spent or len(self._queue) > 1
            if packet.is_keyframe and time is not None and time <= moment + _EPSILON and leap:
                # A frame shown at or after a key frame's own time never needs what came before the key.
                self._forget()
                self._from_start = False
                self._queue = deque((packet,))
                self._times = [time]
            elif len(self._queue) > _MAX_QUEUE:
                self._decode_next()
                while len(self._ahead) > 1 and self._ahead[1].time <= moment:
                    self._last = self._ahead.popleft()

    def _seek_pays(self, moment: float) -> bool:
        """Whether to jump: far enough ahead, and not if the index knows no key frame on the way."""
        entries = self._demuxer.stream(self._track).index_entries
        distance = moment - self._horizon
        if not self._demuxer.indexed or len(entries) == 0 or self._horizon == -math.inf:
            return distance > _SEEK_AHEAD
        if distance <= _LEAP_AHEAD:
            return False
        found = entries.search_timestamp(math.floor(moment / self._track.time_base))
        return found < 0 or entries[found].timestamp * self._track.time_base > self._horizon

    def _seek(self, moment: float) -> None:
        """Go to a key frame at or before ``moment``; back to the start if the format cannot."""
        for back in _SEEK_BACK:
            if not self._demuxer.seek(self._track, moment - back):
                break
            self._restart(rewind=False)
            while (packet := self._read()) is not None and not packet.is_keyframe:
                self._queue.pop()
            time = None if packet is None else self._demuxer.time(packet, self._track)
            if time is not None and time <= moment + _EPSILON:
                self._times = [time]
                return
        self._restart(rewind=True)

    def _read(self) -> Packet[Stream] | None:
        """Append the next packet to the queue; None at the end of the track."""
        packet = next(self._packets, None)
        if packet is None:
            self.ended = True
            self._horizon = math.inf
            return None
        time = self._demuxer.time(packet, self._track)
        if time is not None:
            bisect.insort(self._times, time)
            self.end = max(self.end, time + (packet.duration or 0) * self._track.time_base)
            # Frames are shown no earlier than they are decoded: all later packets have dts, pts >= this.
            order = time if packet.dts is None else packet.dts * self._track.time_base
            self._horizon = max(self._horizon, min(order, time))
        self._queue.append(packet)
        return packet

    def _decode_next(self, following: float | None = None) -> bool:
        """Decode one packet, or drain the decoder at the end; False when nothing is left."""
        if not self._queue and self._read() is None:
            if self._drained:
                return False
            self._drained = True
            self._take(None)
            return True
        packet = self._queue.popleft()
        self._take(packet)
        time = self._demuxer.time(packet, self._track)
        if time == self._wanted and following is not None and self._starts_anew(time, following):
            self._spent = True
            self._take(None)
        return True

    def _starts_anew(self, time: float, following: float) -> bool:
        """Whether the index knows a key frame after ``time`` from which ``following`` is decoded.

        That is so, too, if nothing follows: ``following`` is infinite then.
        """
        if not self._demuxer.indexed:
            return False  # there are entries of what was read so far, which is another thing every time
        entries = self._demuxer.stream(self._track).index_entries
        if following == math.inf:
            return len(entries) > 0
        here = -1 if self._key is None else entries.search_timestamp(self._key)
        if self._key is None or here < 0:
            return False
        # An MP4's index holds decoding times; frames are shown later by as much as this group's key frame.
        delay = self._key - entries[here].timestamp
        ticks = math.floor((following + _EPSILON) / self._track.time_base)
        found = entries.search_timestamp(ticks - delay)
        return found >= 0 and (entries[found].timestamp + delay) * self._track.time_base > time + _EPSILON

    def _skip(self, packet: Packet[Stream] | None) -> None:
        """Let the decoder pass over a frame that is neither wanted nor referred to by others."""
        time = None if packet is None else self._demuxer.time(packet, self._track)
        passed = self._skips and time is not None and time < self._wanted < math.inf
        level: Literal["NONREF", "DEFAULT"] = "NONREF" if passed else "DEFAULT"
        if level != self._level:
            self._codec.skip_frame = self._level = level

    def _take(self, packet: Packet[Stream] | None) -> None:
        if packet is not None:
            self.decoded += 1
            self._key = packet.pts if packet.is_keyframe else self._key
            if self.decoded > self._limits.frames:
                cause = f"needs more than the limit of {self._limits.frames} frames decoded"
                raise LimitError(f"{self._demuxer.name}: {cause}")
        self._skip(packet)
        try:
            frames = self._codec.decode(packet)
        except av.error.FFmpegError as error:
            self._check_pixels(error)
            self._fail(packet)
            return
        if packet is not None:
            if packet.is_corrupt:
                self._fail(packet)
            elif packet.is_keyframe and self._tainted and self._clean_from == math.inf:
                time = self._demuxer.time(packet, self._track)
                self._clean_from = math.inf if time is None else time
        for frame in frames:
            self._show(frame)

    def _check_pixels(self, error: Exception) -> None:
        """A frame beyond the pixel limit is refused by the decoder itself; say so in our words."""
        sizes = [(self._codec.width, self._codec.height)]
        if self.shown == 0:  # the decoder clears the size it refuses; until it shows one, the header's stands
            sizes.append((self._track.info.width or 0, self._track.info.height or 0))
        width, height = max(sizes, key=math.prod)
        if width * height > self._limits.pixels:
            size = f"{width}x{height}"
            cause = f"a frame of {size} exceeds the limit of {self._limits.pixels} pixels"
            raise LimitError(f"{self._demuxer.name}: {cause}") from error

    def _fail(self, packet: Packet[Stream] | None) -> None:
        self._tainted, self._clean_from = True, math.inf
        time = None if packet is None else self._demuxer.time(packet, self._track)
        if time is not None:
            self._bad.append(time)

    def _show(self, frame: VideoFrame) -> None:
        stamp = frame.dts if frame.pts is None else frame.pts
        if stamp is None:
            return
        self.shown += 1
        if frame.interlaced_frame:  # two fields may come in two packets, and give one frame
            self._skips = False
        time = stamp * self._track.time_base
        if frame.width * frame.height > self._limits.pixels:
            self._check_pixels(ValueError("frame too large"))
        if time >= self._clean_from:
            self._tainted, self._clean_from = False, math.inf
        if frame.is_corrupt:
            self._tainted, self._clean_from = True, math.inf
        if self._ahead and time < self._ahead[-1].time:
            return  # a decoder that lost count after damage; going back in time would show it again
        self._ahead.append(DecodedFrame(time, frame, not self._tainted))
