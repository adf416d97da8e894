"""Which moments of one video a call is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from l2l_engine.call.ask import Ask
from l2l_engine.media import sampling
from l2l_engine.media.sampling import Policy
from l2l_engine.plan import PlanDocument
from l2l_engine.result import TimeArray
from l2l_engine.run.session import Skimmed

NOTHING: TimeArray = np.zeros(0)

_LEAST_TO_LISTEN = 4
"""Knots below which there are too few to listen first and look afterwards."""


class Video(Protocol):
    """What is asked of a :class:`l2l_engine.run.session.Session`."""

    timestamps: TimeArray

    @property
    def has_video(self) -> bool:
        """Whether there are pictures."""

    @property
    def has_audio(self) -> bool:
        """Whether there is sound."""

    @property
    def frame_rate(self) -> float:
        """Frames a second, positive."""

    @property
    def looked_at(self) -> TimeArray:
        """Moments that have an image feature by now, increasing."""

    def key_times(self) -> TimeArray:
        """When key frames are shown."""

    def extract(self, image_knots: TimeArray, audio_knots: TimeArray) -> None:
        """Decode and encode."""

    def skim(self, steps: int, where: NDArray[np.bool_] | None = None) -> Skimmed:
        """Skim what was extracted."""


@dataclass(frozen=True, slots=True, eq=False)
class Knots:
    """Moments to decode: float64 seconds of frames, and of starts of audio windows."""

    image: TimeArray
    audio: TimeArray


def policy(video: Video, ask: Ask) -> Policy:
    """The policy that will be followed: to listen first takes sound, pictures and more than a few knots."""
    listens = video.has_video and video.has_audio
    listens &= ask.max_knots is None or ask.max_knots >= _LEAST_TO_LISTEN
    return "auto" if ask.sampling == "listen" and not listens else ask.sampling


def planned(video: Video, ask: Ask, document: PlanDocument, followed: Policy) -> Knots:
    """The knots of a call, both increasing; for "listen" those of the first look.

    Where knots may be few, the sound is heard at the moments that are seen: a frame says little about the
    sound of another second. So it is with ``max_knots``; with a budget or a confidence to stop at it is heard
    at the usual moments besides. With ``max_knots`` "listen" keeps half of the knots for the moments
    that it chooses.
    """
    most = ask.max_knots
    listens = followed == "listen"
    quarter = None if most is None else most // 4
    image = NOTHING
    if video.has_video:
        image = sampling.image_knots(
            video.timestamps,
            NOTHING if followed == "exact" else video.key_times(),
            policy=followed,
            max_gap=ask.max_image_gap_s,
            most=quarter if listens else most,
        )
    if not video.has_audio:
        return Knots(image, NOTHING)
    audio = _audio_grid(video.timestamps, document)
    if listens:
        audio = sampling.thin(audio, None if most is None else most // 2)
    elif most is not None and len(audio) + ask.in_rounds * len(image) > most:
        return Knots(image, image if len(image) > most // 2 else sampling.thin(audio, most))
    paired = ask.budget_s is not None or (ask.stop_when is not None and not listens)
    return Knots(image, np.union1d(audio, image) if paired else audio)


def _audio_grid(timestamps: TimeArray, document: PlanDocument) -> TimeArray:
    hop, settings = document.media.hop, document.sampling
    gap = min(settings.factor * hop, settings.max_audio_gap_s)
    return sampling.knots(timestamps, max(1, int(gap / hop * (1 + 1e-9))))
