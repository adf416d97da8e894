"""Training sequences for the skimmer: cached features, recombined and thinned out to sparse knots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.config import SkimConfig
from training.models import SkimBatch
from training.skimming.features import VideoFeatures

_CHUNKS = (4, 14)
"""Timestamps a piece of distractor has when sequences are recombined: 2 to 7 s."""

USUAL_LENGTH = 225
"""Timestamps of two minutes, the longest of most training videos."""

_LONGEST_GAP = 31
"""Timestamps between few frames: up to 16 s."""


@dataclass(slots=True)
class Track:
    """One video as a sequence of pairs: features [N, D], validity and truth [N].

    Attributes:
        label: The number of its class, or of the first of several.
        hop: Seconds from one timestamp to the next.
        others: The numbers of its other classes.
    """

    image: Tensor
    audio: Tensor
    image_valid: Tensor
    audio_valid: Tensor
    inside: Tensor
    label: int
    hop: float
    others: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.image)

    def take(self, start: int, end: int) -> Track:
        """Return the timestamps ``start`` to ``end``."""
        part = slice(start, end)
        return Track(
            self.image[part],
            self.audio[part],
            self.image_valid[part],
            self.audio_valid[part],
            self.inside[part],
            self.label,
            self.hop,
            self.others,
        )


def to_sequences(videos: Sequence[VideoFeatures], classes: Sequence[str]) -> list[Track]:
    """Return the videos as sequences, labels as numbers."""
    tracks = []
    for v in videos:
        label, *others = (classes.index(name) for name in v.video.labels)
        parts = v.image, v.audio, v.image_valid, v.audio_valid, v.inside()
        tracks.append(Track(*parts, label, v.hop, tuple(others)))
    return tracks


def targets(tracks: Sequence[Track], classes: int) -> Tensor:
    """Return which of C classes each video has: bool [V, C]."""
    found = torch.zeros(len(tracks), classes, dtype=torch.bool)
    for row, track in zip(found, tracks, strict=True):
        row[[track.label, *track.others]] = True
    return found


def join(parts: Sequence[Track], label: int) -> Track:
    """Join pieces one after the other."""
    return Track(
        torch.cat([part.image for part in parts]),
        torch.cat([part.audio for part in parts]),
        torch.cat([part.image_valid for part in parts]),
        torch.cat([part.audio_valid for part in parts]),
        torch.cat([part.inside for part in parts]),
        label,
        parts[0].hop,
    )


class Recombiner:
    """Makes new training videos from pieces of others.

    A pair's truth does not depend on its neighbours, so the stretches of the action may be exchanged with
    others of the same label, and everything between them with pieces of any video: no piece outside a
    stretch holds an action. Videos of several labels are left alone, since nobody knows which label a
    stretch belongs to.

    Attributes:
        possible: Whether there is anything to exchange: stretches of actions, and something outside them.
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self._actions: dict[int, list[Track]] = defaultdict(list)
        self._others: list[Track] = []
        for track in tracks:
            for piece in _runs(track) if not track.others else ():
                if bool(piece.inside[0]):
                    self._actions[track.label].append(piece)
                elif len(piece) >= _CHUNKS[0]:
                    self._others.append(piece)
        self._labels = [track.label for track in tracks if track.label in self._actions]
        self.possible = bool(self._labels and self._others)

    def __call__(self, rng: np.random.Generator, longest: int) -> Track:
        """Return a recombined video of a fifth of ``longest`` timestamps to as many.

        The action is 4 to 16 % of it, but never more than three stretches: the longer the video, the rarer.
        """
        label = self._labels[int(rng.integers(len(self._labels)))]
        total = int(rng.integers(longest // 5, longest + 1))
        wanted = max(6.0, total * rng.uniform(0.04, 0.16))
        actions: list[Track] = []
        while not actions or (sum(map(len, actions)) + 6 <= wanted and len(actions) < 3):
            choices = self._actions[label]
            piece = choices[int(rng.integers(len(choices)))]
            actions.append(piece.take(0, max(6, int(wanted))))
        others: list[Track] = []
        left = total - sum(map(len, actions))
        while left > 0:
            piece = self._others[int(rng.integers(len(self._others)))]
            length = min(int(rng.integers(*_CHUNKS)), len(piece), left)
            start = int(rng.integers(len(piece) - length + 1))
            others.append(piece.take(start, start + length))
            left -= length
        parts = actions + others
        return join([parts[number] for number in rng.permutation(len(parts))], label)


def _runs(track: Track) -> list[Track]:
    """Cut a track where an action begins or ends."""
    edges = (torch.nonzero(track.inside[1:] != track.inside[:-1]).flatten() + 1).tolist()
    return [track.take(start, end) for start, end in zip([0, *edges], [*edges, len(track)], strict=True)]


def regular_knots(count: int, factor: int, first: int = 0) -> np.ndarray:
    """Return every ``factor``-th of ``count`` timestamps from ``first`` on."""
    return np.arange(min(first, count - 1), count, factor)


def random_knots(rng: np.random.Generator, count: int, factor: int) -> np.ndarray:
    """Draw knots as a sampler may choose them: regular, or irregular with the same bound on gaps."""
    if rng.random() < 0.6:
        return regular_knots(count, factor, first=0 if rng.random() < 0.5 else int(rng.integers(factor)))
    return _knots_after(rng.integers(1, factor + 1, size=count), count)


def few_knots(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw knots as key frames and moments chosen by ear leave them: some close, others 16 s apart."""
    return _knots_after(np.exp(rng.uniform(0, np.log(_LONGEST_GAP), size=count)).astype(int), count)


def _knots_after(gaps: np.ndarray, count: int) -> np.ndarray:
    chosen = np.cumsum(gaps) - 1
    return chosen[chosen < count]


@dataclass(slots=True)
class Knotted:
    """A track and the timestamps at which its features are known; none for a missing modality."""

    track: Track
    image_knots: np.ndarray
    audio_knots: np.ndarray


@dataclass(frozen=True, slots=True)
class Density:
    """How densely a batch's banks are sampled; alike within a batch, so that little is padding."""

    image: int
    audio: int
    few_frames: bool


def draw_length(rng: np.random.Generator, settings: SkimConfig) -> int:
    """Draw the most timestamps of recombined videos: short ones as often as all that are longer."""
    if settings.longest <= USUAL_LENGTH or rng.random() < 0.5:
        return USUAL_LENGTH
    return int(USUAL_LENGTH * (settings.longest / USUAL_LENGTH) ** rng.random())


def draw_density(rng: np.random.Generator, settings: SkimConfig) -> Density:
    """Draw how densely a batch is sampled: in every second one alike for both modalities."""
    image, audio = (int(factor) for factor in rng.choice(settings.factors, 2))
    return Density(image, image if rng.random() < 0.5 else audio, bool(rng.random() < settings.few_frames))


def draw_knots(rng: np.random.Generator, track: Track, density: Density, settings: SkimConfig) -> Knotted:
    """Draw knots, now and then without one of the modalities."""
    image, audio = _draw_both(rng, len(track), density)
    image, audio = image[track.image_valid[image].numpy()], audio[track.audio_valid[audio].numpy()]
    if not len(image) and not len(audio):
        # A short video may slip between sparse knots, and of nothing there is nothing to learn.
        image, audio = np.flatnonzero(track.image_valid), np.flatnonzero(track.audio_valid)
    draw = rng.random()
    if draw < settings.drop_audio and len(image):
        audio = audio[:0]
    elif draw > 1 - settings.drop_image and len(audio):
        image = image[:0]
    return Knotted(track, image, audio)


def _draw_both(rng: np.random.Generator, count: int, density: Density) -> tuple[np.ndarray, np.ndarray]:
    if density.few_frames:
        image = few_knots(rng, count)
        return image, np.union1d(random_knots(rng, count, density.audio), image)
    image = random_knots(rng, count, density.image)
    if density.image == density.audio and rng.random() < 0.7:
        return image, image
    return image, random_knots(rng, count, density.audio)


def fixed_knots(track: Track, factor: int) -> Knotted:
    """Return the knots of the runtime's policy "exact"."""
    knots = regular_knots(len(track), factor)
    return Knotted(track, knots[track.image_valid[knots].numpy()], knots[track.audio_valid[knots].numpy()])


def collate(items: Sequence[Knotted]) -> SkimBatch:
    """Pad banks to common lengths. A missing modality is a bank of length 0 over one zero row."""
    hop = items[0].track.hop
    image, image_times, image_lengths = _pad([(k.track.image, k.image_knots) for k in items], hop)
    audio, audio_times, audio_lengths = _pad([(k.track.audio, k.audio_knots) for k in items], hop)
    return SkimBatch(
        image=image,
        audio=audio,
        image_times=image_times,
        audio_times=audio_times,
        image_lengths=image_lengths,
        audio_lengths=audio_lengths,
        lengths=torch.tensor([len(k.track) for k in items]),
        hop=hop,
    )


def _pad(banks: Sequence[tuple[Tensor, np.ndarray]], hop: float) -> tuple[Tensor, Tensor, Tensor]:
    lengths = torch.tensor([len(knots) for _, knots in banks])
    longest = max(1, int(lengths.max()))
    rows = torch.zeros(len(banks), longest, banks[0][0].shape[1])
    times = torch.zeros(len(banks), longest)
    for number, (features, knots) in enumerate(banks):
        rows[number, : len(knots)] = features[knots]
        times[number, : len(knots)] = torch.from_numpy(knots) * hop
    return rows, times, lengths


def truth(items: Sequence[Knotted]) -> tuple[Tensor, Tensor]:
    """Return labels [B] (the first of several) and which timestamps lie inside the action [B, N]."""
    inside = torch.zeros(len(items), max(len(k.track) for k in items), dtype=torch.bool)
    for number, item in enumerate(items):
        inside[number, : len(item.track)] = item.track.inside
    return torch.tensor([item.track.label for item in items]), inside
