"""The few frames and sounds of one file that matter most: listened for, looked at, and chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine import arguments
from l2l_engine.call import listening
from l2l_engine.call.ask import Ask
from l2l_engine.call.choosing import Weights, at, choose, shares
from l2l_engine.call.knots import NOTHING, Knots, Video, planned
from l2l_engine.call.order import AT_KEY, walked
from l2l_engine.call.pace import Pace, Todo
from l2l_engine.call.stopping import confidence
from l2l_engine.media import sampling
from l2l_engine.plan import PlanDocument
from l2l_engine.result import Features, FloatArray, MediaInfo, StoppedBy, TimeArray
from l2l_engine.run.session import Skimmed

MORE = 8
"""Moments looked at beyond those that are to be chosen: only who has seen some can choose."""

WAY = 0.5
"""Frames that may go through the decoder on the way to them, as a share of what evenly spread frames take."""

MOST_SPREAD = 8
"""So many evenly spread frames at most say what that is: more would walk through the whole file."""

FIRST_KEYS = 8
"""Key frames of the first look at most, beyond as many as frames are to be chosen."""

BESIDE = 2.9
"""Hops between sounds that are heard beside frames, at least: a window lasts about two."""

_SPACING = 0.9
"""Hops between moments that are looked at, a little less than one: sums of hops are not exact."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much is to be returned.

    Attributes:
        frames: Frames at most; 0 for none.
        sounds: Windows of sound at most; 0 for none.
    """

    frames: int
    sounds: int

    @classmethod
    def of(cls, document: PlanDocument, frames: int, seconds: float | None) -> Wanted:
        """Check what a call asks for; without ``seconds`` as many windows as frames.

        Raises:
            ValueError, TypeError: It is out of range, or nothing; the message names it.
        """
        frames = arguments.at_least("frames", frames, 0)
        if seconds is None:
            sounds = frames
        elif not isinstance(seconds, bool) and seconds == 0:
            sounds = 0
        else:
            window = _window(document)
            sounds = int(arguments.positive_seconds("seconds", seconds) / window * (1 + 1e-9))
            if not sounds:
                raise ValueError(f"seconds must be 0 or at least {window:g}, a window's, not {seconds!r}")
        if not frames and not sounds:
            raise ValueError("frames and seconds are both 0: nothing is left to select")
        return cls(frames, sounds)


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Moments that were chosen, each with its share of the attention; the seconds increase."""

    frames: TimeArray
    frame_weights: Weights
    sounds: TimeArray
    sound_weights: Weights
    media: MediaInfo
    stopped_by: StoppedBy


class Seen(Video, Protocol):
    """What is asked of a :class:`l2l_engine.run.session.Session`."""

    @property
    def duration(self) -> float:
        """Seconds, finite, > 0."""

    def features(self) -> Features:
        """What was extracted so far."""


def select(video: Seen, ask: Ask, wanted: Wanted, document: PlanDocument, pace: Pace) -> Chosen:
    """Choose the moments of one opened video.

    Args:
        video: Opened, nothing extracted yet.
        ask: What the call asks.
        wanted: How much is to be chosen.
        document: Of the plan its features are skimmed by.
        pace: Keeps the time of this call, which runs already.

    Raises:
        MediaError: If too little of the file could be decoded.
    """
    return _Selecting(video, ask, wanted, document, pace).run()


class _Selecting:
    def __init__(self, video: Seen, ask: Ask, wanted: Wanted, document: PlanDocument, pace: Pace) -> None:
        self._video, self._ask, self._wanted = video, ask, wanted
        self._document, self._pace = document, pace
        self._hop = document.media.hop
        self._planned = Knots(NOTHING, NOTHING)
        self._rounds = 0

    def run(self) -> Chosen:
        in_time = self._decode(self._first_look())
        if in_time and self._video.has_video and self._wanted.frames:
            in_time = self._look_closer()
        return self._choose("done" if in_time else "budget")

    def _look_closer(self) -> bool:
        """Look where it matters, a group of pictures at a time; False if the time ended it."""
        with self._pace.skim():
            image, audio = shares(self._video.skim(self._ask.steps).result)
        weight = next((kind for kind in (audio, image) if not listening.is_flat(kind)), None)
        ranked = self._even(self._most()) if weight is None else self._worth_a_look(weight)
        group = np.searchsorted(self._video.key_times(), ranked + AT_KEY, side="right")
        for one in dict.fromkeys(group.tolist()):  # that of the most important moment first
            if not self._look(ranked[group == one]):
                return False
            if self._lacking <= 0 and self._is_sure():
                return True
        if self._lacking > 0 and weight is not None:
            return self._look(self._worth_a_look(weight, whatever_it_takes=True)[: self._lacking])
        return True

    @property
    def _lacking(self) -> int:
        """Frames that are wanted beyond those that were seen."""
        return self._wanted.frames - len(self._video.looked_at)

    def _look(self, moments: TimeArray) -> bool:
        """Decode frames, and the sound beside some of them; False if the time ended it."""
        return self._decode(Knots(np.sort(moments), self._beside(moments)))

    def _first_look(self) -> Knots:
        """All the sound, and a few key frames."""
        knots = planned(self._video, self._ask, self._document, "listen")
        if not self._wanted.frames and self._video.has_audio:
            return Knots(NOTHING, knots.audio)
        return Knots(sampling.thin(knots.image, self._wanted.frames + FIRST_KEYS), knots.audio)

    def _decode(self, knots: Knots) -> bool:
        """Decode ``knots``; False if the time ended it."""
        before = self._planned
        self._planned = Knots(np.union1d(before.image, knots.image), np.union1d(before.audio, knots.audio))
        todo = Todo(knots, self._video.key_times() if self._pace.timed else NOTHING)
        while len(todo):
            count = self._pace.next(todo, checked=False)
            if not count:
                return False
            self._rounds += 1
            if not self._pace.decode(self._video, todo, count):
                return False
        return True

    def _worth_a_look(self, weight: Weights, *, whatever_it_takes: bool = False) -> TimeArray:
        """Moments worth an exact frame, the most first; none that was looked at."""
        times, keys = self._video.timestamps, self._video.key_times()
        looked = self._video.looked_at
        seen = listening.near(times, looked, self._hop / 2) & bool(len(looked))
        left = np.where(seen, 0.0, weight)
        spread = self._even(min(self._wanted.frames, MOST_SPREAD))
        best = times[[left.argmax()]]  # the way to it is gone, whatever it takes
        way = max(WAY * float(walked(spread, keys).sum()), float(walked(best, keys).sum()))
        return listening.moments(
            left,
            times,
            keys,
            spacing=_SPACING * self._hop,
            most=self._most(),
            way=np.inf if whatever_it_takes else way,
        )

    def _most(self) -> int:
        """Moments that may be looked at besides those that were."""
        most = self._wanted.frames + MORE
        if self._ask.max_knots is None:
            return most
        return max(
            0, min(most, self._ask.max_knots - max(len(self._planned.image), len(self._planned.audio)))
        )

    def _even(self, count: int) -> TimeArray:
        """Moments evenly spread over the file."""
        return (np.arange(count) + 0.5) * self._video.duration / max(1, count)

    def _is_sure(self) -> bool:
        """Whether what was looked at leaves no doubt of the answer: then it was the right place."""
        return confidence(self._skim().result, self._document) >= listening.SURE

    def _skim(self) -> Skimmed:
        """Skim what there is; far from all frames interpolation would show what nobody saw."""
        where, looked = None, self._video.looked_at
        if len(looked):
            where = listening.near(self._video.timestamps, looked, self._ask.max_image_gap_s / 2)
        with self._pace.skim():
            return self._video.skim(self._ask.steps, where)

    def _beside(self, ranked: TimeArray) -> TimeArray:
        """Where to hear the sound beside frames: at the most important, and where no window reaches yet."""
        if not self._video.has_audio:
            return NOTHING
        heard: list[float] = []
        for time in ranked.tolist():
            if all(abs(time - other) >= BESIDE * self._hop for other in heard):
                heard.append(time)
        return np.sort(np.array(heard, np.float64))

    def _choose(self, stopped_by: StoppedBy) -> Chosen:
        """Choose among what was seen and heard."""
        times, skimmed = self._video.timestamps, self._skim()
        weight = np.add(*shares(skimmed.result))
        kept = self._video.features()

        def chosen(
            moments: TimeArray | None, bank: object, count: int, apart: float
        ) -> tuple[TimeArray, Weights]:
            moments = NOTHING if moments is None else moments
            worth = at(moments, times, weight)
            features: FloatArray | None = bank if isinstance(bank, np.ndarray) else None
            which: NDArray[np.int64] = np.sort(choose(worth, moments, features, count=count, apart=apart))
            return moments[which], worth[which]

        frames = chosen(kept.image_times, kept.image_bank, self._wanted.frames, self._hop)
        apart = max(self._hop, _window(self._document))
        sounds = chosen(kept.audio_times, kept.audio_bank, self._wanted.sounds, apart)
        media = replace(
            skimmed.media,
            sampling="listen",
            rounds=self._rounds,
            image_planned=len(self._planned.image),
            audio_planned=len(self._planned.audio),
        )
        return Chosen(*frames, *sounds, media, stopped_by)


def _window(document: PlanDocument) -> float:
    """Seconds of one window of sound."""
    return document.media.window / document.media.sample_rate
