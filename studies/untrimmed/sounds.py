"""ESC-10's sounds, and files joined from them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from l2l_engine.media import open_media
from training.errors import InputError

RATE = 16000
"""Hz."""
HOP = 16 / 30
SECONDS = 5
TARGETS = ("baby_cry", "chainsaw", "dog_bark", "person_sneeze", "rooster")
"""What happens now and then; the other five are what one hears all the time."""
SHORTEST, LONGEST = 40.0, 120.0
"""Seconds of a joined file."""
_STEP = RATE * HOP / 4
"""Samples: joints lie at multiples, so that most windows of the joined files are heard more than once."""
_SOUND_STEPS = 37
_SILENT = 0.2
"""Share of the pieces between that are silence: noise of -80 to -55 dB."""

Wave = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sounds:
    """Real sounds of five seconds, all at once.

    Attributes:
        waves: float32 [S, 80000].
        classes: The name of each one's class.
        folds: int64 [S], 1 to 5; recordings of one source lie in one fold.
        names: The files' names.
    """

    waves: Wave
    classes: tuple[str, ...]
    folds: NDArray[np.int64]
    names: tuple[str, ...]

    def of(self, folds: NDArray[np.int64] | list[int], names: tuple[str, ...]) -> list[int]:
        """Return which sounds are of some folds and classes."""
        inside = np.isin(self.folds, folds)
        return [i for i in np.flatnonzero(inside).tolist() if self.classes[i] in names]

    @property
    def background(self) -> tuple[str, ...]:
        """The classes that are no target."""
        return tuple(name for name in dict.fromkeys(self.classes) if name not in TARGETS)


@dataclass(frozen=True, slots=True)
class Joined:
    """A file of several sounds, one of them of a target class.

    Attributes:
        wave: float32 [samples].
        span: Seconds from when to when the target is heard.
        label: Its number in ``TARGETS``.
        target: Its number in the sounds.
    """

    wave: Wave
    span: tuple[float, float]
    label: int
    target: int


def read_sounds(folder: Path) -> Sounds:
    """Read ESC-10: a folder a class, files named fold-id-take.

    Raises:
        InputError: If there is no such folder, or a class is missing.
    """
    files = sorted(folder.glob("*/*.opus")) + sorted(folder.glob("*/*.wav")) + sorted(folder.glob("*/*.ogg"))
    classes = tuple(path.parent.name for path in files)
    if not set(TARGETS) < set(classes):
        raise InputError(f"{folder}: no folders with the sounds of {', '.join(TARGETS)}, and others beside")
    waves = []
    for path in files:
        with closing(open_media(path)) as source:
            starts = np.arange(SECONDS, dtype=np.float64)
            waves.append(source.audio_windows(starts, window=RATE, sample_rate=RATE).samples.reshape(-1))
    folds = np.array([int(path.stem.split("-")[0]) for path in files])
    return Sounds(np.stack(waves), classes, folds, tuple(path.stem for path in files))


def silences(count: int = 5) -> Wave:
    """Return what a microphone hears of nothing: noise of -80 to -55 dB, float32 [count, 80000]."""
    rng = np.random.default_rng(5)
    levels = 10 ** (np.linspace(-80, -55, count) / 20)
    noise = rng.normal(0, 1, (count, SECONDS * RATE)) * levels[:, None]
    return noise.astype(np.float32)


def join_files(sounds: Sounds, fold: int, count: int) -> list[Joined]:
    """Join files of one fold's sounds alone; classes and sounds of the targets take turns."""
    between = sounds.of([fold], sounds.background)
    targets = [sounds.of([fold], (name,)) for name in TARGETS]
    nothing, files = silences(), []
    for number in range(count):
        label = number % len(TARGETS)
        own = targets[label]
        target = own[number // len(TARGETS) % len(own)]
        rng = np.random.default_rng([8, fold, number])
        pieces, place = _pieces(rng, [sounds.waves[i] for i in between], nothing, sounds.waves[target])
        files.append(_joined(pieces, place, at=_start(rng, place), label=label, target=target))
    return files


def _pieces(
    rng: np.random.Generator, between: list[Wave], nothing: Wave, own: Wave
) -> tuple[list[tuple[Wave, int]], int]:
    """Return what follows what, and for how many steps; and which of it is to be found."""
    length, total = rng.uniform(SHORTEST, LONGEST), float(SECONDS)
    pieces: list[tuple[Wave, int]] = []
    while total < length:
        if rng.random() < _SILENT:
            piece = nothing[int(rng.integers(len(nothing)))], int(rng.integers(8, _SOUND_STEPS + 1))
        else:
            piece = between[int(rng.integers(len(between)))], _SOUND_STEPS
        pieces.append(piece)
        total += piece[1] * HOP / 4
    place = int(rng.integers(len(pieces) + 1))
    pieces.insert(place, (own, _SOUND_STEPS))
    return pieces, place


def _start(rng: np.random.Generator, place: int) -> int:
    """Return the step at which the first sound begins, unless that is the one to be found: it is cut."""
    return -int(rng.integers(_SOUND_STEPS)) if place else 0


def _joined(pieces: list[tuple[Wave, int]], place: int, *, at: int, label: int, target: int) -> Joined:
    parts, span = [], (0.0, 0.0)
    for number, (wave, steps) in enumerate(pieces):
        begin, end = round(at * _STEP), round((at + steps) * _STEP)
        parts.append(wave[max(0, -begin) : end - begin])
        if number == place:
            span = max(0, begin) / RATE, end / RATE
        at += steps
    return Joined(np.concatenate(parts), span, label, target)
