"""Pictures and sound of a scene, each a pure function of it."""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from training.data.motions import Pose, pose
from training.data.scene import Actor, Event, Look, Scene
from training.data.shapes import EXTENT, OUTLINES, TEXTURES, mark
from training.data.sounds import Wave, render_bed, render_voice

Image = NDArray[np.uint8]
Drift = tuple[float, float]
_DIP_SECONDS = 0.3
_RIM = 0.07  # width of an object's outline, in radii


def render_background(seed: int, width: int, height: int) -> Image:
    """Return a muted backdrop: a coarse random field, now and then with tiles, the same at any resolution."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.25, 0.75)
    field = base + rng.uniform(0.03, 0.12) * rng.standard_normal((5, 7, 3)) * [1.0, 0.9, 1.1]
    rows, columns = np.linspace(0, 4, height), np.linspace(0, 6, width)
    picture = _stretched(_stretched(field, rows).swapaxes(0, 1), columns).swapaxes(0, 1)
    if rng.random() < 0.4:
        across, down = rng.uniform(3.0, 9.0, 2)
        tiles = np.sign(np.sin(across * columns))[None, :] * np.sign(np.sin(down * rows))[:, None]
        picture += rng.uniform(0.02, 0.06) * tiles[..., None]
    return (np.clip(picture, 0.05, 0.95) * 255.0).astype(np.uint8)


def _stretched(field: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``field`` interpolated along its first axis."""
    low = np.minimum(at.astype(int), len(field) - 2)
    part = (at - low)[:, None, None]
    return field[low] * (1.0 - part) + field[low + 1] * part


class FrameRenderer:
    """Renders frames of one scene at one size; the backgrounds it keeps change no answer."""

    def __init__(self, scene: Scene, width: int, height: int) -> None:
        self._scene, self._width, self._height = scene, width, height
        self._margin = math.ceil(scene.drift[0] * height) + 1
        self._starts = [event.start for event in scene.events]
        self._cuts = [shot.start for shot in scene.shots]
        self._backgrounds: dict[int, Image] = {}

    def frame(self, time: float) -> Image:
        """Return the uint8 [height, width, 3] picture at ``time`` seconds."""
        scene = self._scene
        shot = bisect_right(self._cuts, time) - 1
        reach, x_period, y_period, x_phase, y_phase = scene.drift
        drift_x = reach * math.sin(2 * math.pi * (time / x_period + x_phase))
        drift_y = reach * math.sin(2 * math.pi * (time / y_period + y_phase))
        picture = self._backdrop(scene.shots[shot].background, drift_x, drift_y)
        event = scene.events[bisect_right(self._starts, time) - 1]
        if event.actor is not None:
            self._paint(picture, event, event.actor, time - event.start, (drift_x, drift_y))
        return self._lit(picture, time, shot)

    def _backdrop(self, seed: int, drift_x: float, drift_y: float) -> Image:
        margin = self._margin
        if seed not in self._backgrounds:
            size = (self._width + 2 * margin, self._height + 2 * margin)
            self._backgrounds[seed] = render_background(seed, *size)
        top, left = margin - round(drift_y * self._height), margin - round(drift_x * self._height)
        return self._backgrounds[seed][top : top + self._height, left : left + self._width].copy()

    def _paint(self, picture: Image, event: Event, actor: Actor, elapsed: float, drift: Drift) -> None:
        """Draws the object into its own small box; the rest of the picture is left alone."""
        place = pose(actor, elapsed)
        radius = actor.look.size * place.scale * self._height
        centre_x = self._width / 2 + (place.x + drift[0]) * self._height
        centre_y = self._height / 2 + (place.y + drift[1]) * self._height
        reach = EXTENT * radius + 1.0
        left, right = max(0, int(centre_x - reach)), min(self._width, int(centre_x + reach) + 2)
        top, bottom = max(0, int(centre_y - reach)), min(self._height, int(centre_y + reach) + 2)
        across = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - centre_x)) / np.float32(radius)
        down = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - centre_y)) / np.float32(radius)
        alpha, colour = _object(actor.look, place, across, down[:, None], np.float32(radius))
        left_of_event = event.end - event.start - elapsed
        if event.fade > 0.0:
            alpha *= np.float32(np.clip(min(elapsed, left_of_event) / event.fade, 0.0, 1.0))
        box = picture[top:bottom, left:right]
        box[...] = box + alpha[..., None] * (colour - box)

    def _lit(self, picture: Image, time: float, shot: int) -> Image:
        mean, depth, period, phase = self._scene.light
        gain = mean + depth * math.sin(2 * math.pi * (time / period + phase))
        for cut in self._scene.shots[max(shot, 1) : shot + 2]:
            if cut.dip:
                gain *= min(1.0, abs(time - cut.start) / _DIP_SECONDS)
        # A table of 256 entries is several times faster than arithmetic on every pixel.
        table = np.clip(np.arange(256) * gain, 0, 255).astype(np.uint8)
        return table[picture]


def _object(
    look: Look, place: Pose, across: Wave, down: Wave, radius: np.float32
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return opacity [h, w] and colour [h, w, 3] of an object whose middle is at (0, 0) of the two axes."""
    cos, sin = np.float32(math.cos(place.angle)), np.float32(math.sin(place.angle))
    x, y = cos * across + sin * down, cos * down - sin * across
    distance = OUTLINES[look.shape](x, y)
    alpha = np.clip(np.float32(0.5) - distance * radius, 0.0, 1.0)
    body, pattern, marked = (np.asarray(colour, np.float32) * 255.0 for colour in look.colours)
    mix = TEXTURES[look.texture](x, y, look.grain)[..., None]
    colour = body + mix * (pattern - body)
    colour[mark(x, y)] = marked
    colour[distance > -_RIM] = np.asarray(look.rim, np.float32) * 255.0
    return alpha, colour * np.float32(place.light)


def render_frame(scene: Scene, time: float, width: int, height: int) -> Image:
    """Return one frame by itself; to render many keep a :class:`FrameRenderer`."""
    return FrameRenderer(scene, width, height).frame(time)


def render_audio(scene: Scene, rate: int) -> Wave:
    """Return the whole sound track, float32 mono in [-1, 1], at ``rate`` Hz."""
    level, seed = scene.room
    track = np.random.default_rng(seed).standard_normal(math.ceil(scene.duration * rate), dtype=np.float32)
    track *= np.float32(level)
    for event in scene.events:
        first, last = math.ceil(event.start * rate), min(math.ceil(event.end * rate), len(track))
        if event.voice is not None:
            elapsed = np.arange(first, last) / rate - event.start
            track[first:last] += render_voice(event.voice, elapsed, rate)
        if event.bed is not None:
            track[first:last] += render_bed(event.bed, last - first, rate)
    return np.clip(track, -1.0, 1.0)
