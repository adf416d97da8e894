"""Small sets of made-up features."""

from pathlib import Path

import pytest
import torch

from training.models import SkimmingNetwork
from training.skimming.features import VideoFeatures
from training.tables.bench import Bench, Encoders, Examples
from training.tables.macs import Cost
from training.videos.manifest import Video

FEATURES = 8
CLASSES = ("ball", "box", "ring")


def video(number, length, *, sound=True):
    """Random features of ``length`` timestamps; the action is the first second."""
    generator = torch.Generator().manual_seed(number)
    label = CLASSES[number % len(CLASSES)]
    footage = Video(Path(f"{number}.mp4"), str(number), (label,), length * 16 / 30, ((0.0, 1.0),))
    image, audio = torch.randn(2, length, FEATURES, generator=generator)
    valid = torch.ones(length, dtype=torch.bool)
    return VideoFeatures(footage, image, audio, valid, valid & sound, 16 / 30)


@pytest.fixture
def examples():
    videos = [video(number, 20 + 5 * number, sound=number != 2) for number in range(6)]
    return Examples(videos, CLASSES, origin="made up")


@pytest.fixture
def bench(examples, tmp_path):
    return Bench(examples, Encoders(Cost(2.0, 0.5), Cost(1.0, 0.25)), tmp_path / "tables")


@pytest.fixture
def skimmer():
    torch.manual_seed(3)
    return SkimmingNetwork(len(CLASSES), features=FEATURES, fusion=6, keys=4, hidden=5).eval()
