"""Frames out of packets: which of them are whole, and when they are shown."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import Literal

import av.error
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from l2l_engine.errors import LimitError
from l2l_engine.media.demux import Demuxer
from l2l_engine.media.limits import Limits
from l2l_engine.media.marks import EPSILON, FalseMarkError, Marks, open_decoder
from l2l_engine.media.tracks import Track

_REFERENCED = {"h264", "hevc"}
"""Codecs whose packets say whether other frames refer to them, one frame a packet."""
_TELLING = frozenset(
    [
        *("h261", "h263", "h263i", "h263p", "h264", "hevc", "vvc", "mpeg1video", "mpeg2video", "mpeg4"),
        *("msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "wmv3", "vc1", "flv1", "snow"),
        *("rv10", "rv20", "rv30", "rv40", "theora", "vp6", "vp6a", "vp6f", "vp8", "vp9", "av1"),
    ]
)
"""Codecs whose decoder says of each frame whether it is a key frame. Others say it of none, or have no other
frames."""


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A decoded frame; ``clean`` is False if it is damaged or was predicted from a damaged one."""

    time: float
    frame: VideoFrame
    clean: bool


class FrameDecoder:
    """Decodes the packets of a video track, from any key frame on.

    A frame counts as damaged if FFmpeg says so, and so does everything after a failure up to the next key
    frame, since it was predicted from it.
    """

    def __init__(self, demuxer: Demuxer, track: Track, limits: Limits, threads: int, marks: Marks) -> None:
        self._demuxer, self._track, self._limits = demuxer, track, limits
        self._threads, self._marks = threads, marks
        self.decoded = 0
        """Packets sent through the decoder."""
        self.shown = 0
        """Frames that came out of it."""
        self.by_order = demuxer.by_order(track)
        self.skips = track.info.codec in _REFERENCED and not self.by_order
        """Whether a frame that no other needs, and nobody wants, is passed over."""
        self._level = ""

    def restart(self, key: tuple[Packet[Stream], float] | None) -> None:
        """Drop every frame and failure.

        Args:
            key: The key frame at which decoding goes on with nothing before it, and when it is shown. None at
                the start of the file, whatever that begins with.
        """
        self._codec = open_decoder(self._demuxer, self._track, self._limits, self._threads)
        self.key: int | None = None
        """The stamp of the last key frame sent through the decoder."""
        self.bad: list[float] = []
        """When frames are shown that failed, container seconds."""
        self._tainted = False
        self._clean_from = math.inf
        self._begins: int | None = None
        self._places: list[float] = []
        self._promised = -math.inf if key is None else key[1]
        self.trusted = key is None or self._track.info.codec not in _TELLING
        """Whether what decoding began with was seen to be a key frame, or does not matter."""
        if key is not None:
            self._begins = _stamp(key[0])

    def decode(self, packet: Packet[Stream] | None, wanted: float) -> list[DecodedFrame]:
        """Decode one packet, or with None what the decoder holds back.

        Args:
            packet: The next packet in decoding order.
            wanted: When the frame that is looked for is shown; infinite if that is not known.

        Raises:
            FalseMarkError: What decoding began with was no key frame.
            LimitError: Too many frames, or too large a one.
        """
        if packet is not None:
            self._count(packet)
        self._skip(packet, wanted)
        try:
            frames: list[VideoFrame] = self._codec.decode(packet)
        except av.error.FFmpegError as error:
            self._check_pixels(error)
            self._fail(packet)
            return []
        if packet is not None:
            if packet.is_corrupt:
                self._fail(packet, doubt=False)
            elif self._tainted and self._clean_from == math.inf:
                time = self._marks.shown(packet, self._demuxer, self._track)
                self._clean_from = math.inf if time is None else time
        return [shown for frame in frames if (shown := self._show(frame)) is not None]

    def _count(self, packet: Packet[Stream]) -> None:
        self.decoded += 1
        if packet.is_keyframe:
            self.key = packet.pts
        if self.decoded > self._limits.frames:
            cause = f"needs more than the limit of {self._limits.frames} frames decoded"
            raise LimitError(f"{self._demuxer.name}: {cause}")
        if self.by_order and (time := self._demuxer.time(packet, self._track)) is not None:
            bisect.insort(self._places, time)

    def _skip(self, packet: Packet[Stream] | None, wanted: float) -> None:
        """Let the decoder pass over a frame that is neither wanted nor referred to by others."""
        time = None if packet is None else self._demuxer.time(packet, self._track)
        passed = self.skips and time is not None and time < wanted < math.inf
        level: Literal["NONREF", "DEFAULT"] = "NONREF" if passed else "DEFAULT"
        if level != self._level:
            self._codec.skip_frame = self._level = level

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

    def _fail(self, packet: Packet[Stream] | None, *, doubt: bool = True) -> None:
        """Note that a packet gives no frame; where it is the first, ``doubt`` that it is a key frame."""
        if doubt and not self.trusted:
            raise FalseMarkError
        self._tainted, self._clean_from = True, math.inf
        time = None if packet is None else self._demuxer.time(packet, self._track)
        if time is not None:
            self.bad.append(time)
            if self.by_order and time in self._places:
                self._places.remove(time)

    def _show(self, frame: VideoFrame) -> DecodedFrame | None:
        stamp = frame.dts if frame.pts is None else frame.pts
        if stamp is None:
            return None
        self.shown += 1
        if frame.interlaced_frame:  # two fields may come in two packets, and give one frame
            self.skips = False
        if not self.trusted and not self._is_promised(frame, stamp):
            return None
        time = self._place(stamp)
        if frame.width * frame.height > self._limits.pixels:
            self._check_pixels(ValueError("frame too large"))
        if time >= self._clean_from:
            self._tainted, self._clean_from = False, math.inf
        if frame.is_corrupt:
            self._tainted, self._clean_from = True, math.inf
        return DecodedFrame(time, frame, not self._tainted)

    def _is_promised(self, frame: VideoFrame, stamp: int) -> bool:
        """Whether this is the key frame with which decoding began; what is shown before it is of no use."""
        assert self._begins is not None
        if stamp < self._begins:
            return False
        if stamp != self._begins or not frame.key_frame:
            raise FalseMarkError
        self.trusted = True
        # What is shown before the key frame has had its turn, whether the decoder showed it or not.
        later = [time for time in self._places if time > self._promised + EPSILON]
        self._places = [self._promised, *later]
        return True

    def _place(self, stamp: int) -> float:
        """When a frame is shown: by its stamp, or by its turn."""
        if not self.by_order or not self._places:
            return stamp * self._track.time_base
        return self._places.pop(0)


def _stamp(packet: Packet[Stream]) -> int | None:
    return packet.dts if packet.pts is None else packet.pts
