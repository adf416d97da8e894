"""The ResNet-18 trunk both encoders share, at any width."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

STAGES = (64, 128, 256, 512)
"""Channels of the four stages at width 1."""


class ResNetTrunk(nn.Module):
    """ResNet-18 without its classifier: images in, one pooled feature row out.

    The modules carry torchvision's names, so at width 1 its ImageNet weights load as they are.

    Args:
        channels: Channels of the input.
        width: Factor on the channels of every stage.
        stem_stride: Stride of the first convolution; 1 keeps small inputs larger for longer.
    """

    def __init__(self, channels: int, width: float, *, stem_stride: int = 2) -> None:
        super().__init__()
        stages = [max(8, round(stage * width)) for stage in STAGES]
        self.features = stages[-1]
        self.conv1 = nn.Conv2d(channels, stages[0], 7, stride=stem_stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stages[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(stages[0], stages[0], 1)
        self.layer2 = _stage(stages[0], stages[1], 2)
        self.layer3 = _stage(stages[1], stages[2], 2)
        self.layer4 = _stage(stages[2], stages[3], 2)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BasicBlock):
                # A block starts as the identity, which lets the narrow trunks train from scratch.
                nn.init.zeros_(module.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [B, channels, height, width] into [B, features]."""
        return torch.mean(self.maps(x), dim=(2, 3))

    def maps(self, x: Tensor) -> Tensor:
        """Return the last stage's maps [B, features, height', width'], before they are pooled."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return maps


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
        )
    return nn.Sequential(BasicBlock(inputs, outputs, stride, shortcut), BasicBlock(outputs, outputs))
