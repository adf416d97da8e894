"""Videos that look and sound so much alike that they are taken to be cut from one recording."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_ENOUGH = 16
"""Videos below which nobody knows what is usual, and so what is unusually alike."""
_ALIKE, _ALIKE_ALONE = 0.9, 0.95
"""Cosine of whitened mean embeddings where pictures and sound agree, and where there is but one of them.

Of 320 sounds of ESC-10, one pair of 80,000 from different recordings comes up to the latter."""
_MOST_SIZES = 50
_CHANCE = 0.05
"""How many pairs of unrelated videos may come up to the bound in all."""
_MOST = 0.2
"""Share of a class above which a group means that these embeddings do not tell this footage apart."""


@dataclass(frozen=True, slots=True)
class Means:
    """What videos look and sound like, on average.

    Attributes:
        names: Of the V videos.
        labels: Their (first) classes.
        image, audio: float32 [V, E].
        has_image, has_audio: bool [V].
    """

    names: Sequence[str]
    labels: Sequence[str]
    image: Tensor
    audio: Tensor
    has_image: Tensor
    has_audio: Tensor


@dataclass(frozen=True, slots=True)
class Alike:
    """Groups of near-duplicates, and those that were too large to be believed.

    Attributes:
        groups: Names of the videos of each.
        doubted: The same of groups that hold a large part of a class.
    """

    groups: list[list[str]]
    doubted: list[list[str]]


def near_duplicates(means: Means) -> Alike:
    """Find videos that are nearly the same.

    Of pictures and sound both must agree, where both videos have both: one camera on one tripod gives two
    actions the same picture, and all silence sounds alike.
    """
    count = len(means.names)
    if count < _ENOUGH:
        return Alike([], [])
    agree = torch.ones(count, count, dtype=torch.bool)
    told = torch.zeros(count, count, dtype=torch.bool)
    banks = ((means.image, means.has_image), (means.audio, means.has_audio))
    twice = means.has_image & means.has_audio
    for bank, has in banks:
        both = has[:, None] & has[None, :]
        if has.sum() >= _ENOUGH:
            cosines, least = _cosines(bank, has)
            alone = cosines >= max(least, _ALIKE_ALONE)
            agree &= ~both | alone | (twice[:, None] & twice[None, :] & (cosines >= max(least, _ALIKE)))
            told |= both
        else:
            agree &= ~both
    agree &= told
    agree.fill_diagonal_(False)
    sizes = Counter(means.labels)
    groups: list[list[str]] = []
    doubted: list[list[str]] = []
    for members in _components(agree):
        own = Counter(means.labels[number] for number in members)
        large = any(held > max(3, _MOST * sizes[label]) for label, held in own.items())
        (doubted if large else groups).append([means.names[number] for number in members])
    return Alike(groups, doubted)


def _cosines(bank: Tensor, has: Tensor) -> tuple[Tensor, float]:
    """Return cosines of whitened rows [V, V], and what unrelated ones do not come up to by chance.

    In the coordinates in which videos differ most, each brought to the same spread, what a class has in
    common counts no more than anything else that two videos may have in common.
    """
    known = bank[has].double()
    left, sizes, _ = torch.linalg.svd(known - known.mean(dim=0), full_matrices=False)
    count = len(known)
    kept = max(2, min(_MOST_SIZES, count // 4, int((sizes > sizes[0] * 1e-6).sum())))
    rows = torch.zeros(len(bank), kept, dtype=torch.float64)
    rows[has] = torch.nn.functional.normalize(left[:, :kept], dim=1)
    # Of directions drawn at random, a cosine of c and more has a chance of less than (1 - c^2)^((k - 1) / 2).
    share = _CHANCE / (count * count / 2)
    return rows @ rows.T, math.sqrt(1 - share ** (2 / (kept - 1)))


def _components(agree: Tensor) -> list[list[int]]:
    """Return the sets of two and more that are joined by pairs, in order."""
    parent = list(range(len(agree)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for one, other in np.argwhere(np.triu(agree.numpy())).tolist():
        parent[max(root(one), root(other))] = min(root(one), root(other))
    found: dict[int, list[int]] = defaultdict(list)
    for number in range(len(agree)):
        found[root(number)].append(number)
    return [members for members in found.values() if len(members) > 1]


def united(groups: Mapping[str, str], alike: Sequence[Sequence[str]]) -> dict[str, str]:
    """Join groups by name of which videos are alike.

    Args:
        groups: The group of each video, by its name.
        alike: Names of videos that belong together.

    Returns:
        The group of each video; a joined one is called as its first in order.
    """
    names = dict(groups)
    for members in alike:
        together = {names[name] for name in members}
        names = {name: min(together) if group in together else group for name, group in names.items()}
    return names
