"""Stamps that can be believed: containers that have none, streams that say their own, clocks that restart."""

from __future__ import annotations

from collections.abc import Iterable

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from l2l_engine.media.containers import Container, adts_header
from l2l_engine.media.timeline import AHEAD, BACK, Timeline

_NO_TAG = "\0\0\0\0"
_USUAL_RATE = 25
"""Frames a second of a raw stream that does not say."""
_HEADER = 16
"""Bytes of a packet that hold its header."""
_LAST = 3
"""Packets at the end of a part that a break in the transport's count may be laid to."""


class Stamps:
    """Gives the packets of one file stamps that can be believed.

    Args:
        facts: What is known of its container.

    Attributes:
        timeline: Where the parts of a file begin whose clock restarts; None where it does not.
    """

    def __init__(self, facts: Container) -> None:
        self._facts = facts
        self.timeline: Timeline | None = None
        self._ordered: dict[int, bool] = {}
        self._passed = 0.0
        self._kind: int | None = None

    def restart(self) -> None:
        """The file is read from its first packet on again."""
        self._passed = 0.0

    def by_order(self, stream: Stream) -> bool:
        """Whether frames of a video are shown in another order than stored, and no stamp says which.

        Packets then have their place in the file for a stamp. The frames that come of them take the places
        one after the other in the order in which the decoder shows them.
        """
        if stream.index not in self._ordered:
            self._ordered[stream.index] = self._is_by_order(stream)
        return self._ordered[stream.index]

    def _is_by_order(self, stream: Stream) -> bool:
        if not isinstance(stream, VideoStream) or not stream.codec_context.has_b_frames:
            return False
        order = self._facts.order
        if order == "h264":
            return stream.codec_context.codec.canonical_name == "h264"
        # Matroska gives a tag only to streams in Microsoft's old fashion: no other has one.
        return order in {"stored", "counted"} or (
            order == "tagged" and stream.codec_context.codec_tag != _NO_TAG
        )

    def needed(self, streams: Iterable[Stream]) -> bool:
        """Whether packets of these streams have to go through :meth:`mended`."""
        ordered = [stream for stream in streams if self.by_order(stream)]
        unstamped = self._facts.own_length or self._facts.order == "counted"
        return bool(ordered) or self._facts.free or unstamped or self.timeline is not None

    def mended(self, packet: Packet[Stream], number: int) -> Packet[Stream]:
        """A packet, the ``number``-th of its track, with stamps that can be believed."""
        if self._facts.order == "counted":
            _stamp(packet, number)
        if self._facts.own_length:
            self._follow(packet)
        if self._facts.free and _is_header(packet):
            packet.pts = packet.dts = None
        if self._ordered.get(packet.stream_index) or (self._facts.free and _torn(packet)):
            packet.pts = packet.dts
        return packet if self.timeline is None else _put(packet, self.timeline, number)

    def _follow(self, packet: Packet[Stream]) -> None:
        """Give a packet that says how long it lasts its place behind those before it."""
        header = adts_header(bytes(memoryview(packet)[:_HEADER]))
        if header is not None:
            kind, seconds = header
            self._kind = kind if self._passed == 0.0 else self._kind
            if kind == self._kind:
                packet.duration = round(seconds / packet.time_base)
        packet.pts = packet.dts = round(self._passed / packet.time_base)
        self._passed += float((packet.duration or 0) * packet.time_base)


def _stamp(packet: Packet[Stream], number: int) -> None:
    """Give a packet of a raw stream, in which there is nothing but pictures, its place in time."""
    stream = packet.stream
    assert isinstance(stream, VideoStream)
    ticks = round(1 / (stream.guessed_rate or _USUAL_RATE) / packet.time_base)
    packet.pts = packet.dts = number * ticks
    packet.duration = ticks


def _is_header(packet: Packet[Stream]) -> bool:
    """Whether a packet of Theora sets up the decoder for another part, and is not itself shown."""
    return packet.stream.codec_context.name == "theora" and bool(memoryview(packet)[0] & 0x80)


def _torn(packet: Packet[Stream]) -> bool:
    """Whether a packet is stamped by two clocks: decoded in one part, and shown in the next."""
    if packet.pts is None or packet.dts is None:
        return False
    return not -BACK <= float((packet.pts - packet.dts) * packet.time_base) <= AHEAD


def _put(packet: Packet[Stream], timeline: Timeline, number: int) -> Packet[Stream]:
    """A packet where its part is on the joined clock.

    A transport stream counts its packets, and where files were joined the count breaks. FFmpeg takes that
    for a loss in one of the last packets of the part before, but they are whole.
    """
    shift = timeline.shift(packet.stream_index, number)
    ticks = round(shift / packet.time_base)
    moved = packet
    if packet.is_corrupt and shift != timeline.shift(packet.stream_index, number + _LAST):
        moved = Packet(bytes(packet))
        moved.stream, moved.time_base, moved.duration = packet.stream, packet.time_base, packet.duration
        moved.is_keyframe = packet.is_keyframe
    moved.pts = None if packet.pts is None else packet.pts + ticks
    moved.dts = None if packet.dts is None else packet.dts + ticks
    return moved
