"""Frames as a camera would give them: 1/f textures under a moving view, objects, cuts, grain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

TEXTURES = 5
SCENE_SECONDS = (3.0, 9.0)
GRAIN = 1.5
"""Standard deviation of the sensor's noise, in grey levels."""
MARGIN = 0.35
"""How far the view may move, as a share of its size."""


@dataclass(frozen=True, slots=True)
class Texture:
    """A piece of the world: brightness, also moved half a pixel down and right, and colour at half size."""

    light: tuple[tuple[Plane, Plane], tuple[Plane, Plane]]
    colour: tuple[Plane, Plane]


@dataclass(frozen=True, slots=True)
class Thing:
    """An object: a soft-edged disc or box of some texture that swings along a path."""

    texture: Texture
    mask: NDArray[np.bool_]
    centre: tuple[float, float]
    swing: tuple[float, float]
    speed: tuple[float, float]
    phase: float

    def place(self, seconds: float, height: int, width: int) -> tuple[int, int]:
        """Return top and left at a moment, even numbers, wholly inside the frame."""
        size = self.mask.shape
        y = self.centre[0] + self.swing[0] * math.sin(self.speed[0] * seconds + self.phase)
        x = self.centre[1] + self.swing[1] * math.cos(self.speed[1] * seconds + self.phase)
        top = min(max(int(y * (height - size[0])), 0), height - size[0])
        left = min(max(int(x * (width - size[1])), 0), width - size[1])
        return top // 2 * 2, left // 2 * 2


@dataclass(frozen=True, slots=True)
class Scene:
    """What is seen between two cuts."""

    texture: Texture
    pan: tuple[float, float]
    sway: float
    things: tuple[Thing, ...]


def cuts(rng: np.random.Generator, duration: float) -> list[float]:
    """Return where scenes begin, in seconds; the first at 0."""
    starts = [0.0]
    while starts[-1] < duration:
        starts.append(starts[-1] + float(rng.uniform(*SCENE_SECONDS)))
    return starts[:-1]


def frames(
    seed: int, starts: list[float], duration: float, rate: int, height: int, width: int
) -> Iterator[Plane]:
    """Yield the frames as YUV 4:2:0, uint8 [3 * height / 2, width], all in one and the same buffer."""
    rng = np.random.default_rng(seed)
    textures = [_texture(rng, height, width) for _ in range(TEXTURES)]
    grain = [_grain(rng, height, width) for _ in range(8)]
    frame = np.empty((3 * height // 2, width), np.uint8)
    ends = [*starts[1:], duration]
    number = 0
    for start, end in zip(starts, ends, strict=True):
        scene = _scene(rng, textures, height, width)
        while number < round(end * rate):
            _draw(scene, number / rate - start, frame, height, width)
            light = frame[:height]
            np.add(light, grain[number * 5 % 8], out=light)  # never leaves 16 to 235, so nothing wraps round
            yield frame
            number += 1


def _texture(rng: np.random.Generator, height: int, width: int) -> Texture:
    tall, wide = (round(side * (1 + MARGIN)) // 2 * 2 for side in (height, width))
    light = _one_over_f(rng, 2 * tall, 2 * wide, 38.0) + rng.uniform(90, 150)
    colour = [_one_over_f(rng, tall // 2, wide // 2, 14.0) + rng.uniform(108, 148) for _ in range(2)]
    fine, blue, red = (np.clip(plane, 28, 222).astype(np.uint8) for plane in (light, *colour))
    moved = [[np.ascontiguousarray(fine[down::2, right::2]) for right in (0, 1)] for down in (0, 1)]
    return Texture(((moved[0][0], moved[0][1]), (moved[1][0], moved[1][1])), (blue, red))


def _one_over_f(rng: np.random.Generator, height: int, width: int, deviation: float) -> NDArray[np.float32]:
    """Return noise whose amplitude falls with spatial frequency as 1/f, as that of photographs does."""
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    radius[0, 0] = np.inf
    noise = np.fft.irfft2(spectrum / radius, s=(height, width))
    return np.asarray(noise * (deviation / noise.std()), np.float32)


def _grain(rng: np.random.Generator, height: int, width: int) -> Plane:
    """Return small signed numbers, as uint8 that wrap round when added."""
    noise = rng.standard_normal((height, width), dtype=np.float32) * GRAIN
    return np.asarray(np.clip(np.rint(noise), -6, 6), np.int8).view(np.uint8)


def _scene(rng: np.random.Generator, textures: list[Texture], height: int, width: int) -> Scene:
    back, *others = rng.permutation(len(textures))
    things = tuple(
        _thing(rng, textures[others[n % len(others)]], height) for n in range(int(rng.integers(1, 4)))
    )
    pan = rng.uniform(-0.03, 0.03, 2) * (rng.random() < 0.6)  # of the margin a second; else a still camera
    return Scene(textures[back], (float(pan[0]), float(pan[1])), float(rng.uniform(0, 0.02)), things)


def _thing(rng: np.random.Generator, texture: Texture, height: int) -> Thing:
    size = int(rng.uniform(0.15, 0.4) * height) // 2 * 2
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    power = float(rng.choice([2.0, 6.0]))  # a disc, or a box with round corners
    return Thing(
        texture,
        (np.abs(y) ** power + np.abs(x) ** power) < 1,
        (float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7))),
        (float(rng.uniform(0, 0.3)), float(rng.uniform(0.05, 0.3))),
        (float(rng.uniform(0.3, 2.0)), float(rng.uniform(0.3, 2.0))),
        float(rng.uniform(0, math.tau)),
    )


def _draw(scene: Scene, seconds: float, frame: Plane, height: int, width: int) -> None:
    tall, wide = scene.texture.light[0][0].shape
    sway = scene.sway * math.sin(1.3 * seconds)
    room = 2 * (tall - height), 2 * (wide - width)
    top, left = (
        min(max(int((0.5 + move * seconds + sway) * space), 0), space - 1)
        for move, space in zip(scene.pan, room, strict=True)
    )
    light = scene.texture.light[top % 2][left % 2]
    frame[:height] = light[top // 2 : top // 2 + height, left // 2 : left // 2 + width]
    planes = _colour_planes(frame, height, width)
    for plane, colour in zip(planes, scene.texture.colour, strict=True):
        plane[:] = colour[top // 4 : top // 4 + height // 2, left // 4 : left // 4 + width // 2]
    for thing in scene.things:
        _paint(thing, seconds, frame, planes, height, width)


def _paint(
    thing: Thing, seconds: float, frame: Plane, planes: tuple[Plane, Plane], height: int, width: int
) -> None:
    size = len(thing.mask)
    y, x = thing.place(seconds, height, width)
    light = thing.texture.light[0][0]
    np.copyto(frame[y : y + size, x : x + size], light[:size, :size], where=thing.mask)
    half, mask = size // 2, thing.mask[::2, ::2]
    for plane, colour in zip(planes, thing.texture.colour, strict=True):
        np.copyto(plane[y // 2 : y // 2 + half, x // 2 : x // 2 + half], colour[:half, :half], where=mask)


def _colour_planes(frame: Plane, height: int, width: int) -> tuple[Plane, Plane]:
    rows = frame[height:].reshape(2, height // 2, width // 2)
    return rows[0], rows[1]
