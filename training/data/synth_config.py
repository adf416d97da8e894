"""What may be drawn: the ranges of a generated set, from a TOML file over the defaults below."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SynthConfig:
    """Ranges are [least, greatest]; lists are drawn from evenly; shares are probabilities.

    Attributes:
        duration: Seconds of an untrimmed video.
        clip_duration: Seconds of a clip.
        action_share: Part of an untrimmed video that the action fills.
        stretch_min: Seconds that a stretch of the action lasts at least.
        event: Seconds that a distractor lasts.
        gap: Seconds that a motion's sound keeps away from any visible object that does not make it; more than
            the 1 s of sound that goes with a frame.
        sizes: Frame sizes, width and height.
        fps: Frame rates, "30" or "30000/1001".
        gop: Most frames between key frames.
        b_frames: Most B-frames in a row; 0 is none.
        presets: x264 presets.
        crf: x264 quality, lower is better.
        sample_rates: Hz.
        stereo_share: Videos with two channels.
        silent_share: Videos without an audio stream.
        offset_share: Videos whose streams do not begin at 0 or not at the same time.
    """

    duration: Range = (30.0, 120.0)
    clip_duration: Range = (2.0, 3.0)
    action_share: Range = (0.05, 0.15)
    stretch_min: float = 3.0
    event: Range = (2.5, 6.5)
    gap: Range = (1.15, 1.9)
    sizes: tuple[tuple[int, int], ...] = (
        (160, 120),
        (192, 144),
        (256, 144),
        (320, 240),
        (426, 240),
        (480, 270),
        (640, 360),
    )
    fps: tuple[str, ...] = ("12", "15", "24", "25", "30000/1001", "30", "50", "60")
    gop: tuple[int, ...] = (12, 25, 30, 48, 60, 120, 250)
    b_frames: tuple[int, ...] = (0, 0, 1, 2, 3)
    presets: tuple[str, ...] = ("ultrafast", "superfast", "veryfast")
    crf: tuple[int, int] = (18, 28)
    sample_rates: tuple[int, ...] = (8000, 16000, 22050, 32000, 44100, 48000)
    stereo_share: float = 0.5
    silent_share: float = 0.04
    offset_share: float = 0.3


def load_config(path: Path | None) -> SynthConfig:
    """Load the ranges: the defaults, or what a TOML file says instead.

    Raises:
        ValueError: the file is no TOML, names a setting that there is not, or leaves no room for the action.
    """
    if path is None:
        return SynthConfig()
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    unknown = settings.keys() - {field.name for field in fields(SynthConfig)}
    if unknown:
        raise ValueError(f"{path}: no such setting: {', '.join(sorted(unknown))}")
    config = SynthConfig(**{name: _frozen(value) for name, value in settings.items()})
    for name in settings:
        if isinstance(getattr(config, name), tuple) != isinstance(getattr(SynthConfig(), name), tuple):
            raise ValueError(f"{path}: {name} is a single number where it should be a list, or the other way")
    if config.duration[0] * config.action_share[1] < config.stretch_min:
        raise ValueError(f"{path}: the shortest video has no room for a stretch of {config.stretch_min} s")
    return config


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
