"""Sizes and kinds of the networks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes: D, F, K and H of DESIGN 2, and the widths of the encoders."""

    image_width: float = 1.0
    audio_width: float = 1.0
    audio_stem_stride: int = 2
    features: int = 512
    fusion: int = 1024
    keys: int = 512
    hidden: int = 1024
