"""Preset ``evidence``: each class's evidence at every moment, smoothed over seconds, and its soft maximum.

    r_j = W Psi(z_j^I, z_j^A) + b                          what moment j says for each class, [C]
    r_j^s = mean of r_i over |t_i - t_j| <= s/2            smoothed over s seconds
    logits = sum_s a_s / b_s log(1/N sum_j exp(b_s r_j^s))

With one scale and b_s towards 0 this is the average of all moments, with b_s large the best stretch of s
seconds. A moment's share in the answer is what the answer's logit gains with its evidence,

    w_j = d logit_c / d r_jc / sum_s a_s,                  sum 1, none negative.

It has few parameters, for footage of which there are few clips (results/esc10-untrimmed.md compares it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l2l_engine.skim.inputs import Modality
from l2l_engine.skim.pairs import Bank, Pairs, Rows, scores_of
from l2l_engine.skim.skimmer import SkimResult

STEPS = 2
"""The mean of all moments, and one look at all of them."""

_Doubles = NDArray[np.float64]


class Pool(NamedTuple):
    """How evidence over time becomes one logit a class; S scales, float64 [S] each."""

    seconds: _Doubles
    sharpness: _Doubles
    weight: _Doubles

    @classmethod
    def of(cls, weights: Mapping[str, NDArray[Any]]) -> Pool:
        """Read ``pool.seconds``, ``pool.sharpness`` and ``pool.weight``.

        Raises:
            ValueError: If a number is none that a pool can have.
        """
        pool = cls(*(np.asarray(weights[f"pool.{name}"], np.float64) for name in cls._fields))
        for name, values, least in (("seconds", pool.seconds, 0.0), ("sharpness", pool.sharpness, 1e-6)):
            if not (values >= least).all():
                raise ValueError(f"pool.{name} must be at least {least:g}")
        if not ((pool.weight >= 0).all() and pool.weight.sum() > 0):
            raise ValueError("pool.weight must be positive or 0, and not all of them 0")
        return pool

    def logits(self, evidence: _Doubles, times: _Doubles) -> _Doubles:
        """Pool the evidence [N, C] at ``times`` (increasing seconds) to logits [C]."""
        found = np.zeros(evidence.shape[1])
        for seconds, sharpness, weight in zip(*self, strict=True):
            scaled = sharpness * _smooth(evidence, times, seconds)
            top = scaled.max(axis=0)
            found += weight / sharpness * (top + np.log(np.exp(scaled - top).mean(axis=0)))
        return found

    def shares(self, evidence: _Doubles, times: _Doubles) -> _Doubles:
        """What each moment adds to the logit of the class with evidence [N]: [N], sum 1."""
        found = np.zeros(len(evidence))
        for seconds, sharpness, weight in zip(*self, strict=True):
            scaled = sharpness * _smooth(evidence[:, None], times, seconds)[:, 0]
            share = np.exp(scaled - scaled.max())
            first, end = _reach(times, seconds)
            # The transpose of the smoothing: windows are symmetric, so j lies in i's where i lies in j's.
            share = _running(share / share.sum() / (end - first))
            found += weight * (share[end] - share[first])
        total: _Doubles = np.maximum(found, 0)
        total /= total.sum()
        return total


def _reach(times: _Doubles, seconds: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first timestamp within half of ``seconds``, and the first one after, of each."""
    half = seconds / 2 + 1e-6
    first, end = np.searchsorted(times, times - half), np.searchsorted(times, times + half, side="right")
    return first, end


def _smooth(evidence: _Doubles, times: _Doubles, seconds: float) -> _Doubles:
    first, end = _reach(times, seconds)
    total = _running(evidence)
    smoothed: _Doubles = (total[end] - total[first]) / (end - first)[:, None]
    return smoothed


def _running(values: _Doubles) -> _Doubles:
    return np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])


class EvidencePooler:
    """Stands where a :class:`l2l_engine.skim.Skimmer` stands. Immutable: any number of threads may run it.

    Args:
        weights: ``fusion.0`` [F, 2D] (of one modality: [F, D]), ``fusion.1`` [D, F] and ``classifier``
            [C, D], each as ``.weight`` and ``.bias``; ``pool.seconds``, ``pool.sharpness`` and
            ``pool.weight`` [S].

    Raises:
        ValueError: If a pool's number is none that it can have.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        tensors = {name: np.asarray(value, np.float64) for name, value in weights.items()}
        self._pairs = Pairs(weights)
        self._pool = Pool.of(weights)
        self._second = tensors["fusion.1.weight"].T, tensors["fusion.1.bias"]
        self._classifier = tensors["classifier.weight"].T, tensors["classifier.bias"]
        # Both layers after the ReLU are linear: one takes their place where the feature is not asked for.
        self._folded = self._second[0] @ self._classifier[0]
        self._bias = self._second[1] @ self._classifier[0] + self._classifier[1]

    def run(  # noqa: PLR0917 - as Skimmer.run
        self,
        image_bank: Rows | None,
        audio_bank: Rows | None,
        image_times: NDArray[np.float64] | None,
        audio_times: NDArray[np.float64] | None,
        timestamps: NDArray[np.float64],
        steps: int = STEPS,
        *,
        modality: Modality = "both",
    ) -> SkimResult:
        """Answer for a batch of videos; arguments as for :meth:`Skimmer.run`.

        Returns:
            Step 0 is the average of all moments, and its attention the moments' shares in the answer; after
            step 1, which sees the mean under that attention, the logits are the pooled ones. With one step
            they are the average's.

        Raises:
            ValueError: If ``steps`` is not 1 or 2, or a bank's shapes and times do not agree.
        """
        if steps not in (1, STEPS):
            raise ValueError(f"steps: evidence takes 1 or {STEPS}, not {steps}")
        count, n = timestamps.shape
        banks = self._pairs.banks((image_bank, image_times), (audio_bank, audio_times), modality)
        features = np.empty((count, steps, len(self._second[1])), np.float32)
        logits = np.empty((count, steps, len(self._bias)), np.float32)
        attention = np.empty((count, steps, n), np.float32)
        for video in range(count):
            found = self._one(banks, video, timestamps[video])
            for target, rows in zip((features, logits, attention), found, strict=True):
                target[video] = rows[:steps]
        looks = [attention if bank is not None else np.zeros_like(attention) for bank in banks]
        return SkimResult(
            logits=logits[:, -1].copy(),
            image_attention=looks[0],
            audio_attention=looks[1].copy(),
            modality_scores=scores_of(banks, count, steps),
            step_features=features,
            step_logits=logits,
        )

    def _one(
        self, banks: list[Bank | None], video: int, stamps: _Doubles
    ) -> tuple[_Doubles, _Doubles, _Doubles]:
        """Features [2, D], logits [2, C] and attention [2, N] of one video."""
        order = np.argsort(stamps, kind="stable")
        times, n = stamps[order], len(stamps)
        evidence, total = np.empty((n, len(self._bias))), np.zeros(self._pairs.hidden)
        for part, rows in self._pairs.chunks(banks, video, times):
            evidence[part] = rows @ self._folded + self._bias
            total += rows.sum(axis=0, dtype=np.float64)
        pooled = self._pool.logits(evidence, times)
        shares = self._pool.shares(evidence[:, pooled.argmax()], times)
        seen = np.zeros(self._pairs.hidden)
        for part, rows in self._pairs.chunks(banks, video, times):
            seen += shares[part] @ rows
        attention = np.empty(n)
        attention[order] = shares
        features = np.stack([total / n, seen]) @ self._second[0] + self._second[1]
        return features, np.stack([evidence.mean(axis=0), pooled]), np.stack([attention, attention])
