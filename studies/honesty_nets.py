"""Three small classifiers that get one view each: a frame, the sound, or 16 silent frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.models.spectrogram import LogMel


def _flat(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class _Heads(nn.Module):
    """Logits of the object and of the motion from the same features."""

    def __init__(self, features: int, objects: int, motions: int) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.2)
        self.object, self.motion = nn.Linear(features, objects), nn.Linear(features, motions)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        features = self.drop(features)
        return self.object(features), self.motion(features)


class FrameNet(nn.Module):
    """Sees one frame, uint8 [B, 56, 56, 3]."""

    def __init__(self, objects: int, motions: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _flat(3, 24, 2), _flat(24, 48, 1), _flat(48, 64, 2), _flat(64, 96, 1), _flat(96, 128, 2)
        )
        self.heads = _Heads(128, objects, motions)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        pictures = frames.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        # The strongest place, not the mean: the object is a small part of the picture.
        return self.heads(self.body(pictures).amax(dim=(2, 3)))


class SoundNet(nn.Module):
    """Hears one second, float32 [B, 16000]."""

    def __init__(self, objects: int, motions: int) -> None:
        super().__init__()
        self.logmel = LogMel()
        self.body = nn.Sequential(
            nn.BatchNorm2d(1), _flat(1, 24, 2), _flat(24, 48, 2), _flat(48, 96, 2), _flat(96, 128, 1)
        )
        self.heads = _Heads(128, objects, motions)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        # The spectrum spans more decades than bfloat16 keeps apart.
        with torch.autocast(samples.device.type, enabled=False):
            spectrogram = self.logmel(samples)
        return self.heads(self.body(spectrogram).mean(dim=(2, 3)))


class ClipNet(nn.Module):
    """Sees 16 frames in order, uint8 [B, 16, 56, 56, 3]; a (2+1)D network, space and time by turns."""

    def __init__(self, objects: int, motions: int) -> None:
        super().__init__()
        # Small before the first look over time, which is what costs.
        self.spaces = nn.ModuleList(
            [nn.Sequential(_flat(3, 16, 2), _flat(16, 32, 2)), _flat(48, 64, 2), _flat(96, 96, 1)]
        )
        self.times = nn.ModuleList([self._time(32, 48), self._time(64, 96), self._time(96, 128)])
        self.heads = _Heads(128, objects, motions)

    @staticmethod
    def _time(inputs: int, outputs: int) -> nn.Sequential:
        # Places in a row: a flat convolution is much faster on a CPU than one in three dimensions.
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, (5, 1), padding=(2, 0), bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        count, length = frames.shape[:2]
        x = frames.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        for space, time in zip(self.spaces, self.times, strict=True):
            x = space(x)
            places = x.shape[2:]
            x = x.flatten(2).unflatten(0, (count, length)).transpose(1, 2)
            x = time(x).transpose(1, 2).flatten(0, 1).unflatten(2, places)
        return self.heads(x.amax(dim=(2, 3)).unflatten(0, (count, length)).mean(dim=1))
