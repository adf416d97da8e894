"""The frame shown at a moment, decoding as little as possible on the way there."""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterator

from av.packet import Packet
from av.stream import Stream

from l2l_engine.media.decoder import DecodedFrame, FrameDecoder
from l2l_engine.media.demux import Demuxer
from l2l_engine.media.limits import Limits
from l2l_engine.media.marks import EPSILON, FalseMarkError, Marks
from l2l_engine.media.source import Poll
from l2l_engine.media.tracks import Track

_SEEK_AHEAD = 10.0
"""Seconds to a moment below which reading on costs less than seeking without an index."""
_LEAP_AHEAD = 1.0
"""The same with an index: seeking is a look-up then, and it is known to lead to a later key frame."""
_SEEK_BACK = (0.0, 4.0, 16.0)
"""How much earlier to aim, try after try, where a format's seek lands behind its goal."""
_MAX_QUEUE = 1024
"""Packets read ahead before they are decoded even though a later key frame might make that needless."""


class FrameWalker:
    """Walks a video track forward from moment to moment (container seconds, never decreasing).

    Packets are read ahead up to the moment before anything is decoded. What lies before the last key frame
    at or before the moment is then dropped without being decoded. Where that was no key frame, those that
    are are found, and the walk begins again at one of them.
    """

    def __init__(
        self,
        demuxer: Demuxer,
        track: Track,
        limits: Limits,
        threads: int,
        *,
        poll: Poll | None,
        marks: Marks,
    ) -> None:
        self._demuxer, self._track, self._limits, self.poll = demuxer, track, limits, poll
        self._marks = marks
        self._decoder = FrameDecoder(demuxer, track, limits, threads, marks)
        self._jumps = True
        """Whether decoding may begin at a key frame, not only at the start."""
        self.ended = False
        """The last packet of the track was read."""
        self.end = -math.inf
        """Where the last packet read ends, container seconds."""
        # Nothing is read yet: the first moment says where to begin.
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._begin_to_read(from_start=False)
        self._forget(None)

    @property
    def decoded(self) -> int:
        """Packets sent through the decoder."""
        return self._decoder.decoded

    def _restart(self) -> None:
        """Begin with the first packet."""
        self._demuxer.rewind()
        self._packets = self._demuxer.packets((self._track,), self.poll)
        self._begin_to_read(from_start=True)
        self._forget(None)

    def _begin_to_read(self, *, from_start: bool) -> None:
        self._queue: deque[Packet[Stream]] = deque()
        self._horizon = -math.inf
        self._from_start = from_start
        self._times: list[float] = []
        self.ended = False

    def _forget(self, key: tuple[Packet[Stream], float] | None) -> None:
        """Drop every frame and failure: decoding goes on at a key frame with nothing before it."""
        self._decoder.restart(key)
        self._drained = False
        self._spent = False
        self._wanted = math.inf
        self._ahead: deque[DecodedFrame] = deque()
        self._last: DecodedFrame | None = None
        self._times = [] if key is None else [key[1]]

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
        if self._decoder.by_order:
            following = None  # when a packet's frame is shown is not known before
        try:
            return self._at(moment, following)
        except FalseMarkError:
            self._learn()
        try:
            self._seek(moment)
            return self._at(moment, following)
        except FalseMarkError:
            self._jumps = False  # what stood its trial fails here: nothing is sure but the start
        self._restart()
        return self._at(moment, following)

    def _learn(self) -> None:
        """Find out which marks are true, unless someone did meanwhile."""
        if self._marks.confirmed is None:
            self._marks.confirm(self._demuxer, self._track, self._limits, self.poll)

    def _at(self, moment: float, following: float | None) -> DecodedFrame | None:
        self._approach(moment)
        while True:
            while self._ahead and self._ahead[0].time <= moment + EPSILON:
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
        bad = self._decoder.bad
        if self._last is None:
            first = self._ahead[0] if self._ahead and self._from_start and not bad else None
            return first if first is None or first.clean else None
        lost = self._decoder.skips and self._last.time < self._wanted - EPSILON < moment
        lost |= any(self._last.time + EPSILON < time <= moment + EPSILON for time in bad)
        return None if lost or not self._last.clean else self._last

    def _starts_by(self, moment: float) -> float:
        """When the frame shown at a moment starts, as far as packets tell; infinite if none does."""
        found = bisect.bisect_right(self._times, moment + EPSILON)
        return self._times[found - 1] if found else math.inf

    def _is_last_before(self, moment: float) -> bool:
        """Whether no packet starts between the last frame and the moment."""
        if self._last is None:
            return False
        if self._last.time >= moment - EPSILON:
            return True
        if self._horizon <= moment:
            return False
        following = bisect.bisect_right(self._times, self._last.time + EPSILON)
        return following == len(self._times) or self._times[following] > moment + EPSILON

    def _approach(self, moment: float) -> None:
        """Read ahead until every packet shown by ``moment`` is known, dropping what is not needed."""
        if self._ahead and self._ahead[0].time > moment + EPSILON:
            return
        if not self.ended and self._seek_pays(moment):
            self._seek(moment)
        while self._lacks(moment) and (packet := self._read()) is not None:
            shown = self._shown(packet) if self._spent or len(self._queue) > 1 else None
            if shown is not None and shown <= moment + EPSILON:
                # A frame shown at or after a key frame's own time never needs what came before the key.
                self._forget((packet, shown))
                self._from_start = False
                self._queue = deque((packet,))
            elif len(self._queue) > _MAX_QUEUE:
                self._decode_next()
                while len(self._ahead) > 1 and self._ahead[1].time <= moment:
                    self._last = self._ahead.popleft()

    def _lacks(self, moment: float) -> bool:
        """Whether a packet that was not read yet may be the one shown at a moment."""
        return self._horizon <= moment + EPSILON and abs(self._starts_by(moment) - moment) > EPSILON

    def _shown(self, packet: Packet[Stream]) -> float | None:
        """When the frame of a packet at which decoding may begin is shown; None of all others."""
        return self._marks.shown(packet, self._demuxer, self._track) if self._jumps else None

    def _seek_pays(self, moment: float) -> bool:
        """Whether to jump: far enough ahead, and not if the index knows no key frame on the way."""
        distance = moment - self._horizon
        if self._horizon == -math.inf:
            return True
        if not self._jumps or not self._demuxer.seeks or distance <= _LEAP_AHEAD:
            return False
        if self._marks.confirmed is not None:
            goal = self._marks.goal(moment, self._track)
            return distance > _SEEK_AHEAD and goal is not None and goal > self._horizon
        entries = self._demuxer.stream(self._track).index_entries
        if not self._demuxer.indexed or len(entries) == 0:
            return distance > _SEEK_AHEAD
        found = entries.search_timestamp(math.floor(moment / self._track.time_base))
        return found < 0 or entries[found].timestamp * self._track.time_base > self._horizon

    def _seek(self, moment: float) -> None:
        """Go to a key frame at or before ``moment``; back to the start if the format cannot."""
        for back in _SEEK_BACK if self._jumps else ():
            goal = self._marks.goal(moment - back, self._track)
            if goal is None or not self._demuxer.seek(self._track, goal):
                break
            self._packets = self._demuxer.packets((self._track,), self.poll)
            self._begin_to_read(from_start=False)
            shown = None
            while (packet := self._read()) is not None and (shown := self._shown(packet)) is None:
                self._queue.pop()
            if packet is not None and shown is not None and shown <= moment + EPSILON:
                self._forget((packet, shown))
                return
        self._restart()

    def _read(self) -> Packet[Stream] | None:
        """Append the next packet to the queue; None at the end of the track."""
        packet = next(self._packets, None)
        if packet is None:
            self.ended = True
            self._horizon = math.inf
            return None
        time, earliest = self._demuxer.time(packet, self._track), self._demuxer.earliest(packet, self._track)
        if time is not None:
            # Where only their order tells when frames are shown, none takes a place before the key frame.
            if not self._decoder.by_order or not self._times or time > self._times[0]:
                bisect.insort(self._times, time)
            self.end = max(self.end, time + self._demuxer.length(packet, self._track))
        if earliest is not None:
            self._horizon = max(self._horizon, earliest)
        self._queue.append(packet)
        return packet

    def _decode_next(self, following: float | None = None) -> bool:
        """Decode one packet, or drain the decoder at the end; False when nothing is left."""
        if not self._queue and self._read() is None:
            if self._drained:
                return False
            self._drained = True
            self._take(None)
            if not self._decoder.trusted:
                raise FalseMarkError
            return True
        packet = self._queue.popleft()
        self._take(packet)
        time = self._demuxer.time(packet, self._track)
        if time == self._wanted and following is not None and self._starts_anew(time, following):
            self._spent = True
            self._take(None)
            # What is shown after this one is not next to it: frames between them were not decoded.
            while self._ahead and self._ahead[-1].time > time + EPSILON:
                self._ahead.pop()
        return True

    def _starts_anew(self, time: float, following: float) -> bool:
        """Whether the index knows a key frame after ``time`` from which ``following`` is decoded.

        That is so, too, if nothing follows: ``following`` is infinite then.
        """
        if not self._demuxer.indexed or not self._jumps:
            return False  # there are entries of what was read so far, which is another thing every time
        entries = self._demuxer.stream(self._track).index_entries
        if following == math.inf:
            return len(entries) > 0
        if self._marks.confirmed is not None:
            return self._marks.between(time, following)
        key = self._decoder.key
        here = -1 if key is None else entries.search_timestamp(key)
        if key is None or here < 0:
            return False
        # An MP4's index holds decoding times; frames are shown later by as much as this group's key frame.
        delay = key - entries[here].timestamp
        ticks = math.floor((following + EPSILON) / self._track.time_base)
        found = entries.search_timestamp(ticks - delay)
        return found >= 0 and (entries[found].timestamp + delay) * self._track.time_base > time + EPSILON

    def _take(self, packet: Packet[Stream] | None) -> None:
        for shown in self._decoder.decode(packet, self._wanted):
            # A decoder may lose count after damage; going back in time would show it again.
            if not self._ahead or shown.time >= self._ahead[-1].time:
                self._ahead.append(shown)
