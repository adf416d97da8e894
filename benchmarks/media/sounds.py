"""Sound with varied content: wind, voices, music, knocks and near silence, changing with the scenes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]


def sound(seed: int, starts: list[float], duration: float, rate: int) -> Wave:
    """Return stereo float32 [2, samples] in [-1, 1]; a new kind of sound begins at each of ``starts``."""
    rng = np.random.default_rng(seed)
    kinds = (_wind, _voice, _music, _knocks, _hush)
    parts = []
    for start, end in zip(starts, [*starts[1:], duration], strict=True):
        time = np.arange(round(end * rate) - round(start * rate), dtype=np.float32) / np.float32(rate)
        wave = kinds[int(rng.integers(len(kinds)))](rng, time)
        side = float(rng.uniform(0.6, 1.0))
        room = 0.004 * rng.standard_normal((2, len(time)), dtype=np.float32)
        parts.append(np.stack([wave, np.roll(wave, 20) * np.float32(side)]) + room)
    return np.asarray(np.clip(np.concatenate(parts, axis=1), -1, 1), np.float32)


def _wind(rng: np.random.Generator, time: Wave) -> Wave:
    spectrum = np.fft.rfft(rng.standard_normal(len(time), dtype=np.float32))
    spectrum /= np.sqrt(1 + np.arange(len(spectrum)))
    noise = np.fft.irfft(spectrum, len(time))
    swell = 0.6 + 0.4 * np.sin(2.1 * time)
    return np.asarray(0.15 * noise / (noise.std() + 1e-9) * swell, np.float32)


def _voice(rng: np.random.Generator, time: Wave) -> Wave:
    """Return a hum with overtones that comes in syllables."""
    pitch = float(rng.uniform(90, 220)) * (1 + 0.1 * np.sin(3 * time))
    phase = np.cumsum(pitch) * (2 * np.pi * float(time[1] - time[0]))
    tone = sum(np.sin(phase * n) / n ** rng.uniform(0.7, 1.5) for n in range(1, 16))
    syllables = np.clip(np.sin(2 * np.pi * 3.7 * time) + 0.4 * np.sin(9.1 * time), 0, None)
    return np.asarray(0.12 * tone * syllables, np.float32)


def _music(rng: np.random.Generator, time: Wave) -> Wave:
    notes = 220 * 2 ** (rng.integers(0, 25, 64) / 12)
    beat = (time * 2.5).astype(np.int64)
    phase = np.cumsum(notes[beat % 64]) * (2 * np.pi * float(time[1] - time[0]))
    fade = np.exp(-4 * (time * 2.5 - beat))
    tone = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.2 * np.sin(3 * phase)
    return np.asarray(0.2 * fade * tone, np.float32)


def _knocks(rng: np.random.Generator, time: Wave) -> Wave:
    since = time % np.float32(rng.uniform(0.3, 0.9))
    return np.asarray(
        0.5 * np.exp(-40 * since) * rng.standard_normal(len(time), dtype=np.float32), np.float32
    )


def _hush(rng: np.random.Generator, time: Wave) -> Wave:
    return 0.002 * rng.standard_normal(len(time), dtype=np.float32)
