"""The image encoder: a frame's bytes in, z^I out. Pre-processing is part of the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.backbones import RESNET, build_backbone, load_published, published_classifier
from training.models.encoder import FeatureEncoder
from training.models.inputs import image_side


class ImageEncoder(FeatureEncoder):
    """An image backbone, ResNet-18 by default, on RGB frames: uint8 [B, H, W, 3] to [B, features].

    Args:
        width: Factor on the trunk's channels; ResNet-18's feature has ``512 * width`` numbers by default.
        features: Size of z^I; a linear layer is added where the trunk's differs.
        name: The name of the backbone, see :func:`build_backbone`.
        side: Pixels of the square that frames are resized to; as they come by default, or as large as the
            backbone must have them.

    Attributes:
        side: Pixels of the square that it is best shown; frames of another size are taken too.

    Raises:
        InputError: If there is no such backbone, or not of that width or side.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        width: float = 1.0,
        features: int | None = None,
        *,
        name: str = RESNET,
        side: int | None = None,
    ) -> None:
        super().__init__()
        self._backbone = build_backbone(name, width)
        self._name, self._side = name, side or self._backbone.side
        self.side = image_side(name, side)
        self.trunk = self._backbone.network
        self._finish(self._backbone.features, features)
        mean = 255 * torch.tensor(self._backbone.mean).view(1, 3, 1, 1)
        std = 255 * torch.tensor(self._backbone.std).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", 1 / std, persistent=False)

    def start_from(self, weights: str) -> None:
        """Begin with published ImageNet weights, see :func:`load_published`.

        Raises:
            InputError: If they are not there, or are another network's.
        """
        load_published(self._backbone, self._name, weights)

    def published_classifier(self, weights: str) -> nn.Linear:
        """Return what the network's makers put behind it: from the embedding to ImageNet's 1,000 logits.

        Raises:
            InputError: If the weights are not there, or are another network's.
        """
        return published_classifier(self._backbone, self._name, weights)

    def front(self, inputs: Tensor) -> Tensor:
        """Pre-process, in float32 whatever the precision of the rest."""
        # The cast comes first because TensorRT does nothing else on uint8.
        x = inputs.to(torch.float32).permute(0, 3, 1, 2)
        if self._side is not None and x.shape[2:] != (self._side, self._side):
            x = functional.interpolate(x, size=(self._side, self._side), mode="bilinear")
        return (x - self.mean) * self.scale
