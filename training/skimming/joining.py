"""Untrimmed training sequences from trimmed clips: one clip among stretches of none of the classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.errors import InputError
from training.skimming.sequences import Track, join

BACKGROUND = -1
"""The label of a track that shows none of the classes."""


@dataclass(frozen=True, slots=True)
class JoinSettings:
    """How sequences are joined.

    Attributes:
        shortest, longest: Seconds of a sequence.
        part: Share of sequences of which every piece is only a part of its track.
        least: Seconds of the shortest part.
        piece: Seconds of the longest piece of background.
        silent: Share of the pieces between that are silence, where there is any.
    """

    shortest: float = 20.0
    longest: float = 120.0
    part: float = 0.5
    least: float = 1.5
    piece: float = 10.0
    silent: float = 0.2


class Joiner:
    """Draws sequences with one clip of one class, all classes equally often.

    Args:
        clips: Of the classes; several tracks of one clip count as several clips.
        background: What is none of the classes.
        silence: What the encoders say of nothing.
        settings: How to join.

    Raises:
        InputError: If there are no clips, or nothing to put them between.
    """

    def __init__(
        self,
        clips: Sequence[Track],
        background: Sequence[Track],
        silence: Sequence[Track] = (),
        settings: JoinSettings | None = None,
    ) -> None:
        if not clips:
            raise InputError("there are no clips to join into longer sequences")
        if not background and not silence:
            raise InputError("clips are joined with footage of none of the classes, and there is none")
        self._by_class: dict[int, list[Track]] = defaultdict(list)
        for clip in clips:
            self._by_class[clip.label].append(clip)
        self._background, self._silence = list(background), list(silence)
        self._settings = JoinSettings() if settings is None else settings

    def __call__(self, rng: np.random.Generator) -> Track:
        """Draw a sequence; its label is the clip's, ``inside`` says where that is."""
        settings, label = self._settings, int(rng.choice(sorted(self._by_class)))
        parts = bool(rng.random() < settings.part)
        clip = self._piece(rng, _any(rng, self._by_class[label]), parts, longest=None)
        left = rng.uniform(settings.shortest, settings.longest) / clip.hop - len(clip)
        pieces: list[Track] = []
        while left > 0:
            silent = bool(self._silence) and (not self._background or rng.random() < settings.silent)
            track = _any(rng, self._silence if silent else self._background)
            pieces.append(self._piece(rng, track, parts or silent, longest=settings.piece))
            left -= len(pieces[-1])
        for piece in pieces:
            piece.inside = piece.inside & False
        pieces.insert(int(rng.integers(len(pieces) + 1)), clip)
        return join(pieces, label)

    def _piece(self, rng: np.random.Generator, track: Track, part: bool, longest: float | None) -> Track:
        most = len(track) if longest is None else min(len(track), max(1, round(longest / track.hop)))
        least = min(most, max(1, round(self._settings.least / track.hop)))
        count = int(rng.integers(least, most + 1)) if part else most
        start = int(rng.integers(len(track) - count + 1))
        return track.take(start, start + count)


def _any(rng: np.random.Generator, tracks: Sequence[Track]) -> Track:
    return tracks[int(rng.integers(len(tracks)))]
