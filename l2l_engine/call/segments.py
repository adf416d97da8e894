"""From what every moment says to when it happens: scores, thresholds, stretches and their edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from l2l_engine.plan import PlanDocument, SegmentSettings
from l2l_engine.result import FloatArray, Segment, TimeArray
from l2l_engine.skim import SkimResult

_Scores = NDArray[np.float64]

_ROUNDING = 1e-6
"""Seconds by which two moments may miss a window that they were meant to lie in."""


def segments_of(
    result: SkimResult,
    logits: _Scores,
    times: TimeArray,
    document: PlanDocument,
    *,
    probabilities: FloatArray,
    end: float,
) -> tuple[Segment, ...]:
    """Find when the classes of a plan happen that tells so.

    Args:
        result: Of the skimmer, for a batch of one.
        logits: float64 [N, C], what moments show.
        times: float64 [N], seconds of the moments, in any order.
        document: The plan's.
        probabilities: float32 [C], calibrated, of the answer.
        end: Seconds that the file lasts.
    """
    settings = document.segments
    assert settings is not None
    order, attention = np.argsort(times, kind="stable"), choices(result)

    def scores_of(number: int) -> _Scores:
        # One class at a time: scores of all would take several times the memory that logits do.
        one = slice(number, number + 1)
        scores: _Scores = moment_scores(
            logits[:, one], settings, probabilities=probabilities[one], attention=attention
        )[order, 0]
        return scores

    return _found(scores_of, times[order], end, document, settings)


def choices(result: SkimResult) -> _Scores:
    """How much of what the skimmer chose each timestamp was: float64 [N], sum 1; even where it chose nothing.

    The mean over the T - 1 choices of s^I w^I + s^A w^A, which is what Eq. 8 mixes features by.

    Args:
        result: Of a batch of one.
    """
    scores = result.modality_scores[0, :-1].astype(np.float64)
    n = result.image_attention.shape[2]
    if not len(scores):
        return np.full(n, 1 / n)
    mixed = scores[:, :1] * result.image_attention[0, :-1] + scores[:, 1:] * result.audio_attention[0, :-1]
    share: _Scores = mixed.mean(axis=0)
    return share


def moment_scores(
    logits: _Scores, settings: SegmentSettings, *, probabilities: FloatArray, attention: _Scores
) -> _Scores:
    """Score 0 to 1 of every class at every moment: float64 [N, C].

    Args:
        logits: [N, C], of :class:`l2l_engine.skim.moments.MomentHead`.
        settings: The plan's.
        probabilities: [C], of the whole file, calibrated.
        attention: [N], what the skimmer chose: see :func:`choices`.
    """
    if settings.attention:
        logits = logits + settings.attention * np.log((1 + len(attention) * attention) / 2)[:, None]
    scores: _Scores = np.exp(-np.logaddexp(0.0, -logits))  # no overflow on either side
    if settings.prior:
        scores *= probabilities.astype(np.float64) ** settings.prior
    return scores


def find(scores: _Scores, times: TimeArray, end: float, document: PlanDocument) -> tuple[Segment, ...]:
    """Find the stretches in which a class happens, by start; background never does.

    A stretch holds a moment whose smoothed score is at least the class's threshold, and reaches as far as
    scores are at least ``edge`` times that; between two timestamps it begins or ends where the line between
    their scores crosses that level. Its score is the mean of its moments'.

    Args:
        scores: float64 [N, C], of :func:`moment_scores`.
        times: float64 [N], increasing seconds.
        end: Seconds that the file lasts.
        document: Of a plan that has settings for segments.
    """
    settings = document.segments
    assert settings is not None
    return _found(lambda number: scores[:, number], times, end, document, settings)


def _found(
    scores_of: Callable[[int], _Scores],
    times: TimeArray,
    end: float,
    document: PlanDocument,
    settings: SegmentSettings,
) -> tuple[Segment, ...]:
    """The segments by the scores float64 [N] of every class."""
    reach = settings.smooth_s / 2 + _ROUNDING
    near = np.searchsorted(times, times - reach), np.searchsorted(times, times + reach, side="right")
    found: list[tuple[float, float, int, float]] = []
    for number in document.foreground.tolist():
        scores = scores_of(number)
        if settings.smooth_s:
            total = _running(scores)
            scores = (total[near[1]] - total[near[0]]) / (near[1] - near[0])
        levels = settings.thresholds[number], settings.edge * settings.thresholds[number]
        for start, stop, score in _stretches(scores, times, end, levels, settings):
            found.append((start, stop, number, score))
    return tuple(
        Segment(document.classes[number], start, stop, score) for start, stop, number, score in sorted(found)
    )


def _stretches(
    scores: _Scores, times: TimeArray, end: float, levels: tuple[float, float], settings: SegmentSettings
) -> list[tuple[float, float, float]]:
    """The stretches of one class: start, end, score."""
    threshold, level = levels
    inside = np.concatenate([[False], scores >= level, [False]])
    first, stop = np.flatnonzero(np.diff(inside)).reshape(-1, 2).T
    strong = np.concatenate([[0], np.cumsum(scores >= threshold)])
    held = strong[stop] > strong[first]
    first, stop = first[held], stop[held]
    last = max(end, float(times[-1]))
    begins = _crossings(scores, times, first - 1, level, times[0]) + settings.shift_s[0]
    ends = _crossings(scores, times, stop - 1, level, last) + settings.shift_s[1]
    begins, ends = np.clip(begins, times[0], last), np.clip(ends, times[0], last)
    there = begins < ends
    first, stop, begins, ends = (values[there] for values in (first, stop, begins, ends))
    if not len(first):
        return []
    opens = np.flatnonzero(np.concatenate([[True], begins[1:] - ends[:-1] > settings.bridge_s]))
    closes = np.append(opens[1:], len(first)) - 1
    first, stop, begins, ends = first[opens], stop[closes], begins[opens], ends[closes]
    total = _running(scores)
    means = np.clip((total[stop] - total[first]) / (stop - first), 0.0, 1.0)
    long = ends - begins >= settings.least_s
    return list(zip(begins[long].tolist(), ends[long].tolist(), means[long].tolist(), strict=True))


def _crossings(
    scores: _Scores, times: TimeArray, before: NDArray[np.int64], level: float, outside: float
) -> TimeArray:
    """When scores cross a level between moments ``before`` and those after; ``outside`` past either end."""
    within = (before >= 0) & (before + 1 < len(scores))
    left = before[within]
    share = (level - scores[left]) / (scores[left + 1] - scores[left])
    found = np.full(len(before), outside)
    found[within] = times[left] + share * (times[left + 1] - times[left])
    return found


def _running(scores: _Scores) -> _Scores:
    total: _Scores = np.concatenate([[0.0], np.cumsum(scores)])
    return total
