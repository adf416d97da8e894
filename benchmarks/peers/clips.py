"""Peer 3: R(2+1)D-18 over every clip of 16 frames. Twenty clips are run; the rest is extrapolated."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.models.video import r2plus1d_18

from benchmarks.networks import CLASSES
from benchmarks.peers import plain

CLIP = 16
RUN = 20


class DenseClips:
    """The clip model on a whole video; float32."""

    def __init__(self, clips: int = RUN) -> None:
        torch.manual_seed(0)
        self._model = r2plus1d_18(num_classes=CLASSES).eval()
        self._clips = clips

    @torch.inference_mode()
    def seconds(self, path: Path) -> float:
        """Return what all clips would take: the full decode, and each clip at the mean of those run."""
        begin = time.perf_counter()
        frames = sum(1 for _ in plain.all_frames(path))
        decoding = time.perf_counter() - begin
        total = max(1, frames // CLIP)
        chosen = set(np.linspace(0, total - 1, min(self._clips, total)).astype(int).tolist())
        spent, clip = 0.0, []
        for number, frame in enumerate(plain.all_frames(path)):
            if number // CLIP not in chosen:
                continue
            begin = time.perf_counter()
            clip.append(plain.picture(frame))
            if len(clip) == CLIP:
                self._classify(torch.stack(clip))
                clip = []
            spent += time.perf_counter() - begin
        return decoding + spent / len(chosen) * total

    def _classify(self, images: Tensor) -> Tensor:
        pixels = images.permute(3, 0, 1, 2)[None].float() / 255
        logits: Tensor = self._model((pixels - 0.45) / 0.225)
        return logits
