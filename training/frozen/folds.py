"""Folds that keep together what belongs together, with the classes spread as evenly as that allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def grouped_folds(labels: Tensor, groups: Sequence[str], count: int, seed: int = 0) -> Tensor:
    """Return the fold of each video, int64 [V]; those of one group are all in one fold.

    The greatest groups are placed first, each where its classes are rarest; equal ones in an order drawn from
    ``seed``. There are fewer folds where there are fewer groups.

    Args:
        labels: bool [V, C].
        groups: The group of each video.
        count: How many folds, at least 2.
        seed: Draws the order.
    """
    members: dict[str, list[int]] = {}
    for number, group in enumerate(groups):
        members.setdefault(group, []).append(number)
    names = sorted(members)
    order = np.random.default_rng(seed).permutation(len(names))
    ranked = sorted(order.tolist(), key=lambda n: -len(members[names[n]]))
    count = max(1, min(count, len(names)))
    table = labels.double().numpy()
    held = np.zeros((count, labels.shape[1]))
    sizes = np.zeros(count)
    folds = torch.zeros(len(groups), dtype=torch.int64)
    for number in ranked:
        rows = members[names[number]]
        own = table[rows].sum(axis=0)
        crowded = (held * own).sum(axis=1)
        best = int(np.lexsort((sizes, crowded))[0])
        held[best] += own
        sizes[best] += len(rows)
        folds[rows] = best
    return folds
