"""How long a file really is: what its header says, checked against its packets."""

from __future__ import annotations

import bisect
import copy
import math
from collections.abc import Iterable, Iterator

from l2l_engine.errors import LimitError, MediaError
from l2l_engine.media.demux import Demuxer
from l2l_engine.media.limits import Limits
from l2l_engine.media.presence import yields
from l2l_engine.media.source import Poll
from l2l_engine.media.survey import Survey, survey
from l2l_engine.media.tracks import Track, container_end

_LEAST_BIT_RATE = 200.0
"""A file with fewer bits a second than this cannot hold what its header declares, so the header lies."""

_SECONDS_PER_BYTE = 0.8
"""Even a still picture has more than 10 bits a second; a packet later than this allows (and than ten
minutes) has a damaged timestamp, and would make hours of nothing of a small file."""

_TAIL = 2.0
"""Seconds before a declared end in which the last packet is sure to be decoded, though not shown in order."""

CUT_SHORT = 0.5
"""Seconds by which packets may end before the declared end without counting as cut short."""

_LONGEST_UNSAID = 2.0
"""Seconds that a packet of sound may last that does not say so itself; more would be a pause behind it."""

_FROM_ZERO = 0.1
"""Seconds by which a header may miss the end of the last packet and still have meant it."""

_SHORTEST = 1e-3
"""Duration in seconds given to a file whose only frame has none; a duration is never 0."""

_HEADERS = 256
"""Bytes that may lie between two packets without anything having been lost there: headers of blocks."""

Span = tuple[float, float, int, bool]
"""When a packet begins and ends, container seconds, its stream, whether bytes before it are no packet's."""

_INTERLEAVED = 1.0
"""Seconds by which tracks may be apart where their packets lie side by side."""


class Clock:
    """Seconds, 0 at the earliest start of the tracks in use.

    Attributes:
        zero: The file's 0 on the container's own clock, in seconds.
        duration: Seconds, finite, > 0. What the header declares or what the packets show, whichever is
            longer: a truncated file keeps its full length, and its missing part is then seen as missing.
            A declaration that the file's size cannot carry is ignored.
        cut_short: Whether the packets end before the declared duration does.
        readable: Seconds until which there are packets, at most the duration.
    """

    def __init__(self, demuxer: Demuxer, limits: Limits, poll: Poll | None) -> None:
        self._demuxer, self._limits = demuxer, limits
        self._holes: list[tuple[float, float]] | None = None
        self._yields: dict[int, bool] = {}
        self._declares = demuxer.declares
        self.zero = min(track.start for track in demuxer.tracks)
        self.survey = survey(demuxer, limits, poll) if demuxer.free else None
        if self.survey is not None and self.survey.timeline.restarts:
            demuxer.join(self.survey.timeline)
            self._declares = False
        declared = _declared_end(demuxer) - self.zero
        if not _plausible(declared, demuxer.container.size, limits):
            declared = math.nan
        readable = self._readable_end(declared + self.zero, poll) - self.zero
        if self.survey is not None and abs(declared - readable - self.zero) <= _FROM_ZERO:
            declared = readable  # Flash video's header counts from the clock's 0, wherever the first frame is
        if not self._declares and math.isfinite(readable):
            declared = _with_the_rest(demuxer, readable)  # what FFmpeg says is an estimate
        ends = [end for end in (declared, readable) if math.isfinite(end)]
        if not ends:
            raise MediaError(f"{demuxer.name}: no packet of its streams can be read")
        self.duration = max(*ends, _SHORTEST)
        self.cut_short = not self.duration - readable <= CUT_SHORT
        self.readable = max(0.0, readable) if self.cut_short and math.isfinite(readable) else self.duration
        if self.duration > limits.duration:
            raise LimitError(f"{demuxer.name}: lasts longer than the limit of {limits.duration:g} s")

    def on(self, demuxer: Demuxer) -> Clock:
        """The same clock for another demuxer of the same file; nothing is measured again."""
        other = copy.copy(self)
        other._demuxer = demuxer
        if self.survey is not None and self.survey.timeline.restarts:
            demuxer.join(self.survey.timeline)
        return other

    def expected_end(self, track: Track, seen_end: float) -> float:
        """Until when a track should go on, in container seconds, if its last packet ends at ``seen_end``.

        A track may well end before the others do; it is cut short if it ends before its own declared end,
        or, where only the file has one, before that together with all others.
        """
        if track.declared_end is not None and self._declares:
            expected = track.declared_end
        else:
            expected = self.zero + self.duration if self.cut_short else seen_end
        return expected if expected - seen_end > CUT_SHORT else seen_end

    def yields(self, track: Track, poll: Poll | None) -> bool:
        """Whether anything of a track can be decoded; decoding that is under way cannot go on afterwards."""
        if track.index not in self._yields:
            self._yields[track.index] = yields(self._demuxer, track, self._limits, poll)
        return self._yields[track.index]

    def holes(self, poll: Poll | None) -> list[tuple[float, float]]:
        """Where all tracks pause at once, in container seconds, and the file lost something.

        A picture may stand still and sound may pause, but hardly together. A video without sound may stand
        still, so it has no holes; and where packets follow each other in the file without a gap, a recorder
        paused, or got nothing. All packets are read to find out, the first time; decoding that is under way
        cannot go on afterwards.
        """
        if self._holes is None:
            self._holes = []
            if self._demuxer.audio is not None:
                spans = sorted(self._all_spans(poll))
                first = {index: begin for begin, _, index, _ in reversed(spans)}
                last = {index: begin for begin, _, index, _ in spans}
                reached = self.zero
                torn = [begin for begin, _, _, apart in spans if apart]
                for begin, end, *_ in spans:
                    # Sound may begin after the picture has ended, but something has to go on behind a hole.
                    goes_on = any(first[index] < reached and last[index] >= begin for index in first)
                    if begin - reached > CUT_SHORT and goes_on and _near(torn, reached, begin):
                        self._holes.append((reached, begin))
                    reached = max(reached, end)
        return self._holes

    def _all_spans(self, poll: Poll | None) -> Iterable[Span]:
        if self.survey is not None:
            return _believed(self._demuxer, self.survey, self._limits)
        self._demuxer.rewind()
        return _spans(self._demuxer, self._limits, poll)

    def _readable_end(self, declared_end: float, poll: Poll | None) -> float:
        """The end of the last packet, on the container's clock; NaN if there is no packet.

        Only the part from the last key frame before the declared end is walked, if the format can seek; if
        its index lists every packet, only those of the last seconds.
        """
        demuxer, limits = self._demuxer, self._limits
        lead, listed = demuxer.tracks[0], demuxer.lists_packets
        goal = declared_end - _TAIL if listed else declared_end
        told = self.survey is None and math.isfinite(declared_end) and demuxer.timed
        if told and demuxer.seek(lead, goal, any_packet=listed):
            end = self._last_end(_spans(demuxer, limits, poll))
            if end >= declared_end - CUT_SHORT:
                return end
            # Cut short, or another track goes on than the one that was gone by.
        return self._last_end(self._all_spans(poll))

    def _last_end(self, spans: Iterable[Span]) -> float:
        """When the last packet ends; one of sound that does not say lasts as long as the one before it."""
        sound = -1 if self._demuxer.audio is None else self._demuxer.audio.index
        latest, reached, lasting = math.nan, math.nan, 0.0
        for begin, end, index, _ in spans:
            latest = end if math.isnan(latest) else max(latest, end)
            if index == sound:
                lasting = begin - reached if begin == end and begin > reached else 0.0
                reached = begin
        return max(latest, reached + lasting) if 0.0 < lasting <= _LONGEST_UNSAID else latest


def _declared_end(demuxer: Demuxer) -> float:
    """Where the header says the used tracks end, on the container's clock; NaN if it does not say."""
    ends = [track.declared_end for track in demuxer.tracks]
    known = [end for end in ends if end is not None]
    if len(known) == len(ends):
        return max(known)
    end = container_end(demuxer.container)
    return math.nan if end is None else end


def _near(times: list[float], begin: float, end: float) -> bool:
    """Whether any of increasing ``times`` lies in a hole, or as near as tracks are interleaved."""
    return bisect.bisect_left(times, begin - _INTERLEAVED) < bisect.bisect_right(times, end + _INTERLEAVED)


def _with_the_rest(demuxer: Demuxer, readable: float) -> float:
    """How long a file is of which a part cannot be read, if that has as many bytes a second; else NaN."""
    if not demuxer.unread_from:
        return math.nan
    return readable * demuxer.container.size / demuxer.unread_from


def _plausible(declared: float, size: int, limits: Limits) -> bool:
    return 0 < declared <= limits.duration and 8.0 * size / declared >= _LEAST_BIT_RATE


def _latest(demuxer: Demuxer) -> float:
    """Seconds after its start at which a track of a file of this size may still have a packet."""
    return max(600.0, _SECONDS_PER_BYTE * demuxer.container.size)


def _believed(demuxer: Demuxer, found: Survey, limits: Limits) -> list[Span]:
    """When each packet begins and ends, as :func:`_spans`, of a file that was read once."""
    spans: list[Span] = []
    for track in demuxer.tracks:
        of_track = found.spans[track.index]
        believed = of_track[of_track[:, 0] - track.start <= _latest(demuxer)]
        spans += [(begin, end, track.index, True) for begin, end in believed.tolist()]
    return spans


def _spans(demuxer: Demuxer, limits: Limits, poll: Poll | None) -> Iterator[Span]:
    """When each packet of the used tracks begins and ends, on the container's clock."""
    by_index = {track.index: track for track in demuxer.tracks}
    latest = _latest(demuxer)
    behind = -1
    for packet in demuxer.packets(demuxer.tracks, poll):
        track = by_index[packet.stream_index]
        time = demuxer.time(packet, track)
        at = -1 if packet.pos is None else packet.pos
        apart, behind = not 0 <= at - behind <= _HEADERS, at + packet.size
        if time is not None and not packet.is_discard:
            if time - track.start <= latest:
                yield time, time + demuxer.length(packet, track), track.index, apart
            if time - track.start > limits.duration:
                return  # long enough to be refused; the rest changes nothing
