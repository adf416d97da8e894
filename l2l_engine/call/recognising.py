"""Having the recogniser see what was looked at, if there is something to see and time for it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from l2l_engine.call.pace import BudgetSpent, Pace
from l2l_engine.result import Recognised, TimeArray
from l2l_engine.run.compute import Bank
from l2l_engine.run.recognise import Recogniser
from l2l_engine.run.session import Skimmed


class Watched(Protocol):
    """What is asked of a :class:`l2l_engine.run.session.Session`."""

    @property
    def threads(self) -> int:
        """How many moments are seen at once."""

    def key_times(self) -> TimeArray:
        """When key frames are shown."""

    def recognise(self, recogniser: Recogniser, moments: TimeArray) -> Bank | None:
        """The recogniser's logits at some moments."""


def recognise(
    video: Watched, skimmed: Skimmed, recogniser: Recogniser, pace: Pace
) -> tuple[Recognised, Bank | None]:
    """Have the recogniser see the moments that the skimmer looked at.

    Args:
        video: Opened and skimmed.
        skimmed: What the skimmer found.
        recogniser: The plan's recogniser.
        pace: Keeps the time of this call. What cannot be done in time is not begun; what takes longer than
            it should is broken off.

    Returns:
        Whether it answers, or why not; and its logits if it does.

    Raises:
        MediaError: If the file can no longer be read.
    """
    if not skimmed.has_image:
        return "no_pictures", None
    moments = looked_at(skimmed)
    if not len(moments):
        return "no_moments", None
    if pace.timed:
        frames = np.unique(recogniser.times(moments))
        seconds = recogniser.seconds * -(-len(moments) // video.threads)
        if not pace.time_for(frames, video.key_times(), len(moments), seconds):
            return "no_time", None
    try:
        seen = video.recognise(recogniser, moments)
    except BudgetSpent:
        return "no_time", None
    return ("unreadable", None) if seen is None else ("yes", seen)


def looked_at(skimmed: Skimmed) -> TimeArray:
    """The distinct moments where the image attention of the T-1 steps that chose any peaks, increasing."""
    chosen = skimmed.result.image_attention[0, :-1].argmax(axis=1)
    return np.unique(skimmed.timestamps[chosen])
