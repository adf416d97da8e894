"""Peer 4: the Transformers pipeline for videos, with a VideoMAE-base of random weights.

Its default sampling takes the first 16 frames of the file, whatever its length: half a second of it, and
no sound. It is here because it is what most people would reach for, not because it answers the same question.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import VideoMAEConfig, VideoMAEForVideoClassification, VideoMAEImageProcessor
from transformers.pipelines.video_classification import VideoClassificationPipeline

from benchmarks.networks import CLASSES


class TransformersPipeline:
    """Nothing is downloaded: the model is made from its configuration."""

    def __init__(self, *, small: bool = False) -> None:
        sizes: dict[str, Any] = {"num_labels": CLASSES}
        if small:
            sizes |= {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
        torch.manual_seed(0)
        model = VideoMAEForVideoClassification(VideoMAEConfig(**sizes)).eval()
        self._pipeline = VideoClassificationPipeline(model=model, image_processor=VideoMAEImageProcessor())

    def __call__(self, path: Path) -> list[dict[str, Any]]:
        """Return the five most probable classes."""
        answer: list[dict[str, Any]] = self._pipeline(str(path))
        return answer
