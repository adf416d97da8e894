"""One pass through a file whose container has no index: how long it is, where it pauses, where its key frames
are, and whether its clock restarts.

Only packets are read, nothing is decoded. Files with an index are spared this.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2l_engine.media.demux import Demuxer
from l2l_engine.media.limits import Limits
from l2l_engine.media.source import Poll
from l2l_engine.media.timeline import AHEAD, Joiner, Timeline
from l2l_engine.media.tracks import Track


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What the packets of the tracks say, in container seconds; where the clock restarts, on the joined one.

    Attributes:
        timeline: The parts of the file.
        spans: float64 [P, 2] for each track (by the index of its stream): when each packet with a stamp
            begins and ends.
        keys: float64 [K], increasing: when what the container marks as key frames is shown.
    """

    timeline: Timeline
    spans: dict[int, NDArray[np.float64]]
    keys: NDArray[np.float64]


class _Record:
    """Numbers and times of a track's packets."""

    def __init__(self) -> None:
        self.count = 0
        self.numbers, self.begins, self.ends = array("q"), array("d"), array("d")
        self.keys = array("b")

    def joined(self, stream: int, timeline: Timeline) -> NDArray[np.float64]:
        spans: NDArray[np.float64] = np.array([self.begins, self.ends], np.float64).T.reshape(-1, 2)
        shifts = [0.0, *(shift for _, shift in timeline.parts.get(stream, []))]
        firsts = [first for first, _ in timeline.parts.get(stream, [])]
        part = np.searchsorted(np.array(firsts, np.int64), np.array(self.numbers, np.int64), side="right")
        spans += np.array(shifts)[part][:, None]
        return spans


def survey(demuxer: Demuxer, limits: Limits, poll: Poll | None) -> Survey:
    """Read all packets from the first to the last."""
    demuxer.rewind()
    by_index = {track.index: track for track in demuxer.tracks}
    records = {index: _Record() for index in by_index}
    joiner = Joiner(AHEAD if demuxer.jumps else math.inf)
    begin = min(track.start for track in demuxer.tracks)
    for packet in demuxer.packets(demuxer.tracks, poll):
        track = by_index[packet.stream_index]
        record = records[track.index]
        time = demuxer.time(packet, track)
        record.count += 1
        if time is None or packet.is_discard:
            joiner.add(track.index, None, 0.0, 0.0)
            continue
        end = time + demuxer.length(packet, track)
        # Some packets do not say how long they last; the next part begins no earlier for that.
        lasts = max(end, time + 1 / (track.info.frame_rate or math.inf))
        joiner.add(track.index, _decoded(packet.dts, time, track), time, lasts)
        record.numbers.append(record.count - 1)
        record.begins.append(time)
        record.ends.append(end)
        record.keys.append(packet.is_keyframe)
        if joiner.reached - begin > limits.duration:
            break  # long enough to be refused; the rest changes nothing
    timeline = joiner.timeline()
    spans = {index: record.joined(index, timeline) for index, record in records.items()}
    keys = np.zeros(0)
    if demuxer.video is not None:
        index = demuxer.video.index
        keys = np.unique(spans[index][np.array(records[index].keys, np.bool_), 0])
    return Survey(timeline, spans, keys)


def _decoded(dts: int | None, time: float, track: Track) -> float:
    return time if dts is None else dts * track.time_base
