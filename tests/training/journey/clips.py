"""Clips of a few seconds that look and sound like no set of ours: textures, sounds, cuts; a folder a class.

    python -m tests.training.journey.clips FOLDER 300

A class is a texture that moves and a sound. Colours, sizes, speeds, loudness and noise differ from clip to
clip; a third of the clips is cut, once or twice, to a texture that no class has; of "ripples in" and
"ripples out" no frame and no sound tells one from the other. Clips with the same number before "_part" are
cut from one recording: the same drawing a little later.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS, RATE = 160, 120, 12, 22050
Picture = NDArray[np.float64]
Draw = Callable[[Picture, Picture, float, np.random.Generator], Picture]
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT


def stripes(x: Picture, y: Picture, t: float, rng: np.random.Generator) -> Picture:
    turn, fine = rng.uniform(-0.6, 0.6), rng.uniform(4, 9)
    return np.sin(2 * np.pi * fine * (x * np.cos(turn) + y * np.sin(turn)) + 5 * t)


def checks(x: Picture, y: Picture, t: float, rng: np.random.Generator) -> Picture:
    fine = rng.uniform(3, 7)
    return np.sign(np.sin(fine * np.pi * (x + 0.2 * t)) * np.sin(fine * np.pi * y))


def rain(x: Picture, y: Picture, t: float, rng: np.random.Generator) -> Picture:
    drops = rng.random((int(rng.integers(15, 30)), 2))
    fall = (drops[:, 1] + 0.8 * t) % 1.0
    far = np.hypot(x[..., None] - 1.3 * drops[:, 0], (y[..., None] - fall) / 3)
    return 2 * (far.min(axis=-1) < 0.03) - 1.0


def clouds(x: Picture, y: Picture, t: float, rng: np.random.Generator) -> Picture:
    waves = rng.normal(0, 3, (8, 2))
    shifts = rng.uniform(0, 6, 8)
    return sum(np.sin(a * x + b * y + c + 0.7 * t) for (a, b), c in zip(waves, shifts, strict=True)) / 4


def _ripples(x: Picture, y: Picture, t: float, rng: np.random.Generator, way: float) -> Picture:
    far = np.hypot(x - rng.uniform(0.4, 0.9), y - rng.uniform(0.3, 0.7))
    return np.sin(rng.uniform(20, 40) * far - way * 6 * t)


def ripples_out(x: Picture, y: Picture, t: float, rng: np.random.Generator) -> Picture:
    return _ripples(x, y, t, rng, 1.0)


def ripples_in(x: Picture, y: Picture, t: float, rng: np.random.Generator) -> Picture:
    return _ripples(x, y, t, rng, -1.0)


def elsewhere(x: Picture, y: Picture, t: float, rng: np.random.Generator) -> Picture:
    """What a clip is cut to: a box that jumps."""
    box = (abs(x - rng.uniform(0.3, 1.0) - 0.1 * np.floor(3 * t)) < 0.2) & (
        abs(y - rng.uniform(0.2, 0.8)) < 0.2
    )
    return 2.0 * box - 1


def hum(t: Picture, rng: np.random.Generator) -> Picture:
    pitch = rng.uniform(70, 120)
    return sum(np.sin(2 * np.pi * pitch * n * t) / n for n in (1, 2, 3, 5)) / 2


def ticks(t: Picture, rng: np.random.Generator) -> Picture:
    every = rng.uniform(0.2, 0.4)
    return np.exp(-60 * (t % every)) * np.sin(2 * np.pi * 1800 * t)


def hiss(t: Picture, rng: np.random.Generator) -> Picture:
    return 0.4 * rng.standard_normal(len(t))


def chord(t: Picture, rng: np.random.Generator) -> Picture:
    root = rng.uniform(200, 300)
    return sum(np.sin(2 * np.pi * root * r * t) for r in (1, 1.25, 1.5)) / 3


def chirps(t: Picture, rng: np.random.Generator) -> Picture:
    every = rng.uniform(0.4, 0.7)
    part = t % every
    return np.sin(2 * np.pi * (600 * part + 2500 * part**2)) * (part < 0.3)


CLASSES: dict[str, tuple[Draw, Callable[[Picture, np.random.Generator], Picture]]] = {
    "stripes": (stripes, hum),
    "checks": (checks, ticks),
    "rain": (rain, hiss),
    "clouds": (clouds, chord),
    "ripples out": (ripples_out, chirps),
    "ripples in": (ripples_in, chirps),
}


def write_clip(path: Path, label: str, seed: int, *, later: float = 0.0, sound: bool | None = True) -> None:
    """Draw and encode one clip.

    Args:
        path: An MP4.
        label: Of :data:`CLASSES`.
        seed: Draws all that differs; the same seed, the same recording.
        later: Seconds into the recording.
        sound: None for a track of digital silence, False for no track.
    """
    rng = np.random.default_rng(seed)
    draw, voice = CLASSES[label]
    seconds, kind = rng.uniform(2.0, 4.0), int(rng.integers(1 << 30))
    dark, light = rng.uniform(0, 110, 3), rng.uniform(130, 255, 3)
    cuts = np.sort(rng.uniform(0.3, seconds - 0.3, 2)) if rng.random() < 1 / 3 else np.array([9.0, 9.0])
    grain, loud = rng.uniform(1, 8), rng.uniform(0.1, 0.6)
    frames = round(seconds * FPS)
    times = later + np.arange(round(frames / FPS * RATE)) / RATE
    wave = loud * voice(times, np.random.default_rng(kind)) + 0.01 * rng.standard_normal(len(times))
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "threads": "1"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = None if sound is False else out.add_stream("aac", rate=RATE, layout="mono")
        for number in range(frames):
            now = number / FPS
            shown = elsewhere if cuts[0] <= now < min(cuts[1], cuts[0] + 0.8) else draw
            value = (shown(_X, _Y, later + now, np.random.default_rng(kind))[..., None] + 1) / 2
            picture = dark + (light - dark) * value.clip(0, 1) + rng.normal(0, grain, (HEIGHT, WIDTH, 1))
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None:
            samples = (wave if sound else 0 * wave).clip(-1, 1).astype(np.float32)[None]
            part = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = RATE, 0, Fraction(1, RATE)
            out.mux(audio.encode(part))
            out.mux(audio.encode(None))


def write_folder(root: Path, count: int, classes: int = len(CLASSES)) -> None:
    """Write about ``count`` clips of the first classes, and beside them files that are broken in usual ways.

    A tenth of the recordings come in two parts; one clip of each class has no sound, one silence.
    """
    for row, label in enumerate(list(CLASSES)[:classes]):
        (root / label).mkdir(parents=True, exist_ok=True)
        own = count // classes
        number = written = 0
        while written < own:
            seed = 1000 * row + number
            parts = 2 if number % 10 == 3 and written + 2 <= own else 1
            for part in range(parts):
                name = f"{number:03}_part{part + 1}.mp4" if parts > 1 else f"{number:03}.mp4"
                sound = {1: None, 2: False}.get(number, True)
                write_clip(root / label / name, label, seed, later=1.5 * part, sound=sound)
            written += parts
            number += 1
    whole = (root / "rain" / "000.mp4").read_bytes()
    (root / "rain" / "cut off.mp4").write_bytes(whole[: len(whole) // 3])
    (root / "checks" / "words.mp4").write_text("This is no film.\n")
    (root / "checks" / "empty.mp4").write_bytes(b"")
    (root / "checks" / "notes.txt").write_text("nor is this\n")


if __name__ == "__main__":
    write_folder(Path(sys.argv[1]), int(sys.argv[2]))
