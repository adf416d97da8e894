"""When key frames are shown, from the container alone: nothing is decoded."""

from __future__ import annotations

from l2l_engine.media.demux import Demuxer, Track
from l2l_engine.media.source import Poll


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
    # The index of an MP4 holds decoding times; how much later frames are shown is the same for all key
    # frames of a stream, so the first one tells. Should it not be so, a knot costs more, nothing else.
    at = first.dts if demuxer.lists_packets else first.pts
    found = -1 if at is None else entries.search_timestamp(at)
    if at is None or found < 0 or entries[found].timestamp != at:
        return None
    delay = first.pts - at
    times: list[float] = []
    stamp = entries[0].timestamp
    while (found := entries.search_timestamp(stamp, backward=False)) >= 0 and len(times) < len(entries):
        times.append((entries[found].timestamp + delay) * track.time_base)
        stamp = max(stamp, entries[found].timestamp) + 1
    return times
