"""Long videos in a moment: eight seconds are encoded, and their packets repeated."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import numpy as np

RATE, SOUND_RATE = 30, 16000
LOOP_S = 8
"""A whole number of frames, and of AAC's 1024 samples."""


def long_video(seconds: int, size: tuple[int, int], *, seed: int = 0) -> bytes:
    """Make a video of moving shapes and changing tones: H.264, a key frame every 2 s or so, and AAC.

    Args:
        seconds: A multiple of ``LOOP_S``.
        size: Width and height.
        seed: Of what is seen and heard.
    """
    import av  # noqa: PLC0415

    loop = io.BytesIO()
    rng = np.random.default_rng(seed)
    with av.open(loop, "w", format="matroska") as container:
        picture = container.add_stream("libx264", rate=RATE)
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        # One thread: the bytes depend on how many there are.
        picture.options = {"preset": "ultrafast", "g": str(2 * RATE), "bf": "0", "threads": "1"}
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        ground = _ground(rng, size)
        for index in range(LOOP_S * RATE):
            frame = av.VideoFrame.from_ndarray(np.roll(ground, 4 * index, axis=1), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        wave = 0.5 * np.sin(
            2 * np.pi * np.cumsum(rng.uniform(200, 2000, LOOP_S).repeat(SOUND_RATE)) * 1 / SOUND_RATE
        )
        samples = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
        samples.sample_rate, samples.pts, samples.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
        container.mux(sound.encode(samples))
        container.mux(sound.encode())
    return _repeated(av, loop.getvalue(), seconds // LOOP_S)


def _ground(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw soft squares: noise would take a hundred times the bytes."""
    squares = rng.integers(0, 255, (-(-size[1] // 16), -(-size[0] // 16), 3), np.uint8)
    ground = squares.repeat(16, axis=0).repeat(16, axis=1)[: size[1], : size[0]].astype(np.float32)
    for axis in (0, 1):
        for step in (1, 2, 4, 8):
            ground = (ground + np.roll(ground, step, axis=axis)) / np.float32(2)
    return ground.astype(np.uint8)


def _repeated(av: Any, loop: bytes, times: int) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as out:
        streams: dict[int, Any] = {}
        for turn in range(times):
            with av.open(io.BytesIO(loop)) as source:
                for stream in source.streams:
                    if stream.index not in streams:
                        streams[stream.index] = out.add_stream_from_template(stream)
                for packet in source.demux():
                    # Without what an audio encoder puts before and after, turns follow without a gap.
                    if packet.dts is None or not 0 <= packet.pts * packet.time_base < LOOP_S:
                        continue
                    shift = round(turn * LOOP_S / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)
    return target.getvalue()
