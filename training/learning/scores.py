"""How well scores fit labels: top-1 and mean average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores beside the truth.

    Attributes:
        scores: float [N, C], the greater the surer.
        labels: bool [N, C].
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.bool_]


def top1(scored: Scored) -> float:
    """Return the share of rows whose greatest score is at one of their labels."""
    best = scored.scores.argmax(axis=1)
    return float(scored.labels[np.arange(len(best)), best].mean())


def mean_average_precision(scored: Scored) -> float:
    """Return the mean over the classes that occur of the average precision of their ranking."""
    precisions = [
        average_precision(scored.scores[:, c], scored.labels[:, c])
        for c in range(scored.labels.shape[1])
        if scored.labels[:, c].any()
    ]
    return float(np.mean(precisions))


def auroc(of_true: NDArray[np.floating[Any]], of_others: NDArray[np.floating[Any]]) -> float:
    """Return how often a true one scores higher than another one; equal scores count half."""
    if not len(of_true) or not len(of_others):
        return float("nan")
    others = np.sort(of_others)
    below, upto = (np.searchsorted(others, of_true, side=side) for side in ("left", "right"))
    return float((below + upto).mean() / (2 * len(others)))


def average_precision(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> float:
    """Return the mean, over the true rows, of the share of true ones among the rows ranked no lower.

    Rows of equal scores are ranked together, so that their order does not matter.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], labels[order]
    last = np.searchsorted(-ranked, -ranked, side="right")  # how many are ranked no lower than each
    return float((np.cumsum(right)[last - 1] / last)[right].mean())
