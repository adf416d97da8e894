"""Peer 1: the paper's pipeline written plainly; every fifth timestamp, exact seeks, eager PyTorch."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.networks import Networks
from benchmarks.peers import plain

FACTOR = 5
STEPS = 10


class PlainSparse:
    """Decode at the knots, encode, skim without fusing anything.

    Args:
        networks: With the weights.
        device: Of PyTorch, where all but decoding runs.
        dtype: Of its arithmetic.
    """

    def __init__(self, networks: Networks, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self._encoders = plain.Encoders(networks, device, dtype)
        self._skimmer = copy.deepcopy(networks.skimmer).to(device, dtype)
        self._device, self._dtype = device, dtype

    @torch.inference_mode()
    def __call__(self, path: Path) -> Tensor:
        """Return logits float32 [C] on the CPU."""
        stamps = plain.timestamps(path)
        times = stamps[::FACTOR]
        banks = (
            self._encoders.images(plain.frames_by_seeking(path, times)),
            self._encoders.sounds(plain.windows(path, times)),
        )
        knots, at = (torch.from_numpy(x.copy())[None].to(self._device) for x in (times, stamps))
        image, audio = (bank[None].to(self._dtype) for bank in banks)
        logits: Tensor = self._skimmer(image, audio, knots, knots, at, STEPS)[0]
        return logits.float().cpu()
