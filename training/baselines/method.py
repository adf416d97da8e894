"""What a row of Table 1 is: a way to classify a video from features of its pairs, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from training.skimming.sequences import Track


class Encoded(NamedTuple):
    """How much of a video the encoders must encode."""

    images: int
    windows: int


class Method(Protocol):
    """One way to classify untrimmed videos (paper 4.2), the skimmer's among them.

    Attributes:
        name: The row's name, unique within a table.
    """

    @property
    def name(self) -> str:
        """The row's name."""

    def scores(self, tracks: Sequence[Track]) -> Tensor:
        """Return scores float32 [V, C] from 0 to 1: the greatest is the answer, and mAP ranks videos by them.

        They do not depend on what other videos are asked at the same time.
        """

    def pairs(self, track: Track) -> Encoded:
        """Return how many images and windows of sound must be encoded for this video."""


@torch.no_grad()
def network_macs(method: Method, track: Track) -> int:
    """Return the multiply-adds for one video after the encoders, as PyTorch's counter finds them."""
    with FlopCounterMode(display=False) as counter:
        method.scores([track])
    operations: int = counter.get_total_flops()
    return operations // 2
