"""Peer 2: the student on every timestamp; the whole video is decoded, and nothing is skipped."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from benchmarks.networks import Networks
from benchmarks.peers import plain


class DenseStudent:
    """One frame and one second of sound for each timestamp, classified and averaged; float32."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._hear = torch.nn.Sequential(plain.LogMel(), networks.audio.norm, networks.audio.trunk)

    @torch.inference_mode()
    def __call__(self, path: Path) -> Tensor:
        """Mean probabilities [C]."""
        times = plain.timestamps(path)
        image = plain.in_batches(self._networks.image, plain.frames_by_decoding(path, times))
        audio = plain.in_batches(self._hear, plain.windows(path, times))
        skimmer = self._networks.skimmer
        fused = skimmer.fusion(torch.cat([image, self._networks.audio.project(audio)], dim=1))
        probabilities: Tensor = skimmer.classifier(fused).softmax(dim=1).mean(dim=0)
        return probabilities
