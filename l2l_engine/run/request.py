"""What one call asks for, and how it is watched."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TypeVar

from l2l_engine.result import FloatArray, TimeArray, Timings

_T = TypeVar("_T")

Report = Callable[[str, float], None]


class Stopwatch:
    """Adds up seconds of work by stage, from any number of threads, for ``Timings``."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._lock = threading.Lock()
        self._seconds = dict.fromkeys((f.name for f in fields(Timings)), 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside the block for ``name``."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - begin
            with self._lock:
                self._seconds[name] += spent

    def each(self, name: str, items: Iterable[_T]) -> Iterator[_T]:
        """Count the time to make each item for ``name``, and not what is done with it."""
        waiting = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(waiting)
                except StopIteration:
                    return
            yield item

    def timings(self) -> Timings:
        """The stages so far; ``total`` is the time since this stopwatch was made."""
        return Timings(**(self._seconds | {"total": time.perf_counter() - self._begin}))


@dataclass(frozen=True, slots=True)
class Request:
    """What one call of ``predict`` asks for."""

    name: str
    report: Report
    """Called every few milliseconds with the stage and its progress, in the thread of the call; raises to
    stop."""
    watch: Stopwatch
    due: float = math.inf
    """When an answer is due, by ``time.perf_counter``."""


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Features at the knots of one modality: float32 [M, D] at float64 [M] seconds, increasing."""

    features: FloatArray
    times: TimeArray
