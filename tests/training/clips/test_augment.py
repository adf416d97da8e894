"""What may change in a picture without changing its class."""

from __future__ import annotations

import torch

from training.clips.augment import augment_images


def brightest_channels(swap_colours: bool) -> set[int]:
    torch.manual_seed(0)
    red = torch.zeros(64, 40, 40, 3, dtype=torch.uint8)
    red[..., 0] = 255
    seen = augment_images(red, 32, swap_colours=swap_colours).float().mean(dim=(1, 2))
    # Pictures whose colour is nearly gone say nothing.
    strong = seen.amax(dim=1) - seen.amin(dim=1) > 120
    return set(seen[strong].argmax(dim=1).tolist())


def test_colours_change_places_only_where_they_may():
    assert brightest_channels(swap_colours=True) == {0, 1, 2}
    assert brightest_channels(swap_colours=False) == {0}
