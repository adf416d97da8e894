"""Videos that look and sound so much alike that they are taken to be cut from one recording."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_ENOUGH = 12
"""Videos below which nobody knows what is usual, and so what is unusually alike."""
_ALIKE = 0.93
"""Cosine of mean embeddings, each number standardised over all videos, in every modality that both have."""
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
    for bank, has in ((means.image, means.has_image), (means.audio, means.has_audio)):
        both = has[:, None] & has[None, :]
        if has.sum() >= _ENOUGH:
            agree &= ~both | (_cosines(bank, has) >= _ALIKE)
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


def _cosines(bank: Tensor, has: Tensor) -> Tensor:
    rows = bank.double()
    known = rows[has]
    spread = known.std(dim=0)
    # Numbers that hardly ever change would count as much as the others.
    spread = spread.clamp_min(float(spread.mean()) * 0.1 + 1e-12)
    normed = torch.nn.functional.normalize((rows - known.mean(dim=0)) / spread, dim=1)
    return normed @ normed.T


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
