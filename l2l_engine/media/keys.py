"""When key frames are shown, from the container alone: nothing is decoded."""

from __future__ import annotations

from l2l_engine.media.demux import Demuxer, Track
from l2l_engine.media.source import Poll


def key_times(demuxer: Demuxer, track: Track, poll: Poll | None) -> list[float]:
    """Increasing presentation times of key frames, in container seconds.

    Where the container has an index it is asked; else all packets of the track are read.
    """
    demuxer.rewind()
    packets = demuxer.packets((track,), poll)
    first = next((packet for packet in packets if packet.is_keyframe), None)
    if first is None or first.pts is None:
        return []
    entries = demuxer.stream(track).index_entries
    if not demuxer.indexed or len(entries) < 2:
        shown = {demuxer.time(packet, track) for packet in packets if packet.is_keyframe}
        return sorted({first.pts * track.time_base, *(time for time in shown if time is not None)})
    # The index of an MP4 holds decoding times; how much later frames are shown is the same for all key
    # frames of a stream, so the first one tells. Should it not be so, a knot costs more, nothing else.
    begin = entries[0].timestamp
    delay = first.pts - begin if entries[0].is_keyframe else 0
    times: list[float] = []
    stamp = begin
    while (found := entries.search_timestamp(stamp, backward=False)) >= 0 and len(times) < len(entries):
        times.append((entries[found].timestamp + delay) * track.time_base)
        stamp = max(stamp, entries[found].timestamp) + 1
    return times
