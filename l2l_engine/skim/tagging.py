"""No skimming and no classes of one's own: what the networks themselves name, moment by moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from l2l_engine.skim.inputs import Modality
from l2l_engine.skim.skimmer import SkimResult

CHUNK = 1024
"""Moments whose scores are computed at a time."""

_Rows = NDArray[np.float32]


def tag_scores(logits: NDArray[np.floating], output: str) -> NDArray[np.float64]:
    """Scores 0 to 1 of logits, both [M, K]: by "softmax", or each tag for itself by "sigmoid"."""
    x = np.asarray(logits, np.float64)
    if output == "sigmoid":
        return np.asarray(np.exp(-np.logaddexp(0.0, -x)))  # no overflow on either side
    weights = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def scored_chunks(logits: NDArray[np.floating], output: str) -> Iterator[NDArray[np.float64]]:
    """The scores of logits [M, K], some moments at a time: memory does not follow the length of the video."""
    for start in range(0, len(logits), CHUNK):
        yield tag_scores(logits[start : start + CHUNK], output)


class Tagger:
    """Stands where a :class:`l2l_engine.skim.Skimmer` stands, for a plan whose features are logits of tags.

    A tag's score is the highest that one of the moments has: what is heard once in an hour is heard.
    Immutable: any number of threads may call :meth:`run` at once.

    Args:
        outputs: By modality: how logits become scores, and the number K of tags.
    """

    def __init__(self, outputs: Mapping[str, tuple[str, int]]) -> None:
        self._outputs = dict(outputs)

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
        """Find the highest score of every tag, in a batch of videos; arguments as for :meth:`Skimmer.run`.

        Returns:
            One step, whose attention is the same for all timestamps and chose nothing. Logits [B, C] are
            those whose sigmoid is the score: minus infinity for tags of a modality that is absent. There are
            no fused features.

        Raises:
            ValueError: If ``steps`` is not 1.
        """
        if steps != 1:
            raise ValueError(f"steps: naming tags takes one, not {steps}")
        count, n = timestamps.shape
        banks = {"image": image_bank, "audio": audio_bank}
        there = {name for name in self._outputs if banks[name] is not None and modality in ("both", name)}
        logits = np.concatenate(
            [self._highest(name, banks[name], count, name in there) for name in self._outputs], 1
        )
        flat = np.full((count, 1, n), 1 / n, np.float32)
        attention = {name: flat.copy() if name in there else np.zeros_like(flat) for name in banks}
        votes = np.array([name in there for name in banks], np.float32)
        return SkimResult(
            logits=logits,
            image_attention=attention["image"],
            audio_attention=attention["audio"],
            modality_scores=np.tile(votes / max(votes.sum(), 1), (count, 1, 1)),
            step_features=np.zeros((count, 1, 0), np.float32),
            step_logits=logits[:, None].copy(),
        )

    def _highest(self, name: str, bank: _Rows | None, count: int, present: bool) -> _Rows:
        output, tags = self._outputs[name]
        if bank is None or not present:
            return np.full((count, tags), -np.inf, np.float32)
        highest = np.stack(
            [np.max([scores.max(axis=0) for scores in scored_chunks(rows, output)], axis=0) for rows in bank]
        )
        with np.errstate(divide="ignore"):  # a score may round to 0 or to 1
            return np.asarray(np.log(highest) - np.log1p(-highest), np.float32)
