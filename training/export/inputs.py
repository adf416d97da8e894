"""Real inputs of the encoders, which int8 graphs are calibrated on."""

from __future__ import annotations

from collections.abc import Sequence
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
    found = _pairs(config, media)
    parts = config.skim.modalities
    videos = [video for _, video in load_sets(config, config.skim.train)]
    rng = np.random.default_rng(config.seed)
    for number in np.unique(np.linspace(0, len(videos) - 1, VIDEOS).astype(int)):
        moments = _moments(videos[number], media, rng, parts)
        for part, rows in moments.items():
            found[part] = torch.cat([found[part], rows])
    names = ", ".join((*config.student.train, *config.skim.train))
    return Calibration(found, f"training moments of {names}")


def _pairs(config: Config, media: MediaSettings) -> dict[str, Tensor]:
    pairs = load_pairs(config, config.student.train)
    rows = np.unique(np.linspace(0, len(pairs.labels) - 1, PAIRS).astype(int))
    images = crop_images(torch.from_numpy(pairs.images[rows]), media.crop).contiguous()
    return {"image": images, "audio": crop_samples(torch.from_numpy(pairs.samples[rows]), media.window)}


def _moments(
    video: Video, media: MediaSettings, rng: np.random.Generator, parts: Sequence[str]
) -> dict[str, Tensor]:
    """Return random moments of a video that has all that a plan reads; none of one that lacks any of it."""
    found: dict[str, Tensor] = {}
    try:
        with closing(open_media(video.path)) as source:
            has = {"image": source.has_video, "audio": source.has_audio}
            if not all(has[part] for part in parts):
                return {}
            times = timestamps(source.duration, media.hop)
            times = np.sort(rng.choice(times, min(MOMENTS, len(times)), replace=False))
            keep = np.ones(len(times), np.bool_)
            if "image" in parts:
                frames = source.frames(times, short_side=media.short_side, crop=media.crop)
                keep &= frames.valid
                found["image"] = torch.from_numpy(frames.images)
            if "audio" in parts:
                sounds = source.audio_windows(times, window=media.window, sample_rate=media.sample_rate)
                keep &= sounds.valid
                found["audio"] = torch.from_numpy(sounds.samples)
    except MediaError:
        return {}
    return {part: rows[torch.from_numpy(keep)] for part, rows in found.items()}
