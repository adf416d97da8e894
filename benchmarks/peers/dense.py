"""Peer 2: the student on every timestamp; the whole video is decoded, and nothing is skipped."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.networks import Networks
from benchmarks.peers import plain


class DenseStudent:
    """One frame and one second of sound for each timestamp, classified and averaged.

    Args:
        networks: With the weights.
        device: Of PyTorch, where all but decoding runs.
        dtype: Of the encoders' arithmetic.
    """

    def __init__(self, networks: Networks, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self._encoders = plain.Encoders(networks, device, dtype)
        self._skimmer = copy.deepcopy(networks.skimmer).to(device)

    @torch.inference_mode()
    def __call__(self, path: Path) -> Tensor:
        """Return mean probabilities [C] on the CPU."""
        times = plain.timestamps(path)
        image = self._encoders.images(plain.frames_by_decoding(path, times))
        audio = self._encoders.sounds(plain.windows(path, times))
        fused = self._skimmer.fusion(torch.cat([image, audio], dim=1))
        probabilities: Tensor = self._skimmer.classifier(fused).softmax(dim=1).mean(dim=0)
        return probabilities.cpu()
