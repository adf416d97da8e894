"""What the paper lets one expect, and whether the numbers bear it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SPARSE, DENSE_OURS = "ours (sparse)", "ours (dense)"
PAPER = "paper (sparse)"
"""The paper's own skimmer, where ours is another."""
RIVALS, PAIRED = ("SCSAMPLER", "LSTM", "NON-RECURRENT"), "NON-RECURRENT, paired"
EARLY, FACTOR = 3, 5
TEACHER, DISTILLED, UNDISTILLED = "teacher", "image-audio, distilled", "image-audio, undistilled"
ALL = "100"
NOT_RUN = "not run"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expectation:
    """One of them.

    Attributes:
        claim: In words.
        met: None where something it speaks of was not run.
        found: The numbers.
    """

    claim: str
    met: bool | None
    found: str


def expectations(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all that are about video-level tables and, where there are any, the clip-level ones."""
    rows = {row["method"]: row for row in report["video"] if "top1" in row}
    found = [
        _cheaper_and_better(rows),
        *(_better(rows, SPARSE, other, report["differences"]) for other in RIVALS),
        *([_better(rows, SPARSE, PAIRED, report["differences"])] if PAIRED in rows else []),
        *(_better(rows, PAPER, other, report["differences_of_paper"]) for other in RIVALS if PAPER in rows),
        *(_early(name, report["curves"]["steps"].get(name, [])) for name in (SPARSE, DENSE_OURS)),
        _sparse(report["curves"]["factors"]),
        *_clips(report.get("clips") or {}),
    ]
    return [asdict(item) for item in found]


def _clips(report: Mapping[str, Any]) -> list[Expectation]:
    """Return what clip classifiers should do, by share of the labels: the report of ``clip_tables``."""
    shares = {
        row["method"]: {share: cell["top1"] for share, cell in row["shares"].items() if cell is not None}
        for row in report.get("rows", [])
    }
    students = {name: found for name, found in shares.items() if name != TEACHER}
    ours = students.pop(DISTILLED, {})
    return [_best_student(ours, students), _few_labels(ours, shares), _near_teacher(ours, shares)]


def _best_student(ours: Mapping[str, float], others: Mapping[str, Mapping[str, float]]) -> Expectation:
    claim = "the distilled image-audio student beats every undistilled and single-stream student"
    rivals = {
        share: max((found[share], name) for name, found in others.items() if share in found)
        for share in ours
        if any(share in found for found in others.values())
    }
    if not rivals:
        return Expectation(claim, None, NOT_RUN)
    words = [
        f"{share} % of the labels: {_share(ours[share])} against {_share(best)} ({name})"
        for share, (best, name) in rivals.items()
    ]
    return Expectation(
        claim, all(ours[share] > best for share, (best, _) in rivals.items()), "; ".join(words)
    )


def _few_labels(ours: Mapping[str, float], shares: Mapping[str, Mapping[str, float]]) -> Expectation:
    claim = "distilling helps most with few labels"
    without = shares.get(UNDISTILLED, {})
    gains = {share: 100 * (ours[share] - without[share]) for share in ours if share in without}
    if len(gains) < 2:
        return Expectation(claim, None, NOT_RUN)
    fewest, all_of_them = min(gains, key=float), max(gains, key=float)
    words = [f"{gain:+.1f} points with {share} %" for share, gain in gains.items()]
    return Expectation(claim, gains[fewest] > gains[all_of_them], "; ".join(words))


def _near_teacher(ours: Mapping[str, float], shares: Mapping[str, Mapping[str, float]]) -> Expectation:
    claim = "it comes within 5 points of the teacher"
    teacher = shares.get(TEACHER, {})
    if ALL not in ours or ALL not in teacher:
        return Expectation(claim, None, NOT_RUN)
    gap = 100 * (ours[ALL] - teacher[ALL])
    return Expectation(claim, at_least(gap, -5), f"{_share(ours[ALL])} against {_share(teacher[ALL])}")


def _cheaper_and_better(rows: Mapping[str, Row], points: float = 5, share: float = 0.25) -> Expectation:
    claim = f"ours (sparse) beats DENSE by at least {points:g} points at no more than 1/4 of its GMAC"
    ours, dense = rows.get(SPARSE), rows.get("DENSE")
    if ours is None or dense is None:
        return Expectation(claim, None, _missing(rows, SPARSE, "DENSE"))
    gained, cost = _points(ours, dense), ours["gmac"] / dense["gmac"]
    found = f"{_versus(ours, dense)}, {gained:+.1f} points, at {cost:.3f} of its GMAC"
    return Expectation(claim, at_least(gained, points) and cost <= share, found)


def _better(rows: Mapping[str, Row], name: str, other: str, differences: Mapping[str, Row]) -> Expectation:
    claim = f"{name} beats {other}"
    ours, theirs = rows.get(name), rows.get(other)
    if ours is None or theirs is None:
        return Expectation(claim, None, _missing(rows, name, other))
    ahead = differences[other]
    found = f"{_versus(ours, theirs)}, by {ahead['low']:+.1f} to {ahead['high']:+.1f} points (95 %)"
    return Expectation(claim, ours["top1"] > theirs["top1"], found)


def _early(name: str, steps: Sequence[Row]) -> Expectation:
    claim = f"three steps are within 1 point of ten, {name}"
    if len(steps) <= EARLY:
        return Expectation(claim, None, NOT_RUN)
    early, last = steps[EARLY - 1], steps[-1]
    found = f"{_percent(early)} after {early['steps']}, {_percent(last)} after {last['steps']}"
    return Expectation(claim, at_least(_points(early, last), -1), found)


def _sparse(factors: Sequence[Row]) -> Expectation:
    claim = f"factor {FACTOR} is within 1 point of dense"
    by_factor = {row["factor"]: row for row in factors}
    if not {1, FACTOR} <= by_factor.keys():
        return Expectation(claim, None, NOT_RUN)
    sparse, dense = by_factor[FACTOR], by_factor[1]
    found = f"{_percent(sparse)} at every {FACTOR}th timestamp, {_percent(dense)} at all"
    return Expectation(claim, at_least(_points(sparse, dense), -1), found)


def at_least(points: float, limit: float) -> bool:
    """Whether a difference of shares reaches a limit, whatever the last digit of a float says."""
    return points >= limit - 1e-9


def _points(ours: Row, theirs: Row) -> float:
    return 100 * float(ours["top1"] - theirs["top1"])


def _versus(ours: Row, theirs: Row) -> str:
    return f"{_percent(ours)} against {_percent(theirs)}"


def _missing(rows: Mapping[str, Row], *names: str) -> str:
    return f"{NOT_RUN}: {', '.join(name for name in names if name not in rows)}"


def _percent(row: Row) -> str:
    return _share(row["top1"])


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"
