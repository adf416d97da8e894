"""Decoding and transforms with PyAV, torchvision and torchaudio, used as their documentation shows."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import torch
import torchaudio
from av.video.frame import VideoFrame
from torch import Tensor
from torchvision.transforms import v2

from benchmarks.networks import Networks
from training.models import AudioEncoder, ImageEncoder

HOP = 16 / 30
SAMPLE_RATE = 16000
BATCH = 32

resize = v2.Compose([v2.Resize(128, antialias=True), v2.CenterCrop(112)])
"""uint8 [..., 3, H, W] to uint8 [..., 3, 112, 112]."""


class LogMel(torch.nn.Module):
    """The network's own spectrogram, by torchaudio's FFT."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, n_fft=400, hop_length=160, n_mels=40)

    def forward(self, samples: Tensor) -> Tensor:
        """float32 [B, 16000] to [B, 1, 101, 40]."""
        return torch.log(self.mel(samples).transpose(1, 2) + 1e-6)[:, None]


class Encoders:
    """Both networks in eager PyTorch, the log-mel by torchaudio's FFT, on any device.

    Args:
        networks: With the weights.
        device: Of PyTorch, where they run.
        dtype: Of their arithmetic; pre-processing stays in float32, as in the plan's graphs.
    """

    def __init__(self, networks: Networks, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self._device, self._dtype = device, dtype
        self._image = copy.deepcopy(networks.image).to(device)
        self._audio = copy.deepcopy(networks.audio).to(device)
        self._mel = LogMel().to(device)
        for part in (self._image.trunk, self._image.project, self._audio.trunk, self._audio.project):
            part.to(dtype)

    def images(self, frames: Tensor) -> Tensor:
        """float32 [M, D] of uint8 [M, 112, 112, 3]."""
        return torch.cat([self._encoded(self._image, self._image.front(some)) for some in self._some(frames)])

    def sounds(self, samples: Tensor) -> Tensor:
        """float32 [M, D] of float32 [M, 16000]."""
        parts = (self._audio.norm(self._mel(some)) for some in self._some(samples))
        return torch.cat([self._encoded(self._audio, part) for part in parts])

    def _some(self, samples: Tensor) -> Iterator[Tensor]:
        return (some.to(self._device) for some in samples.split(BATCH))

    def _encoded(self, network: ImageEncoder | AudioEncoder, inputs: Tensor) -> Tensor:
        features: Tensor = network.body(inputs.to(self._dtype))
        return features.float()


def timestamps(path: Path) -> np.ndarray:
    """j * hop over the length that the container declares."""
    with av.open(str(path)) as container:
        seconds = (container.duration or 0) / 1e6
    return np.arange(max(1, int(np.ceil(seconds / HOP - 1e-6)))) * HOP


def picture(frame: VideoFrame) -> Tensor:
    """uint8 [112, 112, 3] of a decoded frame."""
    tensor = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
    return resize(tensor).permute(1, 2, 0).contiguous()


def frames_by_seeking(path: Path, times: np.ndarray) -> Tensor:
    """The frame shown at each time, uint8 [M, 112, 112, 3]: seek to its key frame, decode up to it."""
    images = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for time in times:
            container.seek(int(time / stream.time_base), stream=stream)
            images.append(picture(_shown_at(container.decode(stream), float(time))))
    return torch.stack(images)


def _shown_at(frames: Iterator[VideoFrame], time: float) -> VideoFrame:
    shown = None
    for frame in frames:
        if shown is not None and (frame.time or 0.0) > time + 1e-6:
            break
        shown = frame
    assert shown is not None
    return shown


def all_frames(path: Path) -> Iterator[VideoFrame]:
    """Every frame in order, decoded by as many threads as FFmpeg likes."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield from container.decode(stream)


def frames_by_decoding(path: Path, times: np.ndarray) -> Tensor:
    """The frame shown at each time, uint8 [M, 112, 112, 3], out of a full decode."""
    images: list[Tensor] = []
    shown = None
    for frame in all_frames(path):
        begin = frame.time or 0.0
        while shown is not None and len(images) < len(times) and begin > times[len(images)] + 1e-6:
            images.append(picture(shown))
        shown = frame
    assert shown is not None
    images += [picture(shown)] * (len(times) - len(images))
    return torch.stack(images)


def windows(path: Path, times: np.ndarray) -> Tensor:
    """One second of sound from each time on, float32 [M, 16000]: the whole track decoded and resampled."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        parts = [frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)]
    track = torch.from_numpy(np.concatenate(parts).astype(np.float32))
    track = torchaudio.functional.resample(track, rate, SAMPLE_RATE)
    starts = [round(time * SAMPLE_RATE) for time in times]
    track = torch.nn.functional.pad(track, (0, max(0, starts[-1] + SAMPLE_RATE - len(track))))
    return torch.stack([track[start : start + SAMPLE_RATE] for start in starts])
