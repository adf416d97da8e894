"""One call: rounds of decoding, and an answer when it is due, sure, or all there is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2l_engine.call import listening
from l2l_engine.call.ask import Ask
from l2l_engine.call.knots import NOTHING, Knots, Video, planned, policy
from l2l_engine.call.pace import FIRST_CHECK, Pace, Todo
from l2l_engine.call.stopping import confidence, sure_after
from l2l_engine.errors import MediaError
from l2l_engine.media import sampling
from l2l_engine.media.sampling import Policy
from l2l_engine.plan import Plan
from l2l_engine.result import StoppedBy, TimeArray
from l2l_engine.run.session import Skimmed

_TOLERANCE = 1e-6
"""Share of a gap that is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The answer's numbers, and why it was given when it was."""

    skimmed: Skimmed
    stopped_by: StoppedBy


def run(video: Video, ask: Ask, plan: Plan, pace: Pace) -> Outcome:
    """Decode and skim one opened video.

    Args:
        video: Opened, nothing extracted yet.
        ask: What the call asks.
        plan: The plan its features are skimmed by.
        pace: Keeps the time of this call, which runs already.

    Raises:
        MediaError: If too little of the file could be decoded.
    """
    return _Rounds(video, ask, plan, pace).run()


class _Rounds:
    def __init__(self, video: Video, ask: Ask, plan: Plan, pace: Pace) -> None:
        self._video, self._ask, self._plan, self._pace = video, ask, plan, pace
        self._policy = policy(video, ask)
        self._planned = Knots(NOTHING, NOTHING)
        self._listening = self._policy == "listen"
        self._rounds = 0
        self._skimmed: Skimmed | None = None

    def run(self) -> Outcome:
        found = self._decode_in_rounds(self._choose_knots(self._policy))
        if found is None and self._policy == "listen":
            found = self._look_closer()
        return found or Outcome(self._skim(), "done")

    def _choose_knots(self, followed: Policy) -> Knots:
        self._policy = followed
        return planned(self._video, self._ask, self._plan.document, followed)

    def _look_closer(self) -> Outcome | None:
        """Look where it listened: first where most, and if that leaves doubts, everywhere else."""
        self._listening = False
        weight = listening.heard(self._skim_all().result.audio_attention[0])
        if listening.is_flat(weight):
            return self._decode_in_rounds(self._choose_knots("auto"))
        for few in listening.looks(self._worth_a_look(weight), self._video.key_times()):
            found = self._decode_in_rounds(Knots(few, few))
            sure = confidence(self._skim().result, self._plan.document) >= listening.SURE
            if found is not None or sure:
                return found
        return None

    def _decode_in_rounds(self, knots: Knots) -> Outcome | None:
        """Decode ``knots`` round by round; the answer if it is time for one before they are done."""
        before = self._planned
        self._planned = Knots(np.union1d(before.image, knots.image), np.union1d(before.audio, knots.audio))
        keys = self._video.key_times() if self._ask.in_rounds else NOTHING
        todo = Todo(knots, keys)
        while len(todo):
            count = self._pace.next(todo, checked=self._checked)
            if not count or not self._decode_round(todo, count):
                return Outcome(self._skim(), "budget")
            if (found := self._answer_if_sure(last=not len(todo))) is not None:
                return found
        return None

    @property
    def _checked(self) -> bool:
        """Whether a sure answer ends it. None rests on the look that only tells where to look."""
        return self._ask.stop_when is not None and not self._listening

    def _answer_if_sure(self, *, last: bool) -> Outcome | None:
        """The answer if it is sure enough; None if it is not, or if too little can be read so far."""
        enough = last or self._pace.knots >= FIRST_CHECK
        threshold = self._ask.stop_when if self._checked and enough else None
        if threshold is None and not (self._pace.timed and self._rounds == 1):
            return None
        try:
            skimmed = self._skim()  # before a deadline also to know how long that takes
        except MediaError:
            return None
        sure = threshold and sure_after(skimmed.result, self._plan.document, threshold)
        return Outcome(dataclasses.replace(skimmed, result=sure), "confidence") if sure else None

    def _decode_round(self, todo: Todo, count: int) -> bool:
        """Decode a round; False if the time ended it."""
        self._skimmed = None
        self._rounds += 1
        return self._pace.decode(self._video, todo, count)

    def _worth_a_look(self, weight: NDArray[np.float64]) -> TimeArray:
        """Moments that the sound makes worth an exact frame, the most first; none that was looked at."""
        times, most = self._video.timestamps, self._ask.max_knots
        weight[listening.near(times, self._video.looked_at, self._plan.document.media.hop / 2)] = 0.0
        left = listening.MOMENTS
        if most is not None:
            left = min(left, most - max(len(self._planned.image), len(self._planned.audio)))
        keys, gap = self._video.key_times(), self._ask.max_image_gap_s
        exact = sampling.image_knots(times, keys, policy="exact", max_gap=gap)
        way = listening.allowed(exact, keys, self._video.frame_rate)
        return listening.moments(weight, times, keys, spacing=listening.SPACING * gap, most=left, way=way)

    def _skim(self) -> Skimmed:
        """Skim what there is, once, for an answer.

        If frames are further apart than they should be, only moments near one count. Between them
        interpolation would show at every moment a little of what was seen at the few that were looked at.
        """
        if self._skimmed is None:
            times, looked, gap = self._video.timestamps, self._video.looked_at, self._ask.max_image_gap_s
            widest = np.diff(looked, append=max([times[-1], *looked[-1:]])).max(initial=0.0)
            wide = widest > gap * (1 + _TOLERANCE)
            skimmed = self._skim_all(listening.near(times, looked, gap / 2) if wide else None)
            media = dataclasses.replace(
                skimmed.media,
                sampling=self._policy,
                rounds=self._rounds,
                image_planned=len(self._planned.image),
                audio_planned=len(self._planned.audio),
            )
            self._skimmed = dataclasses.replace(skimmed, media=media)
        return self._skimmed

    def _skim_all(self, where: NDArray[np.bool_] | None = None) -> Skimmed:
        with self._pace.skim():
            return self._video.skim(self._ask.steps, where)
