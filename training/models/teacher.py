"""The teacher: R(2+1)D-18 on 16 frames (paper 3.2), at any width, with the classifier of its universe."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D

from training.errors import InputError
from training.models.resnet import STAGES

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)
KINETICS_FILE = "r2plus1d_18-91a641e6.pth"
"""The name under which torchvision publishes its Kinetics-400 weights."""
_STEM = 45


class Teacher(nn.Module):
    """R(2+1)D-18: clips in, features z^V and logits out.

    The modules carry torchvision's names, so at width 1 its Kinetics-400 weights load as they are.

    Args:
        classes: The number of classes of the source universe.
        width: Factor on the channels of every stage; 1 has 31 million weights, which is much for a CPU.
        pool: Over places "mean", as published, or "max", which finds small things sooner; over time the mean.
        parts: [C, K], which of K parts each class is made of: its logit is the sum of theirs. So what is
            learned of a part serves all classes that have it. By default every class is a part.
    """

    mean: Tensor
    scale: Tensor
    parts: Tensor | None

    def __init__(
        self, classes: int, width: float = 1.0, *, pool: str = "mean", parts: Tensor | None = None
    ) -> None:
        super().__init__()
        self.pool = pool
        self.register_buffer("parts", parts, persistent=False)
        stages = [max(8, round(stage * width)) for stage in STAGES]
        middle = max(8, round(_STEM * width))
        self.features = stages[-1]
        self.stem = nn.Sequential(
            nn.Conv3d(3, middle, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(inplace=True),
            nn.Conv3d(middle, stages[0], (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(stages[0]),
            nn.ReLU(inplace=True),
        )
        self.layer1 = _stage(stages[0], stages[0], 1)
        self.layer2 = _stage(stages[0], stages[1], 2)
        self.layer3 = _stage(stages[1], stages[2], 2)
        self.layer4 = _stage(stages[2], stages[3], 2)
        self.fc = nn.Linear(self.features, classes if parts is None else parts.shape[1])
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BasicBlock):
                # A block starts as the identity, which lets narrow teachers train from scratch.
                nn.init.zeros_(module.conv2[1].weight)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1, 1) for values in (KINETICS_MEAN, KINETICS_STD))
        self.register_buffer("mean", 255 * mean, persistent=False)
        self.register_buffer("scale", 1 / (255 * std), persistent=False)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Turn uint8 [B, 16, H, W, 3] into z^V [B, features] and logits [B, classes]."""
        return self.body(self.front(clips))

    def front(self, clips: Tensor) -> Tensor:
        """Pre-process, in float32 whatever the precision of the rest."""
        # The cast comes first because TensorRT does nothing else on uint8.
        return (clips.to(torch.float32).permute(0, 4, 1, 2, 3) - self.mean) * self.scale

    def body(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the network proper."""
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        x = self._last(x)
        places = x.amax(dim=(3, 4)) if self.pool == "max" else x.mean(dim=(3, 4))
        features = places.mean(dim=2)
        scores = self.fc(features)
        return features, scores if self.parts is None else scores @ self.parts.T.to(scores.dtype)

    def _last(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return cast(Tensor, self.layer4(x))
        # On CPUs bf16 convolutions over as few frames as are left here give weights a gradient of 1e30.
        with torch.autocast("cpu", enabled=False):
            return cast(Tensor, self.layer4(x.float()))


def load_kinetics(teacher: Teacher, folder: Path) -> None:
    """Start from torchvision's Kinetics-400 weights; the classifier is kept where it has 400 classes too.

    Args:
        teacher: The new teacher, of width 1.
        folder: Holds ``KINETICS_FILE``. Nothing is downloaded.

    Raises:
        FileNotFoundError: If it does not; the message says where to get the file.
        InputError: If the teacher is narrower.
    """
    if teacher.features != STAGES[-1]:
        raise InputError(
            "teacher.weights names weights of Kinetics, which are for a teacher of teacher.width = 1.0"
        )
    path = folder / KINETICS_FILE
    if not path.exists():
        source = f"https://download.pytorch.org/models/{KINETICS_FILE}"
        raise FileNotFoundError(f"{path}: no such file; get it from {source} and put it there")
    weights = torch.load(path, weights_only=True, map_location="cpu")
    if weights["fc.bias"].shape != teacher.fc.bias.shape:
        weights |= {"fc.weight": teacher.fc.weight.detach(), "fc.bias": teacher.fc.bias.detach()}
    teacher.load_state_dict(weights)


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(
            nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm3d(outputs)
        )
    first = BasicBlock(inputs, outputs, Conv2Plus1D, stride, shortcut)
    return nn.Sequential(first, BasicBlock(outputs, outputs, Conv2Plus1D))
