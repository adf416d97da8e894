"""YAMNet's embeddings of sounds and of joined files, computed once and kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2l_engine.plan import MediaSettings
from studies.untrimmed.sounds import HOP, RATE, Joined, Sounds, Wave, join_files, silences
from training.frozen.encoders import Run, Trunk, run_graph, write_graph
from training.models import AudioEncoder
from training.skimming.sequences import Track

PHASES = 4
"""Beginnings of a sound between two timestamps: each gives a track of its own to learn from."""
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Heard:
    """A joined file as a network hears it, and what the files' statistics need to know.

    Attributes:
        track: Its moments.
        target: Number of the sound that is to be found.
    """

    track: Track
    target: int


class Ears:
    """YAMNet's embedding of windows, each different one computed once.

    Args:
        weights: Folder or file of the published weights.
        work: Where the graph is kept.
    """

    def __init__(self, weights: Path, work: Path) -> None:
        self.encoder = AudioEncoder(name="yamnet")
        self.encoder.start_from(str(weights))
        self.encoder.eval()
        self.media = MediaSettings(hop=HOP, sample_rate=self.encoder.sample_rate, window=self.encoder.window)
        self._path, self._trunk = work / "yamnet.onnx", Trunk(self.encoder)
        work.mkdir(parents=True, exist_ok=True)
        write_graph(self._path, self._trunk, "audio", self.media)
        self._run: Run = run_graph(self._path, 1)
        self._known: dict[bytes, NDArray[np.float16]] = {}

    def hear(self, wave: Wave, starts: Iterable[float]) -> NDArray[np.float16]:
        """Return the embeddings [N, E] of the windows from ``starts`` (seconds) on, zero past the end."""
        padded = np.concatenate([wave, np.zeros(self.encoder.window, np.float32)])
        windows = [padded[round(s * RATE) :][: self.encoder.window] for s in starts]
        keys = [hashlib.sha1(window.tobytes(), usedforsecurity=False).digest() for window in windows]
        new = {key: window for key, window in zip(keys, windows, strict=True) if key not in self._known}
        for start in range(0, len(new), _BATCH):
            part = list(new)[start : start + _BATCH]
            found = self._run(np.stack([new[key] for key in part])).astype(np.float16)
            self._known |= dict(zip(part, found, strict=True))
        return np.stack([self._known[key] for key in keys])

    def forget(self) -> None:
        """Let go of what was heard."""
        self._known.clear()


def clip_tracks(ears: Ears, sounds: Sounds, work: Path) -> NDArray[np.float16]:
    """Return the embeddings of all sounds, and of silence last, at quarters of the hop: [S + 5, 38, E]."""
    path = work / "clips.npy"
    if not path.exists():
        steps = np.arange(int(sounds.waves.shape[1] / RATE / HOP * PHASES) + 1) * HOP / PHASES
        found = np.stack([ears.hear(wave, steps) for wave in [*sounds.waves, *silences()]])
        ears.forget()
        np.save(path, found)
    return np.asarray(np.load(path))


def file_tracks(ears: Ears, sounds: Sounds, fold: int, count: int, work: Path) -> list[Heard]:
    """Return the joined files of a fold as they are heard."""
    heard, truth = (work / f"files-{fold}-{count}{part}.npz" for part in ("", "-truth"))
    if not (heard.exists() and truth.exists()):
        files = join_files(sounds, fold, count)
        if not heard.exists():
            _save(heard, rows=_hear_all(ears, files, fold))
        _save(
            truth,
            counts=np.array([len(_stamps(file)) for file in files]),
            spans=np.array([file.span for file in files]),
            labels=np.array([file.label for file in files]),
            targets=np.array([file.target for file in files]),
        )
    with np.load(heard) as rows, np.load(truth) as known:
        parts = np.split(rows["rows"], np.cumsum(known["counts"])[:-1])
        told = zip(parts, known["spans"], known["labels"], known["targets"], strict=True)
        return [
            Heard(_file_track(part, float(begin), float(end), int(label)), int(target))
            for part, (begin, end), label, target in told
        ]


def _hear_all(ears: Ears, files: Sequence[Joined], fold: int) -> NDArray[np.float16]:
    rows, begin = [], time.monotonic()
    for number, file in enumerate(files):
        rows.append(ears.hear(file.wave, _stamps(file)))
        if number % 100 == 99:
            print(f"fold {fold}: {number + 1} files, {time.monotonic() - begin:.0f} s", flush=True)
    ears.forget()
    return np.concatenate(rows)


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    partial = path.with_suffix(".part.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]  # its one option has no array's name
    partial.replace(path)


def _stamps(file: Joined) -> NDArray[np.float64]:
    count = max(1, int(np.ceil(len(file.wave) / RATE / HOP - 1e-9)))
    return np.arange(count, dtype=np.float64) * HOP


def _file_track(rows: NDArray[np.float16], begin: float, end: float, label: int) -> Track:
    times = np.arange(len(rows)) * HOP
    inside = torch.from_numpy((times >= begin) & (times < end))
    return sound_track(torch.from_numpy(rows).float(), inside, label)


def sound_track(rows: Tensor, inside: Tensor, label: int) -> Track:
    """Return a sequence that has sound alone."""
    count = len(rows)
    nothing = torch.zeros(count, 0)
    valid = torch.ones(count, dtype=torch.bool)
    return Track(nothing, rows, ~valid, valid, inside, label, HOP)


def phases(rows: NDArray[np.float16], label: int) -> list[Track]:
    """Return the tracks of one sound [38, E], beginning at different times between two timestamps."""
    tracks = []
    for phase in range(PHASES):
        found = torch.from_numpy(rows[phase::PHASES]).float()
        tracks.append(sound_track(found, torch.full((len(found),), label >= 0), label))
    return tracks


def tracks_of(rows: NDArray[np.float16], chosen: Sequence[int], label: int) -> list[Track]:
    """Return the tracks of some sounds."""
    return [track for number in chosen for track in phases(rows[number], label)]
