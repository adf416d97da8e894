"""Preset ``paired``: what a moment shows is joined with what it sounds like before anybody asks for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine import _arrays, _native
from l2l_engine.ops import interpolate
from l2l_engine.skim import Instructions, Modality, Precision, Skimmer, SkimResult

_PREFIXES = ("pair_image.", "pair_audio.")

_Rows = NDArray[np.float32]
_Times = NDArray[np.float64]
Bank = tuple[_Rows, _Times]
"""Features [B, M, D] and their times [B, M]."""


class Pairing:
    """Adds to every feature what it says together with the other modality's at its time.

        z_m^I + Psi^I(z_m^I, z^A(t_m))  at the image knots,
        z_m^A + Psi^A(z^I(t_m), z_m^A)  at the audio knots.

    A key of Eq. 6 can then ask for what is seen *and* heard, which one of a picture or a sound alone cannot.
    Immutable: any number of threads may call it at once, and the same input gives the same bits.

    Args:
        weights: ``pair_image.0`` and ``pair_audio.0`` [F, 2D], ``pair_image.1`` and ``pair_audio.1`` [D, F],
            each as ``.weight`` and ``.bias``, among whatever else.
        precision, threads, instructions: As for :class:`l2l_engine.skim.Skimmer`.

    Raises:
        ValueError: A tensor is missing, misshapen or not finite; the message names it.
    """

    def __init__(
        self,
        weights: Mapping[str, NDArray[Any]],
        *,
        precision: Precision = "fp32",
        threads: int | None = None,
        instructions: Instructions = "auto",
    ) -> None:
        own = {name: _arrays.float32(name, weights[name]) for name in weights if name.startswith(_PREFIXES)}
        budget = len(os.sched_getaffinity(0)) if threads is None else threads
        self._native = _native.Pairing(own, precision, instructions, budget)

    def __call__(self, image: Bank | None, audio: Bank | None) -> tuple[_Rows | None, _Rows | None]:
        """The joined features at the same knots; None of what is missing."""
        return self._native.run(
            None if image is None else image[0],
            None if image is None or audio is None else interpolate(*audio, image[1]),
            None if image is None or audio is None else interpolate(*image, audio[1]),
            None if audio is None else audio[0],
        )


class PairedSkimmer:
    """Stands where a :class:`l2l_engine.skim.Skimmer` stands, and has one: Eq. 5-9 over joined banks.

    Args:
        weights: As for :class:`l2l_engine.skim.Skimmer`, of both modalities, and for :class:`Pairing`.
        precision, threads: As for :class:`l2l_engine.skim.Skimmer`.
    """

    def __init__(
        self, weights: Mapping[str, _Rows], *, precision: Precision = "fp32", threads: int | None = None
    ) -> None:
        self._pairing = Pairing(weights, precision=precision, threads=threads)
        self._skimmer = Skimmer(without_pairing(weights), precision=precision, threads=threads)

    def run(  # noqa: PLR0917 - as Skimmer.run
        self,
        image_bank: _Rows | None,
        audio_bank: _Rows | None,
        image_times: _Times | None,
        audio_times: _Times | None,
        timestamps: _Times,
        steps: int,
        *,
        modality: Modality = "both",
    ) -> SkimResult:
        """Skim a batch of videos; arguments and errors as of :meth:`Skimmer.run`."""
        looks, sounds = self._pairing(
            None if modality == "audio" else _bank(image_bank, image_times),
            None if modality == "image" else _bank(audio_bank, audio_times),
        )
        return self._skimmer.run(
            looks, sounds, image_times, audio_times, timestamps, steps, modality=modality
        )


def without_pairing(weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What is left for Eq. 5-9."""
    return {name: weight for name, weight in weights.items() if not name.startswith(_PREFIXES)}


def _bank(rows: _Rows | None, times: _Times | None) -> Bank | None:
    """What there is of a modality; the skimmer says what is missing that should be there."""
    return None if rows is None or times is None else (rows, times)
