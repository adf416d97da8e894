"""What every moment says for each class, by itself: fused features of all timestamps, and a linear head.

    h_j = ReLU(W_0 [z_j^I, z_j^A] + b_0)     fusion's hidden layer; banks joined first with preset ``paired``
    r_j = V h_j + v                          C logits a timestamp

The skimmer's classifier reads what an LSTM made of several moments, so that it does not know what one moment
says; the head is learnt for that. Where a classifier of single moments is there already, V = W W_1 is it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine import _native
from l2l_engine.skim.inputs import Modality
from l2l_engine.skim.pairs import CHUNK, Bank, Pairs, Rows

_Weights = Mapping[str, NDArray[Any]]
_Times = NDArray[np.float64]
Knots = tuple[Rows, _Times]
"""Features float32 [M, D] of one modality of one video, and their times float64 [M], increasing seconds."""


class MomentHead:
    """Says which classes a moment shows. Immutable: any number of threads may use it at once.

    Args:
        weights: ``fusion.0`` [F, 2D] (of one modality: [F, D]), ``moment`` [C, F], each as ``.weight`` and
            ``.bias``, and ``fusion.1.weight`` [D, F]; of preset ``paired`` also its ``pair_`` tensors.
    """

    def __init__(self, weights: _Weights) -> None:
        self._fusion = _Fusion(weights)
        self._weight = np.ascontiguousarray(weights["moment.weight"], np.float32).T
        self._bias = np.asarray(weights["moment.bias"], np.float64)
        self.seconds = self._try(len(weights["fusion.1.weight"]))
        """What it takes for one moment, about."""

    def logits(self, image: Knots | None, audio: Knots | None, timestamps: _Times) -> NDArray[np.float64]:
        """Say it of the moments at ``timestamps`` (float64 [N], seconds): logits [N, C].

        Args:
            image, audio: Features at the knots; at most one may be None.
            timestamps: float64 [N], seconds.
        """
        found = np.empty((len(timestamps), len(self._bias)))
        for part, rows in self._fusion.chunks(image, audio, timestamps):
            found[part] = rows @ self._weight + self._bias
        return found

    def _try(self, features: int) -> float:
        knots, times = (np.zeros((1, features), np.float32), np.zeros(1)), np.arange(CHUNK, dtype=np.float64)
        self.logits(knots, knots, times)  # the first run prepares for those that follow
        begin = time.perf_counter()
        self.logits(knots, knots, times)
        return (time.perf_counter() - begin) / CHUNK


def fused_rows(weights: _Weights, image: Knots | None, audio: Knots | None, timestamps: _Times) -> Rows:
    """What the head reads of every moment: float32 [N, F]; arguments as for :class:`MomentHead`."""
    fusion = _Fusion(weights)
    rows = np.empty((len(timestamps), fusion.hidden), np.float32)
    for part, some in fusion.chunks(image, audio, timestamps):
        rows[part] = some
    return rows


class _Fusion:
    """Fusion's first layer over time, after the joining where there is one."""

    def __init__(self, weights: _Weights) -> None:
        self._pairs = Pairs(weights)
        self.hidden = self._pairs.hidden
        self._joining: dict[str, list[Rows]] = {
            modality: [
                np.ascontiguousarray(weights[f"pair_{modality}.{layer}.{kind}"], np.float32).T
                for layer in (0, 1)
                for kind in ("weight", "bias")
            ]
            for modality in ("image", "audio")
            if f"pair_{modality}.0.weight" in weights
        }

    def chunks(
        self, image: Knots | None, audio: Knots | None, timestamps: _Times
    ) -> Iterator[tuple[slice, Rows]]:
        """Yield which timestamps come next, and their rows float32 [., F]."""
        if self._joining:
            image, audio = self._joined("image", image, audio), self._joined("audio", audio, image)
        modality: Modality = "both" if image and audio else "image" if image else "audio"
        banks = self._pairs.banks(_batched(image), _batched(audio), modality)
        return self._pairs.chunks(banks, 0, timestamps)

    def _joined(self, modality: str, own: Knots | None, other: Knots | None) -> Knots | None:
        """z + Psi^m(z^I, z^A at its time); what is missing counts as zeros."""
        if own is None:
            return None
        rows, times = own
        there = np.zeros_like(rows) if other is None else _at(other, times)
        first, first_bias, second, second_bias = self._joining[modality]
        both = np.concatenate([rows, there] if modality == "image" else [there, rows], axis=1)
        return rows + (np.maximum(both @ first + first_bias, 0) @ second + second_bias), times


def _batched(knots: Knots | None) -> Bank | None:
    return None if knots is None else (knots[0][None], knots[1][None])


def _at(knots: Knots, times: _Times) -> Rows:
    rows: Rows = _native.interpolate(knots[0][None], knots[1][None], times[None], "auto")[0]
    return rows
