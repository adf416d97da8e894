"""Groups of pictures cut out of a file, each a small file of its own: what hardware decoders are fed with.

Nothing is decoded or encoded. A hardware decoder wants a whole file in memory and addresses frames by their
number; here the packet timestamps turn moments into such numbers, so that seconds stay the only address.
"""

from __future__ import annotations

import bisect
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import av
from av.packet import Packet
from av.stream import Stream

from l2l_engine.errors import MediaError
from l2l_engine.media.demux import Demuxer
from l2l_engine.media.source import Poll
from l2l_engine.media.tracks import Track

_EPSILON = 1e-6
"""Seconds; timestamps are ticks of a clock, and moments are sums of hops in floating point."""
_SEEK_AHEAD = 10.0
"""Seconds to a moment below which reading on costs less than seeking without an index."""
_SEEK_BACK = (0.0, 4.0, 16.0)
"""How much earlier to aim, try after try, where a format's seek lands behind its goal."""
MAX_CLIP_BYTES = 256 << 20
"""Most bytes between a key frame and a moment: some files have one key frame for hours."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Packets from one key frame on, as a Matroska file.

    Attributes:
        data: The file.
        rows: Which of the moments asked for it serves.
        frames: For each of them the number of its frame in the file, in the order frames are shown.
        times: For each of them when that frame starts, container seconds.
        packets: Frames in the file; a decoder need not decode all of them.
    """

    data: bytes
    rows: tuple[int, ...]
    frames: tuple[int, ...]
    times: tuple[float, ...]
    packets: int


@dataclass(slots=True)
class _Timed:
    """A packet as it came, since muxing it into a clip changes the original's stamps."""

    time: float
    packet: Packet[Stream]
    pts: int
    """When it is shown; where a container does not say, when it is decoded."""
    dts: int | None


@dataclass(slots=True)
class _Group:
    """A key frame and what follows it in decoding order; ``times`` is sorted as frames are shown."""

    packets: list[_Timed] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    size: int = 0

    def add(self, timed: _Timed) -> None:
        # Frames shown before the key frame were predicted from what is not in this group.
        if self.packets and timed.time < self.packets[0].time:
            return
        self.packets.append(timed)
        bisect.insort(self.times, timed.time)
        self.size += timed.packet.size


class ClipCutter:
    """Cuts clips for moments in container seconds that never decrease.

    Args:
        demuxer: The file; its position is this object's while :meth:`cut` runs.
        track: A video track.
        poll: Called between packets; what it raises stops the work.
    """

    def __init__(self, demuxer: Demuxer, track: Track, poll: Poll | None = None) -> None:
        self._demuxer, self._track, self._poll = demuxer, track, poll

    def cut(self, moments: Sequence[float]) -> Iterator[Clip]:
        """Yield the clips, in order; a moment without a frame before it gets the file's first.

        At most two groups of pictures are held at a time. Moments of one group share a clip, unless the
        group is larger than can be told from the index.

        Raises:
            MediaError: A group of pictures is larger than ``MAX_CLIP_BYTES``.
        """
        self._start(rewind=True)
        for row, moment in enumerate(moments):
            if self._seek_pays(moment):
                yield from self._flush()
                self._seek(moment)
            yield from self._read_to(moment)
            if self._groups:
                group = self._groups[0]
                shown = bisect.bisect_right(group.times, moment + _EPSILON)
                group.rows.append(row)
                group.shown.append(group.times[max(0, shown - 1)])
        yield from self._flush()

    def _start(self, *, rewind: bool) -> None:
        if rewind:
            self._demuxer.rewind()
        self._packets = self._demuxer.packets((self._track,), self._poll)
        self._groups: list[_Group] = []
        self._horizon = -math.inf

    def _read_to(self, moment: float) -> Iterator[Clip]:
        """Read until every packet shown by ``moment`` is known; yield the clips that this completes."""
        while True:
            # The next group holds the moment once its key frame is shown by then.
            while len(self._groups) > 1 and self._groups[1].packets[0].time <= moment + _EPSILON:
                done = self._groups.pop(0)
                if done.rows:
                    yield self._clip(done)
            if self._horizon > moment + _EPSILON:
                return
            packet = next(self._packets, None)
            if packet is None:
                self._horizon = math.inf
                continue
            self._keep(packet)

    def _keep(self, packet: Packet[Stream]) -> None:
        time = self._demuxer.time(packet, self._track)
        stamp = packet.dts if packet.pts is None else packet.pts
        if time is None or stamp is None or (not self._groups and not packet.is_keyframe):
            return
        earliest = self._demuxer.earliest(packet, self._track)
        if earliest is not None:
            self._horizon = max(self._horizon, earliest)
        timed = _Timed(time, packet, stamp, packet.dts)
        if packet.is_keyframe:
            for group in self._groups:  # frames shown before it may be decoded after it
                group.add(timed)
            self._groups.append(_Group([timed], [time], size=packet.size))
            return
        for group in self._groups:
            if group is self._groups[-1] or time < self._groups[-1].packets[0].time:
                group.add(timed)
        if self._groups[0].size > MAX_CLIP_BYTES:
            cause = f"more than {MAX_CLIP_BYTES >> 20} MiB lie between two key frames"
            raise MediaError(f"{self._demuxer.name}: {cause}")

    def _seek_pays(self, moment: float) -> bool:
        """Whether to jump: never within a group that is at hand, as far as the index tells."""
        if not self._demuxer.seeks:
            return False
        if self._horizon == -math.inf or self._horizon > moment:
            return self._horizon == -math.inf and moment - self._track.start > _SEEK_AHEAD
        entries = self._demuxer.stream(self._track).index_entries
        if not self._demuxer.indexed or len(entries) == 0:
            return moment - self._horizon > _SEEK_AHEAD
        found = entries.search_timestamp(math.floor(moment / self._track.time_base))
        return found >= 0 and entries[found].timestamp * self._track.time_base > self._horizon + _EPSILON

    def _seek(self, moment: float) -> None:
        """Go to a key frame at or before ``moment``; back to the start if the format cannot."""
        for back in _SEEK_BACK:
            if not self._demuxer.seek(self._track, moment - back):
                break
            self._start(rewind=False)
            for packet in self._packets:
                self._keep(packet)
                if self._groups:
                    break
            if self._groups and self._groups[0].packets[0].time <= moment + _EPSILON:
                return
        self._start(rewind=True)

    def _flush(self) -> Iterator[Clip]:
        for group in self._groups:
            if group.rows:
                yield self._clip(group)
        self._groups = []

    def _clip(self, group: _Group) -> Clip:
        """Everything up to the last packet wanted, in decoding order: nothing after it is referred to."""
        wanted = set(group.shown)
        last = max(i for i, timed in enumerate(group.packets) if timed.time in wanted)
        packets = group.packets[: last + 1]
        times = sorted(timed.time for timed in packets)
        frames = tuple(bisect.bisect_left(times, time) for time in group.shown)
        data = self._mux(packets)
        return Clip(data, tuple(group.rows), frames, tuple(group.shown), len(packets))

    def _mux(self, packets: Sequence[_Timed]) -> bytes:
        source = self._demuxer.stream(self._track)
        assert source.time_base is not None  # of a track in use it is known
        target = io.BytesIO()
        begin = packets[0].pts or 0
        with av.open(target, "w", format="matroska") as out:
            stream = out.add_stream_from_template(source)
            for timed in packets:
                packet = timed.packet
                packet.time_base = source.time_base
                packet.pts = timed.pts - begin
                packet.dts = None if timed.dts is None else timed.dts - begin
                packet.stream = stream
                out.mux(packet)
        return target.getvalue()
