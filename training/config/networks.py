"""Sizes and kinds of the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.config.kinds import Count, Positive, Side
from training.config.parse import added


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes: D, F, K and H of DESIGN 2, and the encoders.

    Attributes:
        image_width, audio_width: Factors on the channels of "resnet18"; other encoders have one width.
        audio_stem_stride: Of "resnet18": 2, or 1 for a finer look at the spectrogram at four times the cost.
        features: D.
        fusion: F.
        keys: K.
        hidden: H.
        image: Name of the image encoder: "resnet18", "efficientnet_lite0" or a torchvision image model.
        image_weights: What it starts from: a folder or file of published ImageNet weights, or "package" for
            those that an installed package brings; random weights by default.
        image_side: Pixels of the square that the image encoder sees of a frame; by default what its weights
            were published for, and for "resnet18" the paper's 112.
        audio: Name of the audio encoder: "resnet18", "yamnet", "efficientnet_lite0" or a torchvision image
            model, which sees the log-mel spectrogram as a picture.
        audio_weights: What it starts from, as ``image_weights``: AudioSet's for "yamnet", ImageNet's for the
            others; random weights by default.
        tune: Which weights of the encoders learn: "none", the "last" stage's, or "all".
    """

    image_width: Positive = 1.0
    audio_width: Positive = 1.0
    audio_stem_stride: Literal[1, 2] = 2
    features: Count = 512
    fusion: Count = 1024
    keys: Count = 512
    hidden: Count = 1024
    image: str = added("resnet18")
    image_weights: str | None = added(None)
    image_side: Side | None = added(None)
    audio: str = added("resnet18")
    audio_weights: str | None = added(None)
    tune: Literal["none", "last", "all"] = added("all")
