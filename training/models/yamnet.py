"""YAMNet: MobileNet v1 on a log-mel picture of a second of sound, trained on AudioSet."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.spectrogram import Sound

SOUND = Sound(
    window=15600,
    fft=512,
    mels=64,
    band=(125.0, 7500.0),
    triangles="mel",
    power=1,
    floor=1e-3,
    centred=False,
    rounded=True,
)
"""96 columns of 64 bands."""
TAGS = 521
"""Classes of AudioSet that it tells apart."""
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1),
    (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
"""Channels and stride of each separable convolution."""
_STEM = 32


class Yamnet(nn.Module):
    """YAMNet's layers, the batch norms folded into the convolutions as in the published file.

    Args:
        blocks: Channels and stride of each separable convolution.
    """

    def __init__(self, blocks: tuple[tuple[int, int], ...] = BLOCKS) -> None:
        super().__init__()
        layers: list[nn.Module] = [_Convolution(1, _STEM, stride=2)]
        channels = _STEM
        for outputs, stride in blocks:
            layers.append(_Convolution(channels, channels, stride=stride, groups=channels))
            layers.append(_Convolution(channels, outputs, kernel=1))
            channels = outputs
        self.layers = nn.Sequential(*layers)
        self.features = channels

    def forward(self, x: Tensor) -> Tensor:
        """Turn [B, 1, columns, bands] into the embedding [B, features]."""
        return torch.mean(self.layers(x), dim=(2, 3))


class _Convolution(nn.Module):
    """A convolution and a ReLU; as in TensorFlow, an odd pixel of padding goes below and to the right."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, groups=groups)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        self._stride = stride

    def forward(self, x: Tensor) -> Tensor:
        height, width = (self._padding(size) for size in x.shape[2:])
        return torch.relu(self.conv(functional.pad(x, (*width, *height))))

    def _padding(self, size: int) -> tuple[int, int]:
        kernel, stride = self.conv.kernel_size[0], self._stride
        whole = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        return whole // 2, whole - whole // 2
