"""Times ours and its peers in turn, so that a busy machine is as busy for each, and keeps what came out."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something to time.

    Attributes:
        seconds: Runs it once and returns the seconds to count.
        rounds: How often at most; a slow one need not run in every round.
    """

    seconds: Callable[[], float]
    rounds: int | None = None


def wall(work: Callable[[], object], rounds: int | None = None) -> Contestant:
    """Counts wall-clock seconds."""

    def seconds() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return Contestant(seconds, rounds)


def interleave(
    contestants: Mapping[str, Contestant], rounds: int, warmups: int = 1
) -> dict[str, list[float]]:
    """Return each contestant's seconds by round, after turns that warm up those without own limits."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    enabled = gc.isenabled()
    try:
        for turn in range(-warmups, rounds):
            for name, contestant in contestants.items():
                least = contestant.rounds if contestant.rounds is not None else rounds
                if turn >= least or (turn < 0 and contestant.rounds is not None):
                    continue
                gc.collect()
                gc.disable()
                seconds = contestant.seconds()
                gc.enable()
                if turn >= 0:
                    samples[name].append(seconds)
    finally:
        if enabled:
            gc.enable()
    return samples


@dataclass(frozen=True, slots=True)
class Check:
    """A target, and what was measured."""

    what: str
    value: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the target was reached."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the results file."""
        sense = "at least" if self.at_least else "at most"
        value = float(f"{self.value:.4g}")
        return {"what": self.what, "value": value, "target": f"{sense} {self.bound:g}", "met": self.met}


@dataclass(slots=True)
class Case:
    """One row of a table: medians, ratios, targets, and what explains them."""

    section: str
    name: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    not_run: str | None = None

    def median(self, name: str = OURS) -> float:
        """Return median seconds of a contestant."""
        return statistics.median(self.samples[name])

    def faster_than(self, peer: str, bound: float | None = None) -> float:
        """Return the peer's median over ours, which should be at least ``bound`` if there is one."""
        ratio = self.median(peer) / self.median()
        self._hold(f"{peer} / ours", ratio, bound, at_least=True)
        return ratio

    def within(self, peer: str, bound: float | None = None) -> float:
        """Return our median over the peer's, which should be at most ``bound`` if there is one."""
        ratio = self.median() / self.median(peer)
        self._hold(f"ours / {peer}", ratio, bound, at_least=False)
        return ratio

    def require(
        self, what: str, value: float, *, at_least: float | None = None, at_most: float | None = None
    ) -> None:
        """Hold any other number to a target."""
        self._hold(what, value, at_least if at_most is None else at_most, at_least=at_most is None)

    def _hold(self, what: str, value: float, bound: float | None, *, at_least: bool) -> None:
        self.details.setdefault("ratios", {})[what] = float(f"{value:.4g}")
        if bound is not None:
            self.checks.append(Check(what, value, bound, at_least))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the results file: seconds to four digits."""
        if self.not_run is not None:
            return {"not_run": self.not_run}
        seconds = {
            name: {
                "median": float(f"{statistics.median(values):.4g}"),
                "fastest": float(f"{min(values):.4g}"),
                "slowest": float(f"{max(values):.4g}"),
                "rounds": len(values),
            }
            for name, values in self.samples.items()
            if values
        }
        return {"seconds": seconds, "targets": [check.to_dict() for check in self.checks], **self.details}
