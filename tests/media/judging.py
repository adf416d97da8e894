"""Our answers for a file, in every way of asking, held against a walk from its first packet to its last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l2l_engine.media import MediaSource, open_media, timestamps
from l2l_engine.media.sampling import image_knots

from .reference import Walk

HOP = 16 / 30
FRAME = 0.045
"""Seconds of one frame of the files made here, and a little."""
POLICIES = ("exact", "keyframes", "auto", "listen")


def judged(content: bytes, truth: Walk, *, least: float = 1.0, declared: float = 0.0) -> list[str]:
    """What is wrong; nothing if all pictures, windows, lengths and tracks are those of the walk.

    Args:
        least: Share of the moments that must be valid; what is valid must be right in any case.
        declared: Seconds by which the header may make the file longer than its packets do.
    """
    wrong = []
    with open_media(content) as source:
        if source.has_video != (truth.video is not None):
            wrong.append(f"video: {source.has_video}")
        if source.has_audio != (truth.audio is not None):
            wrong.append(f"audio: {source.has_audio}")
        if not -FRAME - 0.02 < source.duration - truth.duration < FRAME + 0.02 + declared:
            wrong.append(f"lasts {source.duration:.3f} s, not {truth.duration:.3f} s")
    if truth.video is not None:
        for policy in POLICIES:
            with open_media(content) as source:
                wrong += [f"{policy}: {one}" for one in _pictures(source, truth, policy, least)]
        with open_media(content) as source:
            wrong += [f"after the others: {one}" for one in _pictures(source, truth, "auto", least)]
            wrong += [f"again: {one}" for one in _pictures(source, truth, "exact", least)]
            other = source.another()
            assert other is not None
            with other:
                wrong += [f"another reader: {one}" for one in _pictures(other, truth, "auto", least)]
    if truth.audio is not None and len(set(truth.audio.rates)) == 1:
        wrong += _sounds(content, truth, least)
    return wrong


def moments(source: MediaSource, policy: str) -> NDArray[np.float64]:
    """Where a policy looks."""
    times = timestamps(source.duration, HOP)
    keys = np.zeros(0) if policy == "exact" else source.key_times()
    gap = 2.5 if policy == "auto" else 1.0
    return image_knots(times, keys, policy=policy, max_gap=gap)  # type: ignore[arg-type]


def _pictures(source: MediaSource, truth: Walk, policy: str, least: float) -> list[str]:
    assert truth.video is not None
    times = moments(source, policy)
    got = source.frames(times, short_side=128, crop=112)
    wrong = [] if got.valid.mean() >= least else [f"{(~got.valid).sum()} of {len(times)} moments lost"]
    for row in np.flatnonzero(got.valid):
        expected = truth.row(times[row])
        near = range(
            max(0, expected - truth.rejoined), min(len(truth.video.shown), expected + 1 + truth.rejoined)
        )
        if not any(np.array_equal(got.images[row], one) for one in truth.video.shown[near.start : near.stop]):
            same = [i for i, one in enumerate(truth.video.shown) if np.array_equal(got.images[row], one)]
            wrong.append(f"at {times[row]:.3f} s frame {same[:3]}, not {expected}")
    return wrong[:6]


def _sounds(content: bytes, truth: Walk, least: float) -> list[str]:
    assert truth.audio is not None
    rate = truth.audio.rates[0]
    lag = round(FRAME * rate) if truth.rejoined else 64
    wrong = []
    with open_media(content) as source:
        dense = np.arange(0.0, max(0.1, truth.duration - 0.5), 0.4)
        for starts in (dense, dense[1::5], dense[-1:]):
            if len(starts) == 0:
                continue
            got = source.audio_windows(starts, window=rate // 2, sample_rate=rate)
            if got.valid.mean() < least:
                wrong.append(f"{(~got.valid).sum()} of {len(starts)} windows lost")
            for row in np.flatnonzero(got.valid):
                if any(0.0 <= joint - starts[row] + FRAME <= 0.5 + 2 * FRAME for joint in truth.joints):
                    continue
                want, held = truth.sound(starts[row], 0.5)
                if held > 0.4 and (worst := _unlike(got.samples[row], want[: rate // 2], lag)) > 0.3:
                    wrong.append(f"at {starts[row]:.3f} s other sound ({worst:.2f})")
    return wrong[:6]


def _unlike(got: NDArray[np.float32], want: NDArray[np.float32], lag: int) -> float:
    """Share of the energy that differs, at the best of a few shifts of samples (containers round times)."""
    size = 2 * len(want)
    match = np.fft.irfft(np.fft.rfft(want, size) * np.conj(np.fft.rfft(got, size)), size)
    shift = max(range(-lag, lag + 1), key=lambda s: match[s])
    inner = slice(lag + 1, -lag - 1)
    return float(np.mean((np.roll(got, shift) - want)[inner] ** 2)) / max(1e-3, float(np.mean(want**2)))
