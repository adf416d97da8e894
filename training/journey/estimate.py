"""How long it will take from a folder to a plan: estimated before, told as it runs, kept for the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

_Item = TypeVar("_Item")

HD = 1280 * 720 * 30
"""Pixels a second of 720p: decoding them costs about as much as embedding a second of it."""
_CHUNK = 120.0
"""Seconds between two words on how long it will still take."""


def weight(duration: float, pixels: float) -> float:
    """Return what a video costs to decode and embed, in seconds of footage of no pixels.

    Args:
        duration: Seconds.
        pixels: Pixels of a second; 0 for sound alone.
    """
    return duration * (1 + pixels / HD)


def spread(weights: Sequence[float], count: int) -> list[int]:
    """Return the numbers of ``count`` items, small ones, large ones and between, to measure by."""
    order = sorted(range(len(weights)), key=lambda number: (weights[number], number))
    places = [round((step + 0.5) / count * len(order) - 0.5) for step in range(min(count, len(order)))]
    return [order[place] for place in dict.fromkeys(places)]


@dataclass(slots=True)
class Clock:
    """Estimates and true seconds by step.

    Attributes:
        expected: Estimated seconds of each step, as they were before it began.
        taken: True seconds of each step in this run.
        now: The clock; another one in tests.
        say: Tells a line.
    """

    expected: dict[str, float] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    now: Callable[[], float] = time.monotonic
    say: Callable[[str], None] = lambda line: print(line, flush=True)

    def expect(self, **seconds: float) -> None:
        """Set the estimates of steps, and tell the sum."""
        self.expected |= seconds
        self.say(f"== about {minutes(self.left())} from here to the plan")

    def left(self) -> float:
        """Return the estimated seconds of the steps that have not ended."""
        return sum(value for name, value in self.expected.items() if name not in self.taken)

    def run(self, name: str, work: Callable[[], _Item]) -> _Item:
        """Do a step, and take its time."""
        about = f", about {minutes(self.left())} left" if self.expected else ""
        self.say(f"== {name}{about}")
        start = self.now()
        result = work()
        self.taken[name] = self.taken.get(name, 0.0) + self.now() - start
        self.say(f"== {name}: {self.taken[name]:.0f} s")
        return result

    def report(self) -> dict[str, float | dict[str, float]]:
        """Return the estimate and the truth: sums over the steps that were estimated."""
        known = [name for name in self.expected if name in self.taken]
        return {
            "expected": round(sum(self.expected[name] for name in known), 1),
            "taken": round(sum(self.taken[name] for name in known), 1),
            "steps": {name: round(self.expected[name], 1) for name in known},
        }


def minutes(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def measured_chunks(
    items: Sequence[_Item],
    weights: Sequence[float],
    clock: Clock,
    begin: Callable[[float], None],
    workers: int,
) -> Iterator[list[_Item]]:
    """Yield all items in parts; the time that the first ones take tells how long the others will.

    The first part is a single item, which pays for what is paid once for all; the second another one, which
    tells what is paid once a part, such as starting processes; the third some of all sizes; then come the
    others, about as many at a time as take ``_CHUNK`` seconds.

    Args:
        items: What the caller works on, part after part.
        weights: What each costs, in any unit.
        begin: Is told the estimated seconds of all that is left, once the first parts have been measured.
        workers: How many are worked on at a time.
    """
    pace, rest = _Pace(clock, max(1, workers)), list(range(len(items)))
    for count in (1, 1, 4 * max(1, workers)):
        chosen = [rest[number] for number in spread([weights[n] for n in rest], count)]
        rest = [number for number in rest if number not in chosen]
        if chosen:
            start = clock.now()
            yield [items[number] for number in chosen]
            pace.learn(clock.now() - start, [weights[number] for number in chosen])
    begin(pace.seconds(weights[number] for number in rest))
    while rest:
        part = _part(rest, weights, pace.each)
        start = clock.now()
        yield [items[number] for number in part]
        rest = rest[len(part) :]
        pace.learn(clock.now() - start, [weights[number] for number in part])
        if rest:
            left = minutes(pace.seconds(weights[number] for number in rest))
            clock.say(f"{len(items) - len(rest)} of {len(items)} videos, about {left} left of this step")


@dataclass(slots=True)
class _Pace:
    """What an item costs, and what a part costs beside its items, as far as parts have told.

    Attributes:
        clock: The clock.
        workers: How many items are worked on at a time.
        each: Seconds a unit of weight, where all work.
        extra: Seconds a part.
        parts: How many parts have told.
    """

    clock: Clock
    workers: int
    each: float = 0.0
    extra: float = 0.0
    parts: int = 0

    def learn(self, seconds: float, weights: Sequence[float]) -> None:
        """Learn from a part."""
        self.parts += 1
        total = sum(weights)
        if self.parts == 2:
            # One item, one worker; how much of it is the item is not known yet.
            self.each, self.extra = seconds / total / self.workers, seconds
        elif self.parts == 3:
            alone = self.each * self.workers  # a unit of weight in the second part, with all that was beside
            single = self.extra / alone
            gained = seconds - self.extra
            self.each = max(gained, 0.05 * seconds) / max(total - self.workers * single, 0.5 * total)
            self.extra = max(0.0, self.extra - self.each * self.workers * single)
        elif self.parts > 3:
            self.each = (self.each + max(0.0, seconds - self.extra) / total) / 2

    def seconds(self, weights: Iterable[float]) -> float:
        """Return the seconds that items will take."""
        alone = self.each * sum(weights)
        return alone + self.extra * -(-alone // _CHUNK)


def _part(rest: Sequence[int], weights: Sequence[float], each: float) -> list[int]:
    total, part = 0.0, []
    for number in rest:
        part.append(number)
        total += each * weights[number]
        if total >= _CHUNK:
            break
    return part


def frozen_estimate(videos: int, folds: int) -> dict[str, float]:
    """Return estimated seconds of what comes after the embeddings, by a run with 320 videos."""
    head = 10 + 0.15 * videos
    return {"head": head, "export": 25.0, "score": max(20.0, folds * head)}
