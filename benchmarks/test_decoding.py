"""Decoding alone: frames and sound at the same moments, ours and plainly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import floor
from benchmarks.conftest import Bench
from benchmarks.harness import OURS, Contestant, wall
from benchmarks.media import files
from benchmarks.peers import plain
from l2l_engine.media import open_media

SEEKING, DECODING, TRACK = "PyAV, exact seeks", "PyAV, full decode", "whole track, torchaudio"
FLOOR = "FFmpeg alone, one thread"
FILES = ["120s-360p.mp4", "120s-360p.webm", "5min-720p.mp4"]


def every_fifth(path: Path) -> np.ndarray:
    return np.ascontiguousarray(plain.timestamps(path)[::5])


@pytest.mark.parametrize("name", FILES)
def test_frames(bench: Bench, name: str) -> None:
    path = files.file(name if bench.timed else "8s-90p.mp4")
    times = every_fifth(path)

    def ours() -> np.ndarray:
        with open_media(path) as source:
            return source.frames(times, short_side=128, crop=112).images

    near(ours(), plain.frames_by_seeking(path, times).numpy())
    least = floor.FileFloor(path, floor.Knots(times, np.zeros(0)))
    contestants = {
        OURS: wall(ours),
        SEEKING: wall(lambda: plain.frames_by_seeking(path, times)),
        DECODING: wall(lambda: plain.frames_by_decoding(path, times)),
        FLOOR: Contestant(least.video),
    }
    samples = bench.time(f"frames, {name}", contestants, 3)
    case = bench.case("decoding", f"{name}, every fifth frame")
    if bench.timed:
        case.samples = samples
        case.faster_than(SEEKING)
        case.faster_than(DECODING)
        case.within(FLOOR)


@pytest.mark.parametrize("name", FILES)
def test_sound(bench: Bench, name: str) -> None:
    path = files.file(name if bench.timed else "8s-90p.mp4")
    times = every_fifth(path)

    def ours() -> np.ndarray:
        with open_media(path) as source:
            return source.audio_windows(times, window=16000, sample_rate=16000).samples

    assert np.corrcoef(loudness(ours()), loudness(plain.windows(path, times).numpy()))[0, 1] > 0.85
    least = floor.FileFloor(path, floor.Knots(np.zeros(0), times))
    contestants = {
        OURS: wall(ours),
        TRACK: wall(lambda: plain.windows(path, times)),
        FLOOR: Contestant(least.audio),
    }
    samples = bench.time(f"sound, {name}", contestants, 7)
    case = bench.case("decoding", f"{name}, sound at every fifth")
    if bench.timed:
        case.samples = samples
        case.faster_than(TRACK)
        case.within(FLOOR)


def loudness(windows: np.ndarray) -> np.ndarray:
    """By tenths of a second: the plain track ignores timestamps, and is off by some milliseconds for it."""
    return np.sqrt(np.square(windows.reshape(-1, 1600)).mean(axis=1))


def near(ours: np.ndarray, theirs: np.ndarray) -> None:
    """The same frames, but for how they were made small."""
    assert np.abs(ours.astype(float) - theirs).mean(axis=(1, 2, 3)).max() < 12
