"""No skimming: all pairs of a video count the same (the paper's dense baseline, for clip-only plans)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine import _native
from l2l_engine.skim.arguments import Modality
from l2l_engine.skim.skimmer import SkimResult

CHUNK = 256
"""Timestamps fused at a time: memory does not follow the length of the video."""

_Rows = NDArray[np.float32]


class Averager:
    """Stands where a :class:`l2l_engine.skim.Skimmer` stands, with fusion and classifier alone.

    m = 1/N sum_j Psi(z_j^I, z_j^A), then the classifier (Eq. 9 over all timestamps). Immutable: any number
    of threads may call :meth:`run` at once.

    Args:
        weights: ``fusion.0`` [F, 2D] (visual only: [F, D]), ``fusion.1`` [D, F] and ``classifier`` [C, D],
            each as ``.weight`` and ``.bias``.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        tensors = {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}
        self._size = len(tensors["fusion.1.weight"])
        # Split by modality: the half of an absent one costs nothing.
        first = tensors["fusion.0.weight"].T
        self._image, self._audio = first[: self._size], first[self._size :]
        self._bias = tensors["fusion.0.bias"]
        self._second = tensors["fusion.1.weight"].T.astype(np.float64), tensors["fusion.1.bias"]
        self._classifier = tensors["classifier.weight"].T, tensors["classifier.bias"]

    def run(  # noqa: PLR0917 - as Skimmer.run
        self,
        image_bank: _Rows | None,
        audio_bank: _Rows | None,
        image_times: NDArray[np.float64] | None,
        audio_times: NDArray[np.float64] | None,
        timestamps: NDArray[np.float64],
        steps: int = 1,
        *,
        modality: Modality = "both",
    ) -> SkimResult:
        """Average the pairs of a batch of videos; arguments as for :meth:`Skimmer.run`.

        Returns:
            One step, whose attention is the same for all timestamps and chose nothing.

        Raises:
            ValueError: If ``steps`` is not 1, or a bank's shapes and times do not agree.
        """
        if steps != 1:
            raise ValueError(f"steps: averaging takes one, not {steps}")
        count, n = timestamps.shape
        features = np.empty((count, 1, self._size), np.float32)
        image = None if modality == "audio" else (image_bank, image_times)
        audio = None if modality == "image" or not len(self._audio) else (audio_bank, audio_times)
        for video in range(count):
            hidden = np.zeros(len(self._bias), np.float64)
            for start in range(0, n, CHUNK):
                stamps = timestamps[video, start : start + CHUNK]
                rows = np.tile(self._bias, (len(stamps), 1))
                for bank, weight in ((image, self._image), (audio, self._audio)):
                    if bank is not None:
                        rows += _at(bank, video, stamps) @ weight
                hidden += np.maximum(rows, 0).sum(axis=0, dtype=np.float64)
            # The second layer is linear, so it may follow the mean.
            features[video, 0] = hidden / n @ self._second[0] + self._second[1]
        attention = np.full((count, 1, n), 1 / n, np.float32)
        logits = features[:, 0] @ self._classifier[0] + self._classifier[1]
        scores = np.array([image is not None, audio is not None], np.float32)
        return SkimResult(
            logits=logits,
            image_attention=attention if image is not None else np.zeros_like(attention),
            audio_attention=attention.copy() if audio is not None else np.zeros_like(attention),
            modality_scores=np.tile(scores / scores.sum(), (count, 1, 1)),
            step_features=features,
            step_logits=logits[:, None].copy(),
        )


def _at(bank: tuple[Any, Any], video: int, stamps: NDArray[np.float64]) -> _Rows:
    """A video's features at some timestamps."""
    features, times = (part[video : video + 1] for part in bank)
    rows: _Rows = _native.interpolate(features, times, stamps[None], "auto")[0]
    return rows
