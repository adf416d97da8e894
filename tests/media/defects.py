"""Files as people have them and standards do not: made from good ones by editing packets and bytes."""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet

from .makers import media

_TS = 188


def remuxed(
    content: bytes, container: str, edit: Callable[[int, Packet], None], options: dict[str, str] | None = None
) -> bytes:
    """The same packets in another file, each after ``edit`` (its number within the stream, the packet)."""
    with tempfile.NamedTemporaryFile() as target:
        with (
            av.open(io.BytesIO(content)) as source,
            av.open(target.name, "w", format=container, options=options or {}) as out,
        ):
            streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
            counts = dict.fromkeys(streams, 0)
            for packet in source.demux():
                if packet.size:
                    edit(counts[packet.stream_index], packet)
                    counts[packet.stream_index] += 1
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)
        return Path(target.name).read_bytes()


def false_keys(content: bytes, container: str, every: int) -> bytes:
    """Every so many packets of the picture marked as key frames, whatever they are."""

    def edit(number: int, packet: Packet) -> None:
        if packet.stream.type == "video" and number % every == every - 1:
            packet.is_keyframe = True

    return remuxed(content, container, edit)


def no_keys(content: bytes, container: str) -> bytes:
    """No packet but the first marked."""

    def edit(number: int, packet: Packet) -> None:
        if packet.stream.type == "video" and number:
            packet.is_keyframe = False

    return remuxed(content, container, edit)


def joined(*contents: bytes) -> bytes:
    """Files one behind the other, as they are."""
    return b"".join(contents)


def later_fragment(content: bytes, skipped: int) -> bytes:
    """A fragmented MP4 without its first fragments: what a player has that joins a broadcast."""
    boxes = list(_boxes(content))
    begin = [at for kind, at, _ in boxes if kind == b"moof"]
    head = b"".join(content[at : at + size] for kind, at, size in boxes if kind in (b"ftyp", b"moov"))
    rest = b"".join(
        content[at : at + size]
        for kind, at, size in boxes
        if at >= begin[skipped] and kind in (b"moof", b"mdat")
    )
    return head + rest


def _boxes(content: bytes) -> list[tuple[bytes, int, int]]:
    at, found = 0, []
    while at + 8 <= len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        found.append((kind, at, size))
        at += size
    return found


def decoded_after_shown(content: bytes, entries: Sequence[tuple[int, int]]) -> bytes:
    """A MOV without B-frames whose frames are shown at offsets (count, ticks) from when they are decoded."""
    data = bytearray(content)
    body = b"".join(struct.pack(">Ii", *entry) for entry in entries)
    box = struct.pack(">I4sII", 16 + len(body), b"ctts", 0, len(entries)) + body
    at = data.index(b"stts") - 4
    at += struct.unpack(">I", data[at : at + 4])[0]
    data[at:at] = box
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        where = data.index(kind) - 4
        struct.pack_into(">I", data, where, struct.unpack(">I", data[where : where + 4])[0] + len(box))
    return bytes(data)


def with_matrix(content: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """An MP4 whose picture is shown by a matrix (a, b, c, d) of -1, 0 and 1."""
    a, b, c, d = (value * 65536 for value in matrix)
    data = bytearray(content)
    at = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return bytes(data)


def two_programmes(one: dict[str, object], other: dict[str, object]) -> bytes:
    """A transport stream of two programmes, each with picture and sound."""
    parts = []
    for number, options in enumerate((one, other), 1):
        muxing = {
            "mpegts_start_pid": str(0x100 * number),
            "mpegts_pmt_start_pid": str(0x1000 + 0x10 * number),
            "mpegts_service_id": str(number),
        }
        content = media("mpegts", container_options=muxing, **options)  # type: ignore[arg-type]
        packets = [content[at : at + _TS] for at in range(0, len(content), _TS)]
        parts.append([p for p in packets if (p[1] & 0x1F) << 8 | p[2] not in (0, 0x11)])
    mixed = [p for pair in zip(*parts, strict=False) for p in pair]
    mixed += max(parts, key=len)[min(map(len, parts)) :]
    table = b"\x00\xb0\x11\x00\x01\xc1\x00\x00" + b"".join(
        struct.pack(">HH", number, 0xE000 | (0x1000 + 0x10 * number)) for number in (1, 2)
    )
    table += struct.pack(">I", _crc(table))
    association = (b"\x47\x40\x00\x10\x00" + table).ljust(_TS, b"\xff")
    return association + b"".join(mixed)


def _crc(data: bytes) -> int:
    """CRC-32/MPEG-2 of a section."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def moved_tags(content: bytes, milliseconds: int) -> bytes:
    """An FLV file's tags, without its header, so much later."""
    at, out = 13, bytearray()
    while at + 11 <= len(content):
        size = int.from_bytes(content[at + 1 : at + 4], "big")
        tag = bytearray(content[at : at + 11 + size + 4])
        time = int.from_bytes(tag[4:7], "big") + (tag[7] << 24) + milliseconds
        tag[4:7], tag[7] = (time & 0xFFFFFF).to_bytes(3, "big"), time >> 24 & 0xFF
        if tag[0] in (8, 9):
            out += tag
        at += 11 + size + 4
    return bytes(out)


def without_presentation_times(content: bytes, fourcc: bytes, rate: int) -> bytes:
    """A Matroska video in Microsoft's old fashion: blocks in decoding order, with the time of decoding.

    The file is made anew of as few elements as FFmpeg takes.
    """
    with av.open(io.BytesIO(content)) as source:
        stream = source.streams.video[0]
        codec = stream.codec_context
        private, (width, height) = codec.extradata or b"", (codec.width, codec.height)
        packets = [(bytes(p), p.is_keyframe) for p in source.demux(stream) if p.size]
    header = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, fourcc, width * height * 3, 0, 0, 0, 0)
    video = _element(0xE0, _number(0xB0, width), _number(0xBA, height))
    track = _element(
        0xAE,
        _number(0xD7, 1),
        _number(0x73C5, 1),
        _number(0x83, 1),
        _element(0x86, b"V_MS/VFW/FOURCC"),
        _element(0x63A2, header + private),
        _number(0x23E383, 1_000_000_000 // rate),
        video,
    )
    info = _element(
        0x1549A966,
        _number(0x2AD7B1, 1_000_000),
        _element(0x4489, struct.pack(">d", len(packets) * 1000 / rate)),
    )
    clusters = b""
    for begin in range(0, len(packets), rate):
        since = begin * 1000 // rate
        blocks = [
            _element(
                0xA3, b"\x81" + struct.pack(">hB", (begin + i) * 1000 // rate - since, 0x80 * key) + data
            )
            for i, (data, key) in enumerate(packets[begin : begin + rate])
        ]
        clusters += _element(0x1F43B675, _number(0xE7, since), *blocks)
    ebml = _element(0x1A45DFA3, _element(0x4282, b"matroska"), _number(0x4287, 2), _number(0x4285, 2))
    return ebml + _element(0x18538067, info, _element(0x1654AE6B, track), clusters)


def _element(identifier: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (len(body) | 1 << 56).to_bytes(8, "big") + body


def _number(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8, "big"))


def annex_b(packets_of: bytes) -> bytes:
    """An H.264 MP4's packets with start codes, as old containers want them (a Matroska file of them)."""
    target = io.BytesIO()
    with av.open(io.BytesIO(packets_of)) as source, av.open(target, "w", format="mpegts") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return target.getvalue()


SECOND = Fraction(1)
