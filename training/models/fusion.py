"""Psi: what an image feature and an audio feature say together."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fusion(nn.ModuleList):
    """Psi(z^I, z^A): concat, FC, ReLU, FC. Its tensors are ``0.weight`` to ``1.bias``, as in the plan.

    Args:
        features: Size of either input and of the output (D).
        hidden: Size between the layers (F).
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__([nn.Linear(2 * features, hidden), nn.Linear(hidden, features)])

    def forward(self, image: Tensor, audio: Tensor) -> Tensor:
        """Fuse [..., D] and [..., D] to [..., D]."""
        return self[1](torch.relu(self[0](torch.cat([image, audio], dim=-1))))
