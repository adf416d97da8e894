"""The views that are kept of a moment: what a plan sees of it, and what training may see in its place."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from l2l_engine.plan import MediaSettings
from training.clips.augment import crop_images

MOST = 4
"""Views of a moment, at most."""

_MOMENTS = 256
"""Moments of a video that are seen in more ways than one: long videos are varied enough in themselves."""


def square_side(media: MediaSettings) -> int:
    """Return the side of the square to decode, whose centre is the plan's crop to the pixel.

    Both are cut out of the same frame about its centre, rounded down; so their sides must both be even or
    both be odd.
    """
    return media.short_side - (media.short_side - media.crop) % 2


def count_views(moments: int, media: MediaSettings, *, flip: bool) -> int:
    """Return how many views are kept of each of a video's moments: 1 to ``MOST``, fewer of long videos."""
    different = MOST if square_side(media) > media.crop else 1 + flip
    return max(1, min(different, _MOMENTS // max(1, moments)))


def views_of(
    squares: Tensor, media: MediaSettings, name: str, *, count: int, flip: bool, seed: int
) -> Iterator[Tensor]:
    """Yield views of a video's moments, each uint8 [N, crop, crop, 3].

    The first is the plan's centre crop. The others are what another camera might have taken: mirrored and
    moved, moved, mirrored and from further away, alike for all moments of a video.

    Args:
        squares: uint8 [N, S, S, 3], S of :func:`square_side`.
        media: Sizes.
        name: The video's, which says with ``seed`` where its crops lie.
        count: How many views.
        flip: Whether mirrored pictures keep their class.
        seed: The run's.
    """
    yield crop_images(squares, media.crop)
    rng = np.random.default_rng((seed, crc32(name.encode())))
    spare = squares.shape[1] - media.crop
    for number in range(1, count):
        if number == 3:
            view = _shrunk(squares, media.crop)
        else:
            top, left = rng.integers(0, spare + 1, 2)
            view = squares[:, top : top + media.crop, left : left + media.crop]
        yield view.flip(2) if flip and number % 2 else view


def _shrunk(squares: Tensor, side: int) -> Tensor:
    x = squares.permute(0, 3, 1, 2).float()
    small = functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
