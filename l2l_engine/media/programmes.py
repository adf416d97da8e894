"""Which streams of a transport stream belong together: each of its programmes has its own picture and sound.

Read from the tables at the front of the file (ISO/IEC 13818-1, 2.4.4): the association table names the
programmes, and the map of each lists its streams. FFmpeg knows as much; PyAV does not tell.
"""

from __future__ import annotations

from collections.abc import Iterator

_SIZES = (188, 192, 204)
"""Bytes from one packet to the next: plain, with a time before it, with a checksum behind it."""
_SYNC = 0x47
_TO_SYNC = 5
"""Packets in a row that must begin where they should."""
_ASSOCIATION, _MAP = 0x00, 0x02
"""What a table is."""


def programmes(data: bytes) -> list[frozenset[int]]:
    """The packet identifiers of the streams of each programme that has a map in ``data``, in its order."""
    maps: dict[int, frozenset[int]] = {}
    wanted: list[int] = []
    for identifier, section in _sections(data):
        if identifier == 0 and section[0] == _ASSOCIATION and not wanted:
            wanted = list(_programme_maps(section))
        elif identifier in wanted and section[0] == _MAP:
            # Several programmes may have their maps under one identifier.
            number = section[3] << 8 | section[4]
            maps.setdefault(identifier << 16 | number, frozenset(_streams(section)))
    return list(maps.values())


def _packets(data: bytes) -> Iterator[bytes]:
    for size in _SIZES:
        for begin in range(size):
            if data[begin : begin + size * _TO_SYNC : size] == bytes([_SYNC]) * _TO_SYNC:
                yield from (data[at : at + _SIZES[0]] for at in range(begin, len(data) - _SIZES[0] + 1, size))
                return


def _sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Whole sections of tables: the identifier of their packets, and the bytes from the table's kind on."""
    begun: dict[int, bytes] = {}
    for packet in _packets(data):
        identifier = (packet[1] & 0x1F) << 8 | packet[2]
        payload = packet[4 + (packet[4] + 1 if packet[3] & 0x20 else 0) :] if packet[3] & 0x10 else b""
        if not payload or packet[0] != _SYNC:
            continue
        if packet[1] & 0x40:  # a section begins here, behind as many bytes as the first says
            payload = payload[1 + payload[0] :]
            begun[identifier] = payload
        elif identifier in begun:
            begun[identifier] += payload
        section = begun.get(identifier, b"")
        length = 3 + ((section[1] & 0x0F) << 8 | section[2]) if len(section) > _HEADER else 0
        if _HEADER < length <= len(section):
            yield identifier, section[:length]
        if length <= len(section) or section[:1] not in (b"\x00", b"\x02"):
            begun.pop(identifier, None)


_HEADER = 12
"""Bytes of a section before its list, the longer of the two kinds."""
_CHECKSUM = 4


def _programme_maps(section: bytes) -> Iterator[int]:
    """Under which identifiers the maps of programmes come; number 0 is none, but the network's own table."""
    for at in range(8, len(section) - _CHECKSUM - 3, 4):
        if section[at] << 8 | section[at + 1]:
            yield (section[at + 2] & 0x1F) << 8 | section[at + 3]


def _streams(section: bytes) -> Iterator[int]:
    at = _HEADER + ((section[10] & 0x0F) << 8 | section[11])
    while at + 5 <= len(section) - _CHECKSUM:
        yield (section[at + 1] & 0x1F) << 8 | section[at + 2]
        at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
