"""A clock that only moves when told to, and a video that takes as long to decode as one says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from l2l_engine.call.order import walked
from l2l_engine.media import timestamps
from l2l_engine.result import MediaInfo
from l2l_engine.run.session import Skimmed
from l2l_engine.run.watch import Stage
from l2l_engine.skim import SkimResult

HOP = 16 / 30


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeVideo:
    """As a Session; every second of work is one on the clock, in ticks between which ``check`` is called.

    Args:
        clock: Moved by the work.
        seconds, gop: Of the video.
        frame, walk, window, skim: Seconds that a frame, a second of video walked, a window of sound and a run
            of the skimmer cost.
        answer: Step features [T, 12] by the number of image knots; the attention is ``heard``.
        heard: float32 [N], audio attention of every step; even by default.
    """

    def __init__(
        self,
        clock: FakeClock,
        *,
        seconds: float = 60.0,
        gop: float = 2.0,
        frame: float = 0.0,
        walk: float = 0.0,
        window: float = 0.0,
        skim: float = 0.0,
        has_video: bool = True,
        has_audio: bool = True,
        answer: Callable[[int], NDArray[np.float32]] = lambda _: np.zeros((4, 12), np.float32),
        heard: NDArray[np.float32] | None = None,
    ) -> None:
        self.clock, self.duration = clock, seconds
        self.timestamps = timestamps(seconds, HOP)
        self.keys = np.arange(0.0, seconds, gop)
        self.frame, self.walk, self.window, self.skim_time = frame, walk, window, skim
        self.has_video, self.has_audio = has_video, has_audio
        self.frame_rate = 25.0
        self.answer, self.heard = answer, heard
        self.check: Callable[[Stage], None] = lambda _: None
        self.rounds: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self.skims: list[NDArray[np.bool_] | None] = []
        self.image = self.audio = np.zeros(0)

    @property
    def looked_at(self) -> NDArray[np.float64]:
        return self.image

    def key_times(self) -> NDArray[np.float64]:
        return self.keys

    def extract(self, image_knots: NDArray[np.float64], audio_knots: NDArray[np.float64]) -> None:
        self.rounds.append((image_knots, audio_knots))
        for time in audio_knots:
            self._work(Stage.AUDIO, self.window)
            self.audio = np.union1d(self.audio, time)
        for time, way in zip(image_knots, walked(image_knots, self.keys), strict=True):
            self._work(Stage.FRAMES, self.frame + self.walk * float(way))
            self.image = np.union1d(self.image, time)

    def _work(self, stage: Stage, seconds: float) -> None:
        while seconds > 0:
            self.check(stage)
            self.clock.now += min(seconds, 0.001)
            seconds -= 0.001

    def skim(self, steps: int, where: NDArray[np.bool_] | None = None) -> Skimmed:
        self.clock.now += self.skim_time
        self.skims.append(where)
        features = self.answer(len(self.image))[:steps]
        n = len(self.timestamps)
        heard = np.full(n, 1 / n, np.float32) if self.heard is None else self.heard
        attention = np.broadcast_to(heard, (1, len(features), n))
        scores = np.full((1, len(features), 2), 0.5, np.float32)
        means = np.cumsum(features, axis=0) / np.arange(1, len(features) + 1, dtype=np.float32)[:, None]
        logits = means @ self.weight.T + self.bias
        info = MediaInfo(self.duration, (), "present", "present", 1.0, len(self.image), len(self.audio), 0)
        result = SkimResult(logits[-1:], attention, attention, scores, features[None], logits[None])
        return Skimmed(result, self.timestamps, info, has_image=self.has_video, has_audio=self.has_audio)

    weight = np.eye(3, 12, dtype=np.float32)
    bias = np.zeros(3, np.float32)
