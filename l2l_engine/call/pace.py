"""How much to decode next, so that the answer is in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from l2l_engine.call.ask import Ask
from l2l_engine.call.knots import Knots, Video
from l2l_engine.call.order import coarse_to_fine, spread, walked
from l2l_engine.result import TimeArray
from l2l_engine.run.watch import Stage

Clock = Callable[[], float]

FIRST = 1
"""Knots of the first round before a deadline: they say what a knot costs here."""
FIRST_CHECK = 8
"""Knots of the first round without one; later rounds double what there is. With fewer, a skimmer that was
trained on whole videos is surer than it is right."""
_ALL = 0.7
"""Share of the time left that the rest may take, by the estimate, to be decoded in one round."""
_PART = 0.5
"""Share of the time left that one of several rounds may take: the next estimate is better."""
_LAST = 0.8
"""Share of the time left that a last knot may take."""
_ANSWER = 0.003
"""Seconds kept for what follows the skimmer."""

# What things cost beside each other; how long they take, the rounds before tell.
_WALKED = 30.0
"""A second of video through the decoder."""
_IMAGE = 12.0
"""A frame: seek, convert, encode."""
_AUDIO = 6.0
"""A window of sound: decode, encode."""


class BudgetSpent(Exception):  # noqa: N818 - it is no error, and never leaves this room
    """There is no time left to decode more; whoever decodes answers with what there is."""


class Todo:
    """Knots still to be decoded, in the order in which it may stop anywhere.

    Frames come coarse to fine, each with the sound beside it where that is a knot too; then the rest of the
    sound. Its length counts frames with or without sound as one.
    """

    def __init__(self, knots: Knots, keys: TimeArray) -> None:
        paired = np.isin(knots.audio, knots.image)
        rest = knots.audio[~paired]
        self._image = coarse_to_fine(knots.image, keys)
        self._paired = np.isin(self._image, knots.audio)
        self._rest = rest[spread(len(rest))]
        self._keys = keys

    def __len__(self) -> int:
        return len(self._image) + len(self._rest)

    def first(self, count: int) -> Knots:
        """The next ``count`` knots, by time."""
        image, rest = self._image[:count], self._rest[: max(0, count - len(self._image))]
        return Knots(np.sort(image), np.sort(np.concatenate([image[self._paired[:count]], rest])))

    def drop(self, count: int) -> None:
        """Take the next ``count`` knots off: they are decoded."""
        self._rest = self._rest[max(0, count - len(self._image)) :]
        self._image, self._paired = self._image[count:], self._paired[count:]

    def cost(self, count: int) -> float:
        """What the next ``count`` cost, in units of a decoded frame."""
        part = self.first(count)
        way = float(walked(part.image, self._keys).sum())
        return _WALKED * way + _IMAGE * len(part.image) + _AUDIO * len(part.audio)


class Pace:
    """Keeps the time of one call, from the moment it is made.

    Args:
        ask: Says whether there is a budget.
        clock: Tells the time in seconds.
    """

    def __init__(self, ask: Ask, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._end = None if ask.budget_s is None else clock() + ask.budget_s
        self._answer = self._reserve = _ANSWER
        self._rate = 0.0
        """Seconds a unit of cost, the dearer of the last round and the mean of all."""
        self._spent = self._cost = 0.0
        self._knots = 0

    def check(self, stage: Stage) -> None:
        """Called between packets: ends a round that takes longer than it was thought to.

        Raises:
            BudgetSpent: If it is time to answer, and there is something to answer with.
        """
        if (
            self._end is not None
            and self._knots
            and stage in (Stage.AUDIO, Stage.FRAMES)
            and self._left() <= 0
        ):
            raise BudgetSpent

    @property
    def knots(self) -> int:
        """Knots decoded so far."""
        return self._knots

    @property
    def due(self) -> float:
        """When the answer is due, by the clock; infinite without a deadline."""
        return math.inf if self._end is None else self._end

    @property
    def timed(self) -> bool:
        """Whether there is a deadline."""
        return self._end is not None

    def next(self, todo: Todo, *, checked: bool) -> int:
        """How many knots the next round decodes; 0 if there is no time for more.

        Args:
            todo: What is left.
            checked: Whether the answer is looked at after the round: then rounds double what there is.
        """
        count = len(todo)
        if checked:
            count = min(count, max(FIRST_CHECK, self._knots))
        return count if self._end is None else self._affordable(todo, count)

    def decode(self, video: Video, todo: Todo, count: int) -> bool:
        """Decode the next ``count`` knots of ``todo`` and take them off; False if the time ended it."""
        part = todo.first(count)
        try:
            with self.round(todo, count):
                video.extract(part.image, part.audio)
        except BudgetSpent:
            return False
        todo.drop(count)
        return True

    @contextmanager
    def round(self, todo: Todo, count: int) -> Iterator[None]:
        """Time a round of ``count`` knots."""
        cost, begin = todo.cost(count), self._clock()
        yield
        spent = self._clock() - begin
        self._spent, self._cost = self._spent + spent, self._cost + cost
        self._rate = max(spent / cost, self._spent / self._cost)
        self._knots += count

    def keep(self, seconds: float) -> None:
        """Keep so much time besides for what follows the skimmer."""
        self._answer = self._reserve = _ANSWER + seconds

    @contextmanager
    def skim(self) -> Iterator[None]:
        """Time a run of the skimmer: the last one must be in time too, over more knots."""
        begin = self._clock()
        yield
        self._reserve = self._answer + 1.5 * (self._clock() - begin)

    def time_for(
        self, frames: TimeArray, keys: TimeArray, moments: int, seconds: float, windows: int = 0
    ) -> bool:
        """Whether something more can be done in time, after the last run of the skimmer.

        Args:
            frames: float64 [K], increasing seconds: frames to decode.
            keys: When key frames are shown.
            moments: Places in the file where those are.
            seconds: What follows decoding.
            windows: Windows of sound to hear besides.
        """
        if self._end is None:
            return True
        self._reserve = self._answer
        cost = _WALKED * float(walked(frames, keys).sum()) + _IMAGE * moments + _AUDIO * windows
        return cost * self._rate + seconds <= _ALL * self._left()

    def _left(self) -> float:
        assert self._end is not None
        return self._end - self._clock() - self._reserve

    def _affordable(self, todo: Todo, count: int) -> int:
        left = self._left()
        if not self._knots:
            return FIRST
        if todo.cost(count) * self._rate <= _ALL * left:
            return count
        low, high = 0, count  # low knots fit
        while high - low > 1:
            middle = (low + high) // 2
            fits = todo.cost(middle) * self._rate <= _PART * left
            low, high = (middle, high) if fits else (low, middle)
        return low or int(todo.cost(1) * self._rate <= _LAST * left)
