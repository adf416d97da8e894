"""Peer 1: the paper's pipeline written plainly; every fifth timestamp, exact seeks, eager PyTorch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from benchmarks.networks import Networks
from benchmarks.peers import plain

FACTOR = 5
STEPS = 10


class PlainSparse:
    """Decode at the knots, encode, skim without fusing anything; float32."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._hear = torch.nn.Sequential(plain.LogMel(), networks.audio.norm, networks.audio.trunk)
        self._project = networks.audio.project

    @torch.inference_mode()
    def __call__(self, path: Path) -> Tensor:
        """Logits [C]."""
        stamps = plain.timestamps(path)
        times = stamps[::FACTOR]
        images = plain.frames_by_seeking(path, times)
        sounds = plain.windows(path, times)
        image = plain.in_batches(self._networks.image, images)
        audio = self._project(plain.in_batches(self._hear, sounds))
        knots, at = torch.from_numpy(times)[None], torch.from_numpy(stamps)[None]
        logits: Tensor = self._networks.skimmer(image[None], audio[None], knots, knots, at, STEPS)[0]
        return logits
