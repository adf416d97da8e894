"""No skimming: all pairs of a video count the same (the paper's dense baseline, for clip-only plans)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.skim.inputs import Modality
from l2l_engine.skim.pairs import Pairs, Rows, scores_of
from l2l_engine.skim.skimmer import SkimResult


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
        self._pairs = Pairs(tensors)
        self._second = tensors["fusion.1.weight"].T.astype(np.float64), tensors["fusion.1.bias"]
        self._classifier = tensors["classifier.weight"].T, tensors["classifier.bias"]

    def run(  # noqa: PLR0917 - as Skimmer.run
        self,
        image_bank: Rows | None,
        audio_bank: Rows | None,
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
        features = np.empty((count, 1, self._second[0].shape[1]), np.float32)
        banks = self._pairs.banks((image_bank, image_times), (audio_bank, audio_times), modality)
        for video in range(count):
            hidden = np.zeros(self._pairs.hidden, np.float64)
            for _, rows in self._pairs.chunks(banks, video, timestamps[video]):
                hidden += rows.sum(axis=0, dtype=np.float64)
            # The second layer is linear, so it may follow the mean.
            features[video, 0] = hidden / n @ self._second[0] + self._second[1]
        attention = np.full((count, 1, n), 1 / n, np.float32)
        logits = features[:, 0] @ self._classifier[0] + self._classifier[1]
        image, audio = banks
        return SkimResult(
            logits=logits,
            image_attention=attention if image is not None else np.zeros_like(attention),
            audio_attention=attention.copy() if audio is not None else np.zeros_like(attention),
            modality_scores=scores_of(banks, count, 1),
            step_features=features,
            step_logits=logits[:, None].copy(),
        )
