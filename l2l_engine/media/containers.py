"""What is known of each container: all that is read, how long it says it is, what a seek in it leads to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Container:
    """One of FFmpeg's demuxers. By default nothing is believed, and every packet is read.

    Attributes:
        index: Whether an index names every packet, at its decoding time, or the key frames, when they are
            shown; both at the times that reading on would show.
        declares: Whether the header says how long the file is; "linear" as below, "video" only if there is
            one. Otherwise FFmpeg's length is an estimate.
        timed: Whether a packet has the same time after a seek as when all before it are read; "linear" only
            if every sample takes the same number of bytes. Otherwise the time is an estimate by the bit rate.
        finds_sound: Whether seeking in sound leads to all that is needed from there on.
        free: Whether stamps are those of a clock that runs without regard to the file, and may start anew in
            the middle of it. There is no index, so all packets are read once.
        order: Whether packets have no stamp but for when they are decoded ("stored"), or only those of
            streams with a tag of Microsoft's ("tagged") or of H.264, or none at all, so that there is but
            their number ("counted"): frames are then shown in the decoder's order.
        own_length: Whether each packet begins with an ADTS header, which says how long it lasts; they follow
            each other, whatever FFmpeg says by the rate of the first.
    """

    index: Literal["packets", "keys"] | None = None
    declares: bool | Literal["linear", "video"] = False
    timed: bool | Literal["linear"] = False
    finds_sound: bool = False
    free: bool = False
    order: Literal["stored", "tagged", "h264", "counted"] | None = None
    own_length: bool = False


_LINEAR = Container(declares="linear", timed="linear", finds_sound=True)
_STREAM = Container(timed=True, free=True)
_FILE = Container(declares=True, timed=True)
_COUNTED = Container(order="counted")

CONTAINERS: dict[str, Container] = {
    "mov": Container("packets", declares=True, timed=True, finds_sound=True),
    "matroska": Container("keys", declares=True, timed=True, finds_sound=True, order="tagged"),
    "avi": Container(declares="video", timed=True, order="stored"),
    "mpegts": _STREAM,
    "mpeg": _STREAM,
    "flv": Container(declares=True, timed=True, free=True),
    "ogg": Container(timed=True, finds_sound=True, free=True),
    "asf": _FILE,
    "wav": _LINEAR,
    "w64": _LINEAR,
    "flac": Container(declares=True, timed=True, finds_sound=True),
    "mp3": Container(),
    "aac": Container(own_length=True),
    "ac3": Container(),
    "eac3": Container(),
    "dts": Container(),
    "amr": Container(),
    "amrnb": Container(),
    "amrwb": Container(),
    "aiff": _LINEAR,
    "au": _LINEAR,
    "caf": _LINEAR,
    "wv": Container(),
    "tta": Container(),
    "ape": Container(),
    "h264": _COUNTED,
    "hevc": _COUNTED,
    "m4v": Container(),
    "mpegvideo": Container(order="stored"),
    "obu": Container(),
    "ivf": _FILE,
    "gif": Container(),
    "apng": Container(),
    "dv": _FILE,
    "mxf": Container(declares=True, timed=True, order="h264"),
    "nut": Container(declares=True, timed=True, free=True),
    "rm": _FILE,
    "wtv": _FILE,
}
"""By FFmpeg's name. None of these demuxers reads a second file; playlists, patterns and devices are out."""


def container(name: str) -> Container:
    """What is known of a format that FFmpeg may call by several names, divided by commas."""
    return next((CONTAINERS[one] for one in name.split(",") if one in CONTAINERS), Container())


def counts_frames(head: bytes, size: int) -> bool:
    """Whether an MP3 file, ID3 tag left out, begins with a frame that says how many there are of them all.

    Args:
        head: What it begins with.
        size: How many bytes it has. Where the frame speaks of far fewer, other files were joined to the one
            that it counts, and FFmpeg does not believe it either.
    """
    found = re.search(rb"(?:Xing|Info)(?P<flags>.{4})|VBRI.{6}(?P<bytes>.{4})", head[:128], re.DOTALL)
    if found is None or found.start() >= _MARKED:
        return False
    counted = found["bytes"]
    if counted is None:
        flags = int.from_bytes(found["flags"], "big")
        at = found.end() + (4 if flags & _HAS_FRAMES else 0)
        counted = head[at : at + 4] if flags & _HAS_BYTES else b""
    said = int.from_bytes(counted, "big")
    return not 0 < said < size or size - said <= said // 16


_MARKED = 64
"""Bytes of an MP3 frame in which the mark of the one that counts the others begins."""
_HAS_FRAMES, _HAS_BYTES = 1, 2
"""Flags of such a frame: it says how many frames there are, and how many bytes."""


def adts_header(packet: bytes) -> tuple[int, float] | None:
    """What the ADTS header says that an AAC packet begins with: which AAC it is, and how long it lasts.

    None if there is none. What garbage makes of a header is hardly of the kind that a file begins with.
    """
    if len(packet) < _ADTS_HEADER or packet[0] != 0xFF or packet[1] & 0xF6 != 0xF0:
        return None
    rate = packet[2] >> 2 & 0xF
    if rate >= len(_ADTS_RATES):
        return None
    kind = packet[1] << 2 | packet[2] >> 6
    return kind, 1024 * (1 + (packet[6] & 3)) / _ADTS_RATES[rate]


_ADTS_HEADER = 7
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def tag_bytes(head: bytes) -> int:
    """Bytes of the ID3 tag that a file begins with; 0 without one."""
    if head[:3] != b"ID3" or len(head) < _ID3_HEADER:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return _ID3_HEADER + size


_ID3_HEADER = 10


def matroska_goes_on(head: bytes, size: int) -> bool:
    """Whether there is more in a Matroska file of ``size`` bytes than its first segment.

    So, too, if that does not say how long it is, as in a recording that was written while it went on.
    """
    at = 0
    for identifier in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):
        at = head.find(identifier, at)
        if at < 0 or at + _ELEMENT > len(head):
            return False
        at += len(identifier)
        width = 9 - head[at].bit_length()
        if not 1 <= width <= 8:
            return False
        length = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
        unknown = length == (1 << 7 * width) - 1
        at += width + (0 if identifier[0] == 0x18 else length)
    return unknown or at + length < size


_ELEMENT = 12
"""Bytes that an element's name and size take at most."""
