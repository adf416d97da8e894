"""Psi: what an image feature and an audio feature say together."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fusion(nn.ModuleList):
    """Psi(z^I, z^A): concat, FC, ReLU, FC. Its tensors are ``0.weight`` to ``1.bias``, as in the plan.

    Args:
        features: Size of an input and of the output (D).
        hidden: Size between the layers (F).
        inputs: How many features are fused; 1 in a visual-only skimmer.
    """

    def __init__(self, features: int, hidden: int, inputs: int = 2) -> None:
        super().__init__([nn.Linear(inputs * features, hidden), nn.Linear(hidden, features)])

    def forward(self, *features: Tensor) -> Tensor:
        """Fuse features [..., D], the image's first, to [..., D]."""
        fused: Tensor = self[1](torch.relu(self[0](torch.cat(features, dim=-1))))
        return fused
