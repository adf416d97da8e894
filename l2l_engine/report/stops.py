"""The places on the time axis where steps stopped: several steps may choose the same moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from l2l_engine.report.geometry import Axis
from l2l_engine.result import Moment

_FEWEST_SLOTS = 6
"""So that a few cards are not much larger than many, and stand where their moments are."""


@dataclass(frozen=True, slots=True, eq=False)
class Stop:
    """One moment of the video and the steps that chose it, in their order.

    It is the moment looked at; where nothing was looked at, the one listened to.
    """

    time: float
    moments: tuple[Moment, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """The numbers of the steps."""
        return tuple(moment.step for moment in self.moments)

    @property
    def look_at(self) -> float | None:
        """The second looked at; None without video."""
        return self.moments[0].look_at

    @property
    def numbers(self) -> str:
        """The steps as few characters as a small card has room for: ``1``, ``2–9``, ``1, 3``, ``1 +6``."""
        steps = self.steps
        first, last, more = steps[0], steps[-1], len(steps) - 1
        if more == 0:
            return str(first)
        if more == 1:
            return f"{first}, {last}"
        return f"{first}–{last}" if last - first == more else f"{first} +{more}"


def stops(moments: Iterable[Moment]) -> list[Stop]:
    """The stops of all moments, in the order of the video."""
    grouped: dict[float, list[Moment]] = {}
    for moment in moments:
        time = next((t for t in (moment.look_at, moment.listen_to) if t is not None), 0.0)
        grouped.setdefault(time, []).append(moment)
    return [Stop(time, tuple(grouped[time])) for time in sorted(grouped)]


def slots(places: list[Stop], axis: Axis) -> tuple[list[int], int]:
    """Which slot above the axis each stop's card takes, and how many slots there are.

    Cards keep their order and stand as near to their time as equal slots allow.
    """
    count = max(_FEWEST_SLOTS, len(places))
    taken: list[int] = []
    for stop in places:
        wanted = min(count - 1, int(axis.share(stop.time) * count))
        taken.append(max(wanted, taken[-1] + 1 if taken else 0))
    for place in range(len(places)):
        taken[place] = min(taken[place], count - len(places) + place)
    return taken, count
