"""A small video with a known picture and sound, for tests of the whole pipeline."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SAMPLE_RATE = 16000


def write_video(
    target: Path | io.BytesIO,
    *,
    seconds: float = 6.0,
    fps: int = 10,
    size: tuple[int, int] = (160, 120),
    event: tuple[float, float] = (2.0, 4.0),
    video: bool = True,
    audio: bool = True,
    container_format: str = "mp4",
    gop: int = 250,
) -> None:
    """Write grey noise and silence, but red pictures and a loud tone during ``event`` (seconds)."""
    codec = {"mp4": "aac", "wav": "pcm_s16le"}[container_format]
    with av.open(target, "w", format=container_format) as container:
        picture = container.add_stream("libx264", rate=fps) if video else None
        sound = container.add_stream(codec, rate=SAMPLE_RATE, layout="mono") if audio else None
        if picture is not None:
            picture.width, picture.height = size
            picture.pix_fmt = "yuv420p"
            picture.codec_context.gop_size = gop
            picture.options = {"sc_threshold": "0", "bf": "0"}
        if picture is not None:
            for frame in _pictures(seconds, fps, size, event):
                container.mux(picture.encode(frame))
            container.mux(picture.encode())
        if sound is not None:
            container.mux(sound.encode(_sound(seconds, event, sound.codec_context.format.name)))
            container.mux(sound.encode())


def _pictures(
    seconds: float, fps: int, size: tuple[int, int], event: tuple[float, float]
) -> list[av.VideoFrame]:
    rng, frames = np.random.default_rng(0), []
    for index in range(round(seconds * fps)):
        pixels = rng.integers(96, 160, (size[1], size[0], 1), np.uint8).repeat(3, axis=2)
        if event[0] <= index / fps < event[1]:
            pixels[..., 0], pixels[..., 1:] = 230, 10
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
        frame.pts, frame.time_base = index, Fraction(1, fps)
        frames.append(frame)
    return frames


def _sound(seconds: float, event: tuple[float, float], sample_format: str) -> av.AudioFrame:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = np.where((event[0] <= t) & (t < event[1]), 0.8 * np.sin(2 * np.pi * 440 * t), 0.0)
    dtype = np.int16 if sample_format == "s16" else np.float32
    samples = (tone * 32767 if dtype is np.int16 else tone).astype(dtype)
    frame = av.AudioFrame.from_ndarray(samples[None], sample_format, "mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    return frame
