"""Writes a generated video: H.264 and AAC in MP4 as phones and sites make them, or VP9 and Opus in WebM."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.media.pictures import cuts, frames
from benchmarks.media.sounds import sound

H264 = {"preset": "veryfast", "refs": "3", "bf": "3", "subq": "4", "sc_threshold": "0"}
"""Fast to make, but with the reference frames and B-frames of slower presets, which cost the decoder."""
VP9 = {"deadline": "good", "cpu-used": "5", "row-mt": "1", "tile-columns": "1", "lag-in-frames": "16"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One file: its size and length, and how it is encoded."""

    seconds: float
    width: int
    height: int
    gop: int
    video_bits: int
    rate: int = 30
    codec: str = "libx264"
    seed: int = 0


def write(recipe: Recipe, path: Path) -> None:
    """Generate and encode one file."""
    webm = recipe.codec != "libx264"
    sample_rate = 48000 if webm else 44100
    starts = cuts(np.random.default_rng(recipe.seed), recipe.seconds)
    wave = sound(recipe.seed, starts, recipe.seconds, sample_rate)
    options = dict(VP9 if webm else H264)
    with av.open(str(path), "w", format="webm" if webm else "mp4") as container:
        video = container.add_stream(recipe.codec, rate=recipe.rate, options=options)
        video.width, video.height, video.pix_fmt = recipe.width, recipe.height, "yuv420p"
        video.bit_rate = recipe.video_bits
        video.codec_context.gop_size = recipe.gop
        video.codec_context.thread_count = 2
        audio = container.add_stream("libopus" if webm else "aac", rate=sample_rate, layout="stereo")
        audio.bit_rate = 128_000
        pictures = frames(recipe.seed, starts, recipe.seconds, recipe.rate, recipe.height, recipe.width)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, recipe.rate)
            container.mux(video.encode(frame))
            if number % recipe.rate == 0:  # the sound of the second that begins
                first = number // recipe.rate * sample_rate
                part = np.ascontiguousarray(wave[:, first : first + sample_rate])
                samples = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
                samples.sample_rate, samples.pts = sample_rate, first
                samples.time_base = Fraction(1, sample_rate)
                container.mux(audio.encode(samples))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
