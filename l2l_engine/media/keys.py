"""When key frames are shown, from the container alone: nothing is decoded."""

from __future__ import annotations

from l2l_engine.media.demux import Demuxer, Track
from l2l_engine.media.source import Poll


def key_times(demuxer: Demuxer, track: Track, poll: Poll | None) -> list[float]:
    """Increasing presentation times of key frames, in container seconds.

    Where the container has an index it is asked; else all packets of the track are read.
    """
    if demuxer.indexed and (times := _from_index(demuxer, track, poll)):
        return times
    demuxer.rewind()
    packets = demuxer.packets((track,), poll)
    first = next((packet for packet in packets if packet.is_keyframe), None)
    if first is None or first.pts is None:
        return []
    shown = {demuxer.time(packet, track) for packet in packets if packet.is_keyframe}
    return sorted({first.pts * track.time_base, *(time for time in shown if time is not None)})


def _from_index(demuxer: Demuxer, track: Track, poll: Poll | None) -> list[float]:
    """The same by the index; nothing if there is none, or it does not lead to the first key frame."""
    # Some formats read their index at the first seek. It is to the start: the file need not be opened again.
    if not demuxer.seek(track, track.start):
        return []
    first = next((packet for packet in demuxer.packets((track,), poll) if packet.is_keyframe), None)
    entries = demuxer.stream(track).index_entries
    if first is None or first.pts is None or len(entries) < 2:
        return []
    # The index of an MP4 holds decoding times; how much later frames are shown is the same for all key
    # frames of a stream, so the first one tells. Should it not be so, a knot costs more, nothing else.
    at = first.dts if demuxer.decoding_order else first.pts
    found = -1 if at is None else entries.search_timestamp(at)
    if at is None or found < 0 or entries[found].timestamp != at:
        return []
    delay = first.pts - at
    times: list[float] = []
    stamp = entries[0].timestamp
    while (found := entries.search_timestamp(stamp, backward=False)) >= 0 and len(times) < len(entries):
        times.append((entries[found].timestamp + delay) * track.time_base)
        stamp = max(stamp, entries[found].timestamp) + 1
    return times
