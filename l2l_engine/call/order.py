"""In which order knots are decoded when it may end at any time: coarse to fine, and what is cheap first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AT_KEY = 1e-3
"""Seconds from a key frame within which a moment costs that frame alone."""


def spread(count: int) -> NDArray[np.int64]:
    """The numbers 0 … count-1 in an order of which every beginning is evenly spread (van der Corput's).

    The middle, then the quarters, the eighths …: after p of them no gap is larger than about twice the
    even one.

    Returns:
        int64 [count], a permutation.
    """
    bits = count.bit_length()
    ranks = np.arange(1, 2**bits)
    reversed_bits = np.zeros_like(ranks)
    for bit in range(bits):
        reversed_bits |= ((ranks >> bit) & 1) << (bits - 1 - bit)
    places = (reversed_bits * count) >> bits
    _, first = np.unique(places, return_index=True)
    order: NDArray[np.int64] = places[np.sort(first)]
    return order


def coarse_to_fine(knots: NDArray[np.float64], keys: NDArray[np.float64]) -> NDArray[np.float64]:
    """Image knots in an order in which decoding may stop anywhere.

    Knots that share a key frame are a group, decoded by walking on from it. The first knot of every group
    comes first, groups evenly spread; then the groups' others, a group at a time, groups spread in the
    same way: to take each group apart knot by knot would walk through it again and again.

    Args:
        knots: float64 [M], increasing seconds.
        keys: float64 [K], when key frames are shown; may be empty.

    Returns:
        float64 [M], the same knots in another order.
    """
    if len(keys) == 0:
        return knots[spread(len(knots))]
    group = np.searchsorted(keys, knots + AT_KEY, side="right")
    _, first, sizes = np.unique(group, return_index=True, return_counts=True)
    order = spread(len(first))
    heads = first[order]
    rest = [np.arange(first[g] + 1, first[g] + sizes[g]) for g in order]
    ordered: NDArray[np.float64] = knots[np.concatenate([heads, *rest])]
    return ordered


def walked(
    knots: NDArray[np.float64], keys: NDArray[np.float64], position: float = -np.inf
) -> NDArray[np.float64]:
    """Seconds of video that go through the decoder on the way to each of some knots.

    Args:
        knots: float64 [M], increasing seconds.
        keys: float64 [K], increasing seconds; without any, all is walked from the file's start.
        position: Where the decoder stands to begin with.

    Returns:
        float64 [M]: from the last key frame, or from the knot before if that is nearer.
    """
    if len(knots) == 0:
        return np.zeros(0)
    starts = np.concatenate([[0.0], keys])
    begin = starts[np.searchsorted(starts, knots + AT_KEY, side="right") - 1]
    before = np.concatenate([[position], knots[:-1]])
    steps: NDArray[np.float64] = np.clip(knots - np.maximum(begin, before), 0.0, None)
    return steps
