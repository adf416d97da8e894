"""How one call is watched: what it costs by stage, how far it is, and whether it is time to stop."""

from __future__ import annotations

import enum
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TypeVar

from l2l_engine.result import Timings

_T = TypeVar("_T")

Progress = Callable[[str, float], None]
"""Called as ``progress(stage, done)``, done from 0 to 1; what it raises ends the prediction."""


class Stage(str, enum.Enum):
    """What a call is at; the values are the fields of ``Timings``, and what ``progress`` is told."""

    PROBE = "probe"
    AUDIO = "audio"
    FRAMES = "frames"
    ENCODE = "encode"
    SKIM = "skim"


class Stopwatch:
    """Adds up seconds of work by stage, from any number of threads, for ``Timings``."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._lock = threading.Lock()
        self._seconds = {f.name: 0.0 for f in fields(Timings)}

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Count the time inside the block for a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - begin
            with self._lock:
                self._seconds[stage.value] += spent

    def each(self, stage: Stage, items: Iterable[_T]) -> Iterator[_T]:
        """Count the time it takes to make each item for a stage, but not what is done with the item."""
        waiting = iter(items)
        while True:
            with self.stage(stage):
                try:
                    item = next(waiting)
                except StopIteration:
                    return
            yield item

    def timings(self) -> Timings:
        """The stages so far; ``total`` is the time since this stopwatch was made."""
        return Timings(**(self._seconds | {"total": time.perf_counter() - self._begin}))


def _never(stage: Stage) -> None:
    """Nothing stops this call."""


def _nobody(stage: Stage, done: float) -> None:
    """Nobody is told how far this call is."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Watches one call; ``check`` and ``progress`` are called in the call's own thread alone.

    Attributes:
        name: The file's name, for messages.
        check: Returns quickly, or raises what stops the call: a deadline, a budget, a caller who is gone.
        progress: Told the stage and how much of it is done, from 0 to 1.
        due: When an answer is due, by ``time.perf_counter``; infinite without a budget.
        stopwatch: Adds up the time of each stage.
    """

    name: str
    check: Callable[[Stage], None] = _never
    progress: Callable[[Stage, float], None] = _nobody
    due: float = math.inf
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    def tick(self, stage: Stage, done: float) -> None:
        """Check, then tell: what a waiting caller does every few milliseconds."""
        self.check(stage)
        self.progress(stage, done)
