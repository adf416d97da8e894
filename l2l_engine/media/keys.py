"""When key frames are shown, from the container alone: nothing is decoded."""

from __future__ import annotations

from l2l_engine.media.demux import Demuxer
from l2l_engine.media.source import Poll
from l2l_engine.media.tracks import Track

_TRIED = 8
"""Key frames that are read to see whether all are shown equally late after they are decoded."""


def read_key_times(demuxer: Demuxer, track: Track, poll: Poll | None) -> list[float]:
    """Increasing presentation times of key frames, in container seconds, by reading all packets."""
    demuxer.rewind()
    packets = demuxer.packets((track,), poll)
    first = next((packet for packet in packets if packet.is_keyframe), None)
    if first is None or first.pts is None:
        return []
    shown = {demuxer.time(packet, track) for packet in packets if packet.is_keyframe}
    return sorted({first.pts * track.time_base, *(time for time in shown if time is not None)})


def indexed_key_times(demuxer: Demuxer, track: Track, poll: Poll | None) -> list[float] | None:
    """The same by the container's index; None if it has none, or one that may not know all key frames."""
    if not demuxer.indexed or not demuxer.seek_with_index(track):
        return None
    first = next((packet for packet in demuxer.packets((track,), poll) if packet.is_keyframe), None)
    entries = demuxer.stream(track).index_entries
    if first is None or first.pts is None or len(entries) < 2:
        return None
    at = first.dts if demuxer.lists_packets else first.pts
    found = -1 if at is None else entries.search_timestamp(at)
    if at is None or found < 0 or entries[found].timestamp != at:
        return None
    stamps: list[int] = []
    stamp = entries[0].timestamp
    while (found := entries.search_timestamp(stamp, backward=False)) >= 0 and len(stamps) < len(entries):
        stamps.append(entries[found].timestamp)
        stamp = max(stamp, entries[found].timestamp) + 1
    if not stamps:
        return None  # an edit list cuts off every key frame
    delays = [first.pts - at] * len(stamps)
    if demuxer.lists_packets:
        delays = _delays(demuxer, track, stamps, first.pts - at, poll)
    return sorted((stamp + delay) * track.time_base for stamp, delay in zip(stamps, delays, strict=True))


def _delays(demuxer: Demuxer, track: Track, stamps: list[int], usual: int, poll: Poll | None) -> list[int]:
    """How many ticks after its decoding time each key frame is shown; the index does not say.

    Mostly all are alike, so a few are read; only if those differ, all are.
    """
    few = sorted({round(i * (len(stamps) - 1) / (_TRIED - 1)) for i in range(_TRIED)})
    if all(_delay(demuxer, track, stamps[i], usual, poll) == usual for i in few):
        return [usual] * len(stamps)
    return [_delay(demuxer, track, stamp, usual, poll) for stamp in stamps]


def _delay(demuxer: Demuxer, track: Track, stamp: int, usual: int, poll: Poll | None) -> int:
    if demuxer.seek(track, (stamp + usual) * track.time_base):  # by the time at which it is shown
        packet = next(demuxer.packets((track,), poll), None)
        if packet is not None and packet.dts == stamp and packet.pts is not None:
            return packet.pts - stamp
    return usual  # cut off or damaged; should it be wrong, a knot costs more, nothing else
