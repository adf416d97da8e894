"""Pictures and sound of a script, made from the recordings of one split."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.data.digits.source import RATE, Source
from training.data.digits.timeline import Part, Script
from training.data.render import Image, render_background
from training.data.sounds import Wave

_PAUSE = (0.15, 0.5)  # between two words of a stretch
_SPEED = (0.88, 1.14)  # plays faster and higher, or slower and lower: few speakers become many
_SIDE = (0.3, 0.55)  # of a digit, as a share of the frame's height


class DigitFootage:
    """One script with everything that is random in it settled by its seeds."""

    def __init__(self, script: Script, source: Source) -> None:
        self._script, self._source = script, source
        self._starts = [part.start for part in script.parts]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self._script.duration

    def frames(self, width: int, height: int) -> Callable[[float], Image]:
        """Return a function from seconds to the uint8 [height, width, 3] picture shown then."""
        rng = np.random.default_rng([self._script.seed, 1])
        # Each part and each gap has its backdrop, or a digit's would be known by it.
        seeds = rng.integers(2**31, size=2 * len(self._starts) + 1).tolist()
        edges = sorted({0.0, *self._starts, *(part.end for part in self._script.parts)})
        backdrops: dict[int, Image] = {}
        looks = {part.start: _Look(part, self._source, width, height) for part in self._script.parts}

        def picture(time: float) -> Image:
            shot = bisect_right(edges, time) - 1
            if shot not in backdrops:
                backdrops.clear()
                backdrops[shot] = render_background(seeds[shot // 2], width, height)
            image = backdrops[shot].copy()
            part = self._part(time)
            if part is not None and part.shown is not None:
                looks[part.start].paint(image, time - part.start)
            return image

        return picture

    def sound(self, rate: int) -> Wave:
        """Return the whole sound track, float32 mono in [-1, 1], at ``rate`` Hz."""
        rng = np.random.default_rng([self._script.seed, 2])
        track = np.zeros(math.ceil(self._script.duration * RATE), np.float32)
        track += np.float32(10 ** rng.uniform(-3.5, -2.3)) * rng.standard_normal(len(track), dtype=np.float32)
        self._add_noises(rng, track)
        for part in self._script.parts:
            if part.spoken is not None:
                first, last = round(part.start * RATE), round(part.end * RATE)
                track[first:last] += _speech(part, self._source, last - first)
        track = np.clip(track, -1.0, 1.0)
        if rate == RATE:
            return track
        times = np.arange(math.ceil(self._script.duration * rate)) / rate
        return np.interp(times, np.arange(len(track)) / RATE, track).astype(np.float32)

    def _part(self, time: float) -> Part | None:
        at = bisect_right(self._starts, time) - 1
        part = self._script.parts[at] if at >= 0 else None
        return part if part is not None and time < part.end else None

    def _add_noises(self, rng: np.random.Generator, track: Wave) -> None:
        """Add everyday sounds here and there, without regard to what is shown or said."""
        for _ in range(int(rng.poisson(len(track) / RATE / 12))):
            noise = self._source.noises[int(rng.integers(len(self._source.noises)))]
            start = int(rng.integers(len(track)))
            end = min(len(track), start + len(noise))
            track[start:end] += np.float32(rng.uniform(0.03, 0.25)) * noise[: end - start]


def _speech(part: Part, source: Source, length: int) -> Wave:
    """Say the digit again and again in one voice, from any of its recordings, to the end of a word."""
    rng = np.random.default_rng([part.seed, 3])
    assert part.spoken is not None
    takes = source.voices[part.spoken]
    speaker = takes[int(rng.integers(len(takes)))][0]
    own = [wave for number, wave in takes if number == speaker]
    level, speed = np.float32(rng.uniform(0.35, 0.8)), rng.uniform(*_SPEED)
    track, at = np.zeros(length, np.float32), int(rng.uniform(0.0, 0.15) * RATE)
    while True:
        word = _played(own[int(rng.integers(len(own)))], speed)
        if at + len(word) > length:
            return track
        track[at : at + len(word)] = level * word
        at += len(word) + int(rng.uniform(*_PAUSE) * RATE)


def _played(wave: Wave, speed: float) -> Wave:
    count = int(len(wave) / speed)
    return np.interp(np.arange(count) * speed, np.arange(len(wave)), wave).astype(np.float32)


class _Look:
    """How one part shows its digit: who wrote it, where, how large, in what colours, and how it drifts."""

    def __init__(self, part: Part, source: Source, width: int, height: int) -> None:
        if part.shown is None:
            return
        rng = np.random.default_rng([part.seed, 4])
        images = source.images[part.shown]
        side = max(20, round(rng.uniform(*_SIDE) * height))
        self._ink = _resized(images[int(rng.integers(len(images)))], side)
        dark = rng.random() < 0.5
        paper, ink = rng.uniform(0.7, 1.0, 3), rng.uniform(0.0, 0.3, 3)
        self._colour = (255 * (ink if dark else paper)).astype(np.float32)
        self._paper = (255 * (paper if dark else ink)).astype(np.float32)
        room = np.array([height - side, width - side])
        self._place = room / 2 + rng.uniform(-0.3, 0.3, 2) * np.minimum(room, height)
        self._drift = rng.uniform(-0.03, 0.03, 2) * height
        self._room = room

    def paint(self, image: Image, elapsed: float) -> None:
        """Draw the digit on its card, ``elapsed`` seconds into the part."""
        top, left = np.clip(np.round(self._place + self._drift * elapsed), 0, self._room).astype(int)
        side = len(self._ink)
        card = self._paper + self._ink[..., None] * (self._colour - self._paper)
        image[top : top + side, left : left + side] = card.astype(np.uint8)


def _resized(image: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Bring [28, 28] to [side, side] in 0 to 1, by straight lines between pixels."""
    at = np.linspace(0, 27, side)
    low = np.minimum(at.astype(int), 26)
    part = (at - low).astype(np.float32)
    rows = image[low] * (1 - part)[:, None] + image[low + 1] * part[:, None]
    return np.asarray((rows[:, low] * (1 - part) + rows[:, low + 1] * part) / 255, np.float32)
