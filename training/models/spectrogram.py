"""Log-mel spectrograms as part of a network's graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Sound:
    """What an audio encoder hears, and how it becomes a picture.

    Attributes:
        sample_rate: Hz.
        window: Samples of A_j.
        hop: Samples from one column of the spectrogram to the next.
        fft: Points of the Fourier transform; a column is of 400 samples in a Hann window, in their middle.
        mels: Bands.
        band: Hz, where the lowest band begins and the highest ends.
        triangles: Whether the bands are triangles on the scale of "hertz" or of "mel".
        power: 2 for power, 1 for magnitude.
        floor: What is added before the logarithm.
        centred: Whether sound is padded by reflection, so that the first column is centred on its begin.
        rounded: Whether the transform and the bands are those of 8 bits, as a published file has them.
    """

    sample_rate: int = 16000
    window: int = 16000
    hop: int = 160
    fft: int = 400
    mels: int = 40
    band: tuple[float, float] = (0.0, 8000.0)
    triangles: Literal["hertz", "mel"] = "hertz"
    power: Literal[1, 2] = 2
    floor: float = 1e-6
    centred: bool = True
    rounded: bool = False


PAPER = Sound()
"""One second at 16 kHz: log(mel power + 1e-6) of 25 ms every 10 ms."""
FRAME = 400
"""Samples of a column: 25 ms at 16 kHz."""


class LogMel(nn.Module):
    """The logarithm of a mel spectrogram; by default the paper's, log(mel power + 1e-6).

    A strided convolution with a windowed DFT basis stands for the FFT: ONNX has no complex numbers, and a
    convolution is what every inference engine runs well.
    """

    basis: Tensor
    filters: Tensor

    def __init__(self, sound: Sound = PAPER) -> None:
        super().__init__()
        self.sound = sound
        bins = sound.fft // 2 + 1
        time = torch.arange(FRAME, dtype=torch.float64) + (sound.fft - FRAME) // 2
        angle = 2 * math.pi / sound.fft * torch.arange(bins, dtype=torch.float64)[:, None] * time
        hann = torch.hann_window(FRAME, periodic=True, dtype=torch.float64)
        cos, sin, filters = angle.cos(), angle.sin(), _filters(sound, bins)
        if sound.rounded:
            cos, sin, filters = (_rounded(matrix) for matrix in (cos, sin, filters))
        basis = torch.cat([cos * hann, sin * hann])
        self.register_buffer("basis", basis[:, None].float(), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Turn float32 [B, samples] into [B, 1, columns, mels]; 1 + samples // hop columns if centred."""
        x = samples[:, None]
        if self.sound.centred:
            x = functional.pad(x, (FRAME // 2, FRAME // 2), mode="reflect")
        real, imaginary = functional.conv1d(x, self.basis, stride=self.sound.hop).chunk(2, dim=1)
        spectrum = real * real + imaginary * imaginary
        if self.sound.power == 1:
            spectrum = spectrum.sqrt()
        return torch.log(spectrum.transpose(1, 2) @ self.filters + self.sound.floor)[:, None]


def _filters(sound: Sound, bins: int) -> Tensor:
    """Return the weights of the bands over the spectrum: [bins, mels]."""
    low, high = sound.band
    if sound.triangles == "hertz":
        rate = sound.sample_rate
        filters: Tensor = torchaudio.functional.melscale_fbanks(bins, low, high, sound.mels, rate)
        return filters
    ends = _mel(torch.tensor([low, high]))
    edges = torch.linspace(float(ends[0]), float(ends[1]), sound.mels + 2, dtype=torch.float64)
    at = _mel(torch.linspace(0, sound.sample_rate / 2, bins, dtype=torch.float64))[:, None]
    rising = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


def _mel(hertz: Tensor) -> Tensor:
    return 1127 * torch.log1p(hertz.double() / 700)


def _rounded(matrix: Tensor) -> Tensor:
    """Return the nearest multiples of a 127th of the greatest entry."""
    step = matrix.abs().max() / 127
    return (matrix / step).round() * step
