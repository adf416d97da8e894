"""Frames by DALI on the GPU's video decoder, beside PyAV's: the same pictures, and how fast."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.gpu.section import NotRunError, finished, goal, needs, part
from benchmarks.gpu.videos import long_video

BATCH = 8
GAP_S = 5.0


def decoding() -> dict[str, Any]:
    """Decode a frame every five seconds of two minutes, at 360p and at 720p."""
    needs("av")
    needs("nvidia.dali")
    from l2l_engine.errors import DeviceError  # noqa: PLC0415
    from l2l_engine.media.dali import DaliDecoder  # noqa: PLC0415
    from l2l_engine.media.ffmpeg import FFmpegSource, open_media  # noqa: PLC0415

    try:
        decoder = DaliDecoder(short_side=128, crop=112, device="cuda", batch=BATCH, threads=4)
    except DeviceError as error:
        raise NotRunError(str(error)) from None
    table: dict[str, Any] = {}
    for name, size in (("360p", (640, 360)), ("720p", (1280, 720))):
        content = long_video(120, size)
        moments = np.arange(0, 119, GAP_S)
        with open_media(content) as source:
            assert isinstance(source, FFmpegSource)
            expected = source.frames(moments, short_side=128, crop=112)
            spent: dict[str, list[float]] = {"dali": [], "pyav": []}
            for _ in range(5):
                begin = time.perf_counter()
                clips = list(source.clips(moments))
                parts = [decoder.decode(clips[at : at + BATCH]) for at in range(0, len(clips), BATCH)]
                spent["dali"].append(time.perf_counter() - begin)
                begin = time.perf_counter()
                source.frames(moments, short_side=128, crop=112)
                spent["pyav"].append(time.perf_counter() - begin)
        rows = [row for clip in clips for row in clip.rows]
        apart = np.abs(np.concatenate(parts).astype(int) - expected.images[rows]).mean()
        table[name] = {
            "ms": {who: 1e3 * float(np.median(all_)) for who, all_ in spent.items()},
            "frames": len(moments),
            "mean difference": float(apart),
        }
        part(name, table[name])
    goals = [goal(f"mean difference of 255, {n}", r["mean difference"], at_most=2) for n, r in table.items()]
    words = "; ".join(f"{n} {r['ms']['dali']:.0f} ms, PyAV {r['ms']['pyav']:.0f}" for n, r in table.items())
    return finished(goals, words, table=table)
