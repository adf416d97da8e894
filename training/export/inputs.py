"""Real inputs of the encoders, which int8 graphs are calibrated on."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from l2l_engine.errors import MediaError
from l2l_engine.media import open_media, timestamps
from l2l_engine.plan import MediaSettings
from training.clips.augment import crop_images, crop_samples
from training.clips.pairs import load_pairs
from training.config import Config
from training.export.precisions import Calibration
from training.videos.manifest import Video
from training.videos.sets import load_sets

PAIRS = 128
"""Pairs of frame and sound from the student's training set, all of them inside an action."""

VIDEOS, MOMENTS = 48, 3
"""Untrimmed training videos, and random moments of each: most of what a plan is shown is no action."""


def calibration_inputs(config: Config, media: MediaSettings) -> Calibration:
    """Return frames and sounds that student and skimmer were trained on, evenly from all of them."""
    images, samples = _pairs(config, media)
    videos = [video for _, video in load_sets(config, config.skim.train)]
    rng = np.random.default_rng(config.seed)
    for number in np.unique(np.linspace(0, len(videos) - 1, VIDEOS).astype(int)):
        moments = _moments(videos[number], media, rng)
        if moments is not None:
            images = torch.cat([images, moments[0]])
            samples = torch.cat([samples, moments[1]])
    names = ", ".join((*config.student.train, *config.skim.train))
    return Calibration({"image": images, "audio": samples}, f"training moments of {names}")


def _pairs(config: Config, media: MediaSettings) -> tuple[Tensor, Tensor]:
    pairs = load_pairs(config, config.student.train)
    rows = np.unique(np.linspace(0, len(pairs.labels) - 1, PAIRS).astype(int))
    images = crop_images(torch.from_numpy(pairs.images[rows]), media.crop).contiguous()
    return images, crop_samples(torch.from_numpy(pairs.samples[rows]), media.window)


def _moments(video: Video, media: MediaSettings, rng: np.random.Generator) -> tuple[Tensor, Tensor] | None:
    """Return random moments of a video that has both pictures and sound."""
    try:
        with closing(open_media(video.path)) as source:
            if not (source.has_video and source.has_audio):
                return None
            times = timestamps(source.duration, media.hop)
            times = np.sort(rng.choice(times, min(MOMENTS, len(times)), replace=False))
            frames = source.frames(times, short_side=media.short_side, crop=media.crop)
            sounds = source.audio_windows(times, window=media.window, sample_rate=media.sample_rate)
    except MediaError:
        return None
    keep = frames.valid & sounds.valid
    return torch.from_numpy(frames.images[keep]), torch.from_numpy(sounds.samples[keep])
