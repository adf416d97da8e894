"""When it happens, and looking again: a few frames and windows of sound beside the edges of what was."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine.call.ask import Ask
from l2l_engine.call.knots import NOTHING, Knots
from l2l_engine.call.order import walked
from l2l_engine.call.pace import BudgetSpent, Pace
from l2l_engine.call.segments import segments_of
from l2l_engine.media import sampling
from l2l_engine.plan import PlanDocument
from l2l_engine.result import FloatArray, Segment, TimeArray
from l2l_engine.run.session import Skimmed
from l2l_engine.skim import MomentHead

SHARE = 0.5
"""Frames that may go through the decoder for it, as a share of those that did so before."""

ROUNDS = 3
"""Times that it looks: every time the edges are nearer to where they were looked for."""

EDGES = 64
"""Edges looked at in one round: those of the highest scores."""

_BETWEEN = 8
"""Moments of each kind at most that are added between two knots."""

_WHOLE = 2.0
"""All moments between two knots are looked at where that walks at most so many times as far as to the middle:
the way to a late frame leads past the early ones."""

_LATE = 2
"""Frames that a decoder may give beyond the one that was asked for."""


class Edged(Protocol):
    """What is asked of a :class:`l2l_engine.run.session.Session`."""

    timestamps: TimeArray

    @property
    def duration(self) -> float:
        """Seconds."""

    @property
    def frame_rate(self) -> float:
        """Frames a second, positive."""

    @property
    def frames_decoded(self) -> int:
        """Frames that went through a decoder."""

    @property
    def has_video(self) -> bool:
        """Whether there are pictures."""

    @property
    def has_audio(self) -> bool:
        """Whether there is sound."""

    @property
    def looked_at(self) -> TimeArray:
        """Moments that have an image feature by now, increasing."""

    @property
    def listened_to(self) -> TimeArray:
        """Moments that have an audio feature by now, increasing."""

    def key_times(self) -> TimeArray:
        """When key frames are shown."""

    def extract(self, image_knots: TimeArray, audio_knots: TimeArray) -> None:
        """Decode and encode."""

    def moments(self, head: MomentHead) -> NDArray[np.float64]:
        """What every moment shows, by what was extracted so far."""


def tell_when(  # noqa: PLR0917 - what a call has in hand by then
    video: Edged,
    head: MomentHead,
    skimmed: Skimmed,
    probabilities: FloatArray,
    ask: Ask,
    document: PlanDocument,
    pace: Pace,
) -> tuple[Skimmed, tuple[Segment, ...]]:
    """Find the segments of a video that was skimmed, and look again beside their edges if that is asked for.

    Args:
        video: Opened, skimmed and, if the plan has a recogniser, recognised.
        head: The plan's.
        skimmed: What the answer rests on.
        probabilities: float32 [C], of the answer.
        ask: What the call asks.
        document: The plan's.
        pace: Keeps the time of this call.

    Returns:
        ``skimmed`` with what was looked at since in its ``media``, and the segments by start.

    Raises:
        MediaError: If the file can no longer be read.
    """

    def found() -> tuple[Segment, ...]:
        logits, times = video.moments(head), video.timestamps
        end = video.duration
        return segments_of(skimmed.result, logits, times, document, probabilities=probabilities, end=end)

    segments = found()
    if not (ask.refine and segments):
        return skimmed, segments
    refining = Refining(video, ask, document, pace, keys_alone=skimmed.media.sampling == "keyframes")
    while refining.look(segments):
        segments = found()
    media = skimmed.media
    media = replace(
        media,
        image_knots=len(video.looked_at),
        audio_knots=len(video.listened_to),
        image_planned=media.image_planned + len(refining.planned.image),
        audio_planned=media.audio_planned + len(refining.planned.audio),
        rounds=media.rounds + refining.rounds,
    )
    return replace(skimmed, media=media), segments


class Refining:
    """Looks beside edges, within what one call may cost.

    Args:
        video: Decoded for the answer; nothing else is decoded in between.
        ask: What the call asks.
        document: Of a plan that has settings for segments.
        pace: Keeps the time of this call.
        keys_alone: Whether only key frames are looked at.
    """

    def __init__(
        self, video: Edged, ask: Ask, document: PlanDocument, pace: Pace, *, keys_alone: bool = False
    ) -> None:
        self._video, self._ask, self._pace = video, ask, pace
        self._hop, self._shift = document.media.hop, (0.0, 0.0)
        if document.segments is not None:
            self._shift = document.segments.shift_s
        self._keys_alone = keys_alone
        self._keys = video.key_times() if video.has_video else NOTHING
        self._before = video.frames_decoded
        self._heard = len(video.listened_to)
        self.planned = Knots(NOTHING, NOTHING)
        """What was chosen so far."""
        self.rounds = 0

    def look(self, segments: tuple[Segment, ...]) -> bool:
        """Decode what makes the edges of ``segments`` sharper; False if there is nothing, or no time for it.

        Raises:
            MediaError: If the file can no longer be read.
        """
        edges = self._edges(segments)
        knots = Knots(self._frames(edges), self._windows(edges))
        if self.rounds >= ROUNDS or not (len(knots.image) or len(knots.audio)) or not self._in_time(knots):
            return False
        self.rounds += 1
        self.planned = Knots(
            np.union1d(self.planned.image, knots.image), np.union1d(self.planned.audio, knots.audio)
        )
        try:
            self._video.extract(knots.image, knots.audio)
        except BudgetSpent:
            return False
        return True

    def _edges(self, segments: tuple[Segment, ...]) -> list[float]:
        """Where scores cross their levels, those of the surest segments first; not the ends of the file."""
        first, last = float(self._video.timestamps[0]), self._video.duration
        surest = sorted(segments, key=lambda segment: -segment.score)
        edges = [
            edge - shift
            for segment in surest
            for edge, shift in zip((segment.start_s, segment.end_s), self._shift, strict=True)
            if first < edge < last
        ]
        return edges[:EDGES]

    def _frames(self, edges: list[float]) -> TimeArray:
        """The frames to decode next, as many as the call may cost; nearer to the surest edges first."""
        chosen = NOTHING
        if not self._video.has_video:
            return chosen
        looked = self._video.looked_at
        if not len(looked):
            return chosen
        room = self._room(len(looked))
        frames = math.floor(SHARE * self._before) - (self._video.frames_decoded - self._before)
        for edge in edges:
            for some in self._between(*self._bracket(looked, edge)):
                more = np.union1d(chosen, some)
                if len(more) <= room and self._cost(more) <= frames:
                    chosen = more
                    break
        return chosen

    def _between(self, low: float, high: float) -> list[TimeArray]:
        """The frames that tell best, for what they cost, where between two knots an edge is, best first.

        One halves what is not known: the cheapest of the middle half. All are better where it walks past all.
        """
        keys = _inside(self._keys, low, high)
        stamps = NOTHING if self._keys_alone else _inside(self._video.timestamps, low, high)
        moments = np.union1d(keys, stamps)
        if not len(moments) or high - low <= self._hop * 1.01:
            return []
        middle, quarter = (low + high) / 2, (high - low) / 4
        halves = moments[np.abs(moments - middle) <= quarter]
        nearest = moments[np.argmin(np.abs(moments - middle), keepdims=True)]
        most = halves if len(halves) else nearest
        costs = [(self._cost(most[i : i + 1]), abs(float(most[i]) - middle), i) for i in range(len(most))]
        cost, _, best = min(costs)
        every, one = sampling.thin(stamps, _BETWEEN), most[best : best + 1]
        return [every, one] if len(every) and self._cost(every) <= _WHOLE * cost else [one]

    def _windows(self, edges: list[float]) -> TimeArray:
        """The windows to hear next: between the two heard on either side of an edge, all there are."""
        chosen = NOTHING
        if not self._video.has_audio:
            return chosen
        heard = self._video.listened_to
        room = min(self._room(len(heard)), 2 * self._heard - len(heard))
        for edge in edges:
            inside = _inside(self._video.timestamps, *self._bracket(heard, edge))
            more = np.union1d(chosen, sampling.thin(inside, _BETWEEN))
            if len(more) <= room:
                chosen = more
        return chosen

    def _bracket(self, knots: TimeArray, edge: float) -> tuple[float, float]:
        """The knots on either side of an edge; the ends of the file where there is none."""
        after = int(np.searchsorted(knots, edge, side="right"))
        low = float(knots[after - 1]) if after else -self._hop
        return low, float(knots[after]) if after < len(knots) else self._video.duration

    def _cost(self, moments: TimeArray) -> float:
        """Frames that go through the decoder for some moments, at most."""
        way = walked(moments, self._keys)
        return float(np.ceil(way * self._video.frame_rate + (way > 0) * _LATE).sum()) + len(moments)

    def _room(self, there: int) -> int:
        """Knots of one kind that the call may still have."""
        return 1 << 30 if self._ask.max_knots is None else max(0, self._ask.max_knots - there)

    def _in_time(self, knots: Knots) -> bool:
        return self._pace.time_for(knots.image, self._keys, len(knots.image), 0.0, windows=len(knots.audio))


def _inside(times: TimeArray, low: float, high: float) -> TimeArray:
    """Those strictly between."""
    return times[np.searchsorted(times, low, side="right") : np.searchsorted(times, high, side="left")]
