"""The recordings AV-Digits is made of, each split with its own writers, speakers and sounds."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from l2l_engine.media import open_media
from training.data.sounds import Wave

RATE = 16000
"""Hz of everything here."""
DIGITS = tuple("0123456789")
SPLITS = ("train", "validation", "test")
_VALIDATION_SHARE = 1 / 6
"""Of MNIST's training images of each digit, the last: neighbours in its order are often by one writer."""
_SPEAKERS = {"train": slice(0, 4), "validation": slice(4, 5), "test": slice(5, None)}
_FOLDS = {"train": "123", "validation": "4", "test": "5"}


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What one split may show and play.

    Attributes:
        images: By digit, uint8 [count, 28, 28], white on black (MNIST).
        voices: By digit, mono recordings at ``RATE`` with their speaker's number (Free Spoken Digit Dataset).
        noises: Mono recordings at ``RATE`` (ESC-10).
    """

    images: tuple[NDArray[np.uint8], ...]
    voices: tuple[tuple[tuple[int, Wave], ...], ...]
    noises: tuple[Wave, ...]


@functools.lru_cache(maxsize=3)
def load_source(folder: Path, split: str) -> Source:
    """Read one split of ``folder``: ``digits/mnist.npz``, ``digits/fsdd.npz``, ``esc10/CLASS/*``.

    The test set has MNIST's own test writers. Speakers are split by name; ESC-10 by its folds, which share no
    recording.

    Raises:
        FileNotFoundError: If something is missing; the message says what and where it is published.
        ValueError: If a file is not what it should be.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
    return Source(_images(folder, split), _voices(folder, split), _noises(folder, split))


def _arrays(path: Path, names: tuple[str, ...], published: str) -> dict[str, NDArray[np.generic]]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; its data are published as {published}")
    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in names if name not in file.files]
        if missing:
            raise ValueError(f"{path}: has no array {', '.join(missing)}")
        return {name: file[name] for name in names}


def _images(folder: Path, split: str) -> tuple[NDArray[np.uint8], ...]:
    part = "test" if split == "test" else "train"
    names = (f"{part}_x", f"{part}_y")
    arrays = _arrays(folder / "digits" / "mnist.npz", names, "MNIST")
    images, labels = (arrays[name] for name in names)
    if images.shape[1:] != (28, 28) or images.dtype != np.uint8:
        found = f"{images.dtype} {images.shape}"
        raise ValueError(f"{folder}: MNIST's images are uint8 [count, 28, 28], not {found}")
    of_digit = [np.asarray(images[labels == digit], np.uint8) for digit in range(10)]
    if not all(map(len, of_digit)):
        raise ValueError(f"{folder}: MNIST lacks a digit")
    if split == "test":
        return tuple(of_digit)
    first = [round(len(own) * (1 - _VALIDATION_SHARE)) for own in of_digit]
    parts = zip(of_digit, first, strict=True)
    return tuple(own[:at] if split == "train" else own[at:] for own, at in parts)


def _voices(folder: Path, split: str) -> tuple[tuple[tuple[int, Wave], ...], ...]:
    names = ("samples", "offsets", "digit", "speaker", "sample_rate")
    arrays = _arrays(folder / "digits" / "fsdd.npz", names, "the Free Spoken Digit Dataset")
    everyone = np.unique(arrays["speaker"]).tolist()
    chosen = everyone[_SPEAKERS[split]]
    offsets, rate = arrays["offsets"], int(arrays["sample_rate"])
    voices: tuple[list[tuple[int, Wave]], ...] = tuple([] for _ in DIGITS)
    for number, (digit, speaker) in enumerate(zip(arrays["digit"], arrays["speaker"], strict=True)):
        if str(speaker) in chosen:
            samples = arrays["samples"][offsets[number] : offsets[number + 1]]
            wave = samples.astype(np.float32) / np.float32(32768)
            voices[int(digit)].append((everyone.index(str(speaker)), _at_rate(_normal(wave), rate)))
    return tuple(map(tuple, voices))


def _noises(folder: Path, split: str) -> tuple[Wave, ...]:
    files = sorted(path for path in (folder / "esc10").glob("*/*") if path.name[0] in _FOLDS[split])
    if not files:
        raise FileNotFoundError(
            f"{folder / 'esc10'}: no sounds of this split; they are published as ESC-10 (ESC-50)"
        )
    return tuple(_normal(_read(path)) for path in files)


def _read(path: Path) -> Wave:
    with open_media(path) as source:
        window = round(source.duration * RATE)
        return source.audio_windows(np.zeros(1), window=window, sample_rate=RATE).samples[0]


def _normal(wave: Wave) -> Wave:
    """Loudness tells neither speaker nor class."""
    return wave / np.float32(max(1e-3, float(np.abs(wave).max())))


def _at_rate(wave: Wave, rate: int) -> Wave:
    """Recordings of 8 kHz hold nothing above 4 kHz: straight lines between samples will do."""
    count = round(len(wave) * RATE / rate)
    return np.interp(np.arange(count) / RATE, np.arange(len(wave)) / rate, wave).astype(np.float32)
