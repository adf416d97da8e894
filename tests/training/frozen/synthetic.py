"""Embeddings drawn at random around what their classes say, without any video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from training.frozen.cache import VideoEmbeddings
from training.videos.manifest import Video

HOP = 0.5
SIZES = {"image": 40, "audio": 30}


def embeddings(
    number: int,
    labels: Sequence[str],
    *,
    moments: int = 12,
    told: tuple[float, float] = (1.0, 1.0),
    absent: Sequence[str] = (),
    views: int = 2,
) -> VideoEmbeddings:
    """One video: its classes' directions, of which each modality tells so much, and noise of its own."""
    generator = torch.Generator().manual_seed(number)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    parts = {}
    for (name, size), strength in zip(SIZES.items(), told, strict=True):
        classes = sum(_direction(label, name, size) for label in labels) * strength
        parts[name] = classes + noise(size) + noise(views, moments, size) + 0.5
        if name in absent:
            parts[name] = torch.zeros_like(parts[name])
    valid = {name: torch.full((moments,), name not in absent) for name in SIZES}
    video = Video(Path(f"{number}.mp4"), str(number), tuple(labels), moments * HOP, ((0.0, moments * HOP),))
    image, audio = parts["image"].half(), parts["audio"][0].half()
    return VideoEmbeddings(video, image, audio, valid["image"], valid["audio"], HOP)


def _direction(label: str, name: str, size: int) -> torch.Tensor:
    seed = sum(ord(letter) * 31**place for place, letter in enumerate(f"{label}{name}")) % 2**31
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def several(count: int, classes: Sequence[str], **settings: object) -> list[VideoEmbeddings]:
    """Videos of the classes by turns."""
    return [
        embeddings(number, [classes[number % len(classes)]], **settings)  # type: ignore[arg-type]
        for number in range(count)
    ]
