"""Random objects, sounds and encodings. What an object looks like never depends on what it does."""

from __future__ import annotations

import colorsys
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from training.data.motions import PERIODS
from training.data.scene import Actor, Bed, Colour, Drive, Look, Voice
from training.data.shapes import TEXTURES
from training.data.synth_config import SynthConfig
from training.data.universe import Universe

Rng = np.random.Generator


def seed(rng: Rng) -> int:
    return int(rng.integers(2**31))


def _colour(rng: Rng) -> Colour:
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.5, 1.0), rng.uniform(0.35, 1.0))


def draw_drive(rng: Rng, motion: str) -> Drive:
    return Drive(
        motion,
        period=rng.uniform(*PERIODS[motion]),
        phase=rng.random(),
        reach=rng.uniform(0.7, 1.0),
        tilt=rng.uniform(-0.4, 0.4),
        turn=float(rng.choice([-1.0, 1.0])),
    )


def draw_actor(rng: Rng, universe: Universe, shape: str, moving: str | None) -> Actor:
    """Draw an object of kind ``shape`` that makes ``moving``, all else at random."""
    body = _colour(rng)
    light = 0.3 * body[0] + 0.6 * body[1] + 0.1 * body[2] > 0.45
    # The mark has to stand out from the body, and the rim from whatever is behind.
    marked = (0.05, 0.05, 0.08) if light else (0.97, 0.97, 0.92)
    look = Look(
        shape,
        size=rng.uniform(0.13, 0.2),
        colours=(body, _colour(rng), marked),
        texture=str(rng.choice(list(TEXTURES))),
        grain=rng.uniform(1.0, 2.5),
        rim=(0.0, 0.0, 0.0) if rng.random() < 0.5 else (1.0, 1.0, 1.0),
    )
    drives = tuple(draw_drive(rng, motion) for motion in universe.motions)
    # Bounces and hops go up from the base, so the base is below the middle.
    x, y, angle = rng.uniform(-0.04, 0.04), rng.uniform(0.05, 0.13), rng.uniform(0.0, 2.0 * math.pi)
    return Actor(look, x, y, angle, drives, moving)


def draw_voice(rng: Rng, drive: Drive) -> Voice:
    """Draw the sound of ``drive``: pitch, filter and loudness tell nothing else."""
    pitch = math.exp(rng.uniform(math.log(120.0), math.log(480.0)))
    return Voice(drive, pitch, level=rng.uniform(0.2, 0.7), seed=seed(rng))


def draw_bed(rng: Rng) -> Bed:
    return Bed(str(rng.choice(["noise", "music"])), rng.uniform(0.08, 0.4), seed(rng))


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a scene becomes a file.

    Attributes:
        width: Pixels.
        height: Pixels.
        fps: Frames a second, as a fraction.
        gop: Most frames between key frames.
        b_frames: Most B-frames in a row.
        preset: x264 preset.
        crf: x264 quality.
        sample_rate: Hz; None without an audio stream.
        channels: 0, 1 or 2.
        pan: Loudness of the second channel against the first.
        start_frames: Frame periods by which both streams begin after 0.
        video_delay: Frame periods by which the picture begins after the scene.
        audio_delay: Samples by which the sound begins after the scene.
    """

    width: int
    height: int
    fps: str
    gop: int
    b_frames: int
    preset: str
    crf: int
    sample_rate: int | None
    channels: int
    pan: float
    start_frames: int
    video_delay: int
    audio_delay: int

    @property
    def rate(self) -> Fraction:
        return Fraction(self.fps)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def draw_encoding(rng: Rng, config: SynthConfig) -> Encoding:
    def one(choices: tuple[Any, ...]) -> Any:
        return choices[int(rng.integers(len(choices)))]

    width, height = one(config.sizes)
    fps, sample_rate = one(config.fps), one(config.sample_rates)
    silent, stereo = rng.random() < config.silent_share, rng.random() < config.stereo_share
    start_frames = video_delay = audio_delay = 0
    if rng.random() < config.offset_share:
        start_frames = int(rng.uniform(0.2, 3.0) * Fraction(fps))
        late = rng.uniform(0.15, 0.4)  # longer than an AAC frame at 8 kHz
        if rng.random() < 0.5:
            video_delay = round(late * Fraction(fps))
        else:
            audio_delay = round(late * sample_rate)
    if silent:
        # The clock begins with the earliest stream, and there is only one.
        video_delay = audio_delay = 0
    return Encoding(
        width,
        height,
        fps,
        gop=one(config.gop),
        b_frames=one(config.b_frames),
        preset=one(config.presets),
        crf=int(rng.integers(config.crf[0], config.crf[1] + 1)),
        sample_rate=None if silent else sample_rate,
        channels=0 if silent else 1 + stereo,
        pan=rng.uniform(0.4, 1.0),
        start_frames=start_frames,
        video_delay=video_delay,
        audio_delay=audio_delay,
    )
