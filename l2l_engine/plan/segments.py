"""How segments are found in the scores of moments: settings that are learnt on videos that tell when."""

from __future__ import annotations

from dataclasses import dataclass

from l2l_engine.plan.checks import is_number, require

_LONGEST = 3600.0
"""Seconds that any of the settings may be."""


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """When a class counts as happening, and how moments become stretches (docs/plan.md).

    Attributes:
        thresholds: By class, above 0 and at most 1: the score of a moment at which the class happens. Those
            of background classes count for nothing.
        edge: Above 0 and at most 1. A stretch holds a moment at the threshold, and reaches as far as scores
            are at least this share of it.
        smooth_s: Scores are averaged over so many seconds before that.
        bridge_s: Stretches of one class that are at most so many seconds apart are one.
        least_s: Stretches shorter than this are none.
        shift_s: Seconds added to the (starts, ends): a window of sound is heard from its timestamp on, so
            that scores rise before what is heard begins.
        prior: A moment's score is what the moment says, times the probability of the class for the whole file
            to this power.
        attention: How many times the logarithm of a moment's share in what the skimmer chose, over an even
            share, is added to its logits.
    """

    thresholds: tuple[float, ...]
    edge: float = 1.0
    smooth_s: float = 0.0
    bridge_s: float = 0.0
    least_s: float = 0.0
    shift_s: tuple[float, float] = (0.0, 0.0)
    prior: float = 0.0
    attention: float = 0.0

    def __post_init__(self) -> None:
        given: object = self.thresholds  # JSON may hold anything
        thresholds: tuple[object, ...] = given if isinstance(given, tuple) else ()
        good = bool(thresholds) and all(is_number(t) and 0 < t <= 1 for t in thresholds)  # type: ignore[operator]
        require(good, "segments.thresholds must be numbers above 0 and at most 1, one a class")
        require(is_number(self.edge) and 0 < self.edge <= 1, f"segments.edge is {self.edge!r}")
        for name in ("smooth_s", "bridge_s", "least_s"):
            seconds = getattr(self, name)
            good = is_number(seconds) and 0 <= seconds <= _LONGEST
            require(good, f"segments.{name} is {seconds!r}")
        shifts: object = self.shift_s
        both: tuple[object, ...] = shifts if isinstance(shifts, tuple) else ()
        good = len(both) == 2 and all(is_number(s) and abs(s) <= _LONGEST for s in both)  # type: ignore[arg-type]
        require(good, f"segments.shift_s is {shifts!r}, which is no pair of seconds")
        for name in ("prior", "attention"):
            power = getattr(self, name)
            require(is_number(power) and 0 <= power <= 100, f"segments.{name} is {power!r}")
