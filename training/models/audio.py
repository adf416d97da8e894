"""The audio encoder: a window of samples in, z^A out. The log-mel spectrogram is part of the network."""

from __future__ import annotations

import math

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional

from training.models.encoder import Encoder
from training.models.resnet import ResNetTrunk

SAMPLE_RATE = 16000
WINDOW = 400
HOP = 160
MELS = 40
FLOOR = 1e-6


class LogMel(nn.Module):
    """A_j: log(mel power + 1e-6) of 25 ms Hann windows every 10 ms, centre-padded by reflection.

    A strided convolution with a windowed DFT basis stands for the FFT: ONNX has no complex numbers, and a
    convolution is what every inference engine runs well.
    """

    basis: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        bins = WINDOW // 2 + 1
        time = torch.arange(WINDOW, dtype=torch.float64)
        angle = 2 * math.pi / WINDOW * torch.arange(bins, dtype=torch.float64)[:, None] * time
        hann = torch.hann_window(WINDOW, periodic=True, dtype=torch.float64)
        basis = torch.cat([angle.cos() * hann, angle.sin() * hann])
        filters = torchaudio.functional.melscale_fbanks(bins, 0.0, SAMPLE_RATE / 2, MELS, SAMPLE_RATE)
        self.register_buffer("basis", basis[:, None].float(), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Turn float32 [B, samples] into [B, 1, 1 + samples // 160, 40]."""
        padded = functional.pad(samples[:, None], (WINDOW // 2, WINDOW // 2), mode="reflect")
        real, imaginary = functional.conv1d(padded, self.basis, stride=HOP).chunk(2, dim=1)
        power = real * real + imaginary * imaginary
        return torch.log(power.transpose(1, 2) @ self.filters + FLOOR)[:, None]


class AudioEncoder(Encoder):
    """A one-channel ResNet-18 on log-mel spectrograms: float32 [B, 16000] in [-1, 1] to [B, features].

    Args:
        width: Factor on the trunk's channels.
        features: Size of z^A; a linear layer is added where the trunk's differs.
        stem_stride: 2 as in ResNet, or 1 for a finer spectrogram at four times the cost.
    """

    def __init__(self, width: float = 1.0, features: int | None = None, *, stem_stride: int = 2) -> None:
        super().__init__()
        self.logmel = LogMel()
        # Log-mel values lie around -6 +- 4; this brings them to the trunk's scale and folds into it.
        self.norm = nn.BatchNorm2d(1)
        self.trunk = ResNetTrunk(1, width, stem_stride=stem_stride)
        self.features = features or self.trunk.features
        same = self.features == self.trunk.features
        self.project = nn.Identity() if same else nn.Linear(self.trunk.features, self.features)

    def front(self, inputs: Tensor) -> Tensor:
        """Return the normed spectrogram, in float32 whatever the precision of the rest."""
        # The spectrum spans more decades than bf16 keeps apart, so autocast stops at the trunk.
        with torch.autocast(inputs.device.type, enabled=False):
            spectrogram = self.logmel(inputs)
        normed: Tensor = self.norm(spectrogram)
        return normed

    def body(self, x: Tensor) -> Tensor:
        """Compute the network proper."""
        features: Tensor = self.project(self.trunk(x))
        return features


class ReleasedAudioEncoder(Encoder):
    """The audio stream of the ``released`` preset: a stem of stride 1, frequencies summed, time max-pooled.

    Args:
        width: Factor on the trunk's channels.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.logmel = LogMel()
        self.trunk = ResNetTrunk(1, width, stem_stride=1)
        self.collapse = nn.Conv2d(1, 1, (1, 3))
        self.features = self.trunk.features

    def front(self, inputs: Tensor) -> Tensor:
        """Return the spectrogram, in float32 whatever the precision of the rest."""
        spectrogram: Tensor = self.logmel(inputs)
        return spectrogram

    def body(self, x: Tensor) -> Tensor:
        """Compute the network proper."""
        maps = self.trunk.maps(x)
        # One weight a frequency, shared by all channels, so that channels count as the batch here.
        lines: Tensor = self.collapse(maps.flatten(0, 1)[:, None]).view(maps.shape[:3])
        return lines.amax(dim=2)
