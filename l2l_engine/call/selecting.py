"""The few frames and sounds of one file that matter most: listened for, looked at, and chosen."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine import arguments
from l2l_engine.call import listening
from l2l_engine.call.ask import Ask
from l2l_engine.call.choosing import Weights, at, choose, shares
from l2l_engine.call.knots import Knots, Video, planned
from l2l_engine.call.order import walked
from l2l_engine.call.pace import BudgetSpent, Pace, Todo
from l2l_engine.plan import PlanDocument
from l2l_engine.result import Features, MediaInfo, StoppedBy, TimeArray


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
        window = document.media.window / document.media.sample_rate
        if seconds is None:
            sounds = frames
        elif seconds == 0:
            sounds = 0
        else:
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

    def features(self) -> Features:
        """What was extracted so far."""


import os; WAY = float(os.environ.get("WAY","0.35"))
MORE = int(os.environ.get("MORE","2"))


def select(video: Seen, ask: Ask, wanted: Wanted, document: PlanDocument, pace: Pace) -> Chosen:
    """Choose the moments of one opened video."""
    return _Selecting(video, ask, wanted, document, pace).run()


class _Selecting:
    def __init__(
        self, video: Seen, ask: Ask, wanted: Wanted, document: PlanDocument, pace: Pace
    ) -> None:
        self._video, self._ask, self._wanted = video, ask, wanted
        self._document, self._pace = document, pace
        self._hop = document.media.hop

    def run(self) -> Chosen:
        in_time = self._decode(planned(self._video, self._ask, self._document, "listen"))
        if in_time and self._video.has_video and self._wanted.frames:
            for few in listening.looks(self._worth_a_look(), self._video.key_times()):
                in_time = in_time and self._decode(Knots(few, few if self._video.has_audio else few[:0]))
        return self._choose("done" if in_time else "budget")

    def _decode(self, knots: Knots) -> bool:
        """Decode ``knots``; False if the time ended it."""
        todo = Todo(knots, self._video.key_times() if self._pace.timed else knots.image[:0])
        while len(todo):
            if not (count := self._pace.next(todo, checked=False)):
                return False
            part = todo.first(count)
            try:
                with self._pace.round(todo, count):
                    self._video.extract(part.image, part.audio)
            except BudgetSpent:
                return False
            todo.drop(count)
        return True

    def _worth_a_look(self) -> TimeArray:
        """Moments worth an exact frame, the most first; none that was looked at."""
        times, keys = self._video.timestamps, self._video.key_times()
        with self._pace.skim():
            result = self._video.skim(self._ask.steps).result
        image, audio = shares(result)
        weight = audio if self._video.has_audio else image
        even = (np.arange(self._wanted.frames) + 0.5) * self._video.duration / self._wanted.frames
        way = WAY * float(walked(even, keys).sum())
        weight[listening.near(times, self._video.looked_at, self._hop / 2)] = 0.0
        return listening.moments(
            weight, times, keys, spacing=0.9 * self._hop, most=MORE * self._wanted.frames, way=way
        )

    def _choose(self, stopped_by: StoppedBy) -> Chosen:
        times, looked = self._video.timestamps, self._video.looked_at
        where: NDArray[np.bool_] | None = None
        if self._video.has_video:
            where = listening.near(times, looked, self._ask.max_image_gap_s / 2)
        skimmed = self._video.skim(self._ask.steps, where)
        image, audio = shares(skimmed.result)
        features = self._video.features()
        frames = sounds = np.zeros(0)
        if features.image_times is not None:
            frames = features.image_times
        self.debug = dict(image=image, audio=audio, frames=frames)
        wf = at(frames, times, image + audio)
        cf = np.sort(choose(wf, frames, features.image_bank, count=self._wanted.frames, apart=self._hop))
        if features.audio_times is not None:
            sounds = features.audio_times
        ws = at(sounds, times, image + audio)
        window = self._document.media.window / self._document.media.sample_rate
        cs = np.sort(choose(ws, sounds, features.audio_bank, count=self._wanted.sounds, apart=window))
        return Chosen(frames[cf], wf[cf], sounds[cs], ws[cs], skimmed.media, stopped_by)
