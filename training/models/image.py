"""The image encoder: a frame's bytes in, z^I out. Pre-processing is part of the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.models.resnet import ResNetTrunk

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ImageEncoder(nn.Module):
    """ResNet-18 on RGB frames.

    Args:
        width: Factor on the trunk's channels; the feature has ``512 * width`` numbers by default.
        features: Size of z^I; a linear layer is added where the trunk's differs.
    """

    def __init__(self, width: float = 1.0, features: int | None = None) -> None:
        super().__init__()
        self.trunk = ResNetTrunk(3, width)
        self.features = features or self.trunk.features
        same = self.features == self.trunk.features
        self.project = nn.Identity() if same else nn.Linear(self.trunk.features, self.features)
        mean = 255 * torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
        std = 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", 1 / std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Encode uint8 [B, H, W, 3] to [B, features]."""
        return self.body(self.front(images))

    def front(self, images: Tensor) -> Tensor:
        """Pre-processing, in float32 whatever the precision of the rest."""
        # The cast comes first because TensorRT does nothing else on uint8.
        return (images.to(torch.float32).permute(0, 3, 1, 2) - self.mean) * self.scale

    def body(self, x: Tensor) -> Tensor:
        """The network proper."""
        return self.project(self.trunk(x))
