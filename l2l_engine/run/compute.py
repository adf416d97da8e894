"""What the engine asks of a device: the seam between a run, which knows none, and the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2l_engine.media import MediaSource, Poll
from l2l_engine.result import TimeArray
from l2l_engine.run.recognise import Recogniser
from l2l_engine.run.watch import Stage, Stopwatch
from l2l_engine.run.workers import Workers
from l2l_engine.skim import SkimResult

PARTS = {Stage.FRAMES: "image", Stage.AUDIO: "audio"}
"""The part of the plan whose network encodes what a stage decodes."""


class Frame(Protocol):
    """The frame that stands for one of the moments asked for, as :class:`l2l_engine.media.source.FrameAt`."""

    @property
    def row(self) -> int:
        """Index of the moment."""

    @property
    def image(self) -> Any:
        """Pixels uint8 [crop, crop, 3]: an array of the host, or a sample that lies on the device."""

    @property
    def shown_at(self) -> float:
        """Seconds: the presentation time of the frame."""


FrameReader = Callable[[MediaSource, TimeArray, Poll], Iterator[Frame]]
"""Yields the frames shown at some moments that never decrease, as :meth:`MediaSource.iter_frames` does."""


class FeatureStore(Protocol):
    """Where samples of one modality of one file become features, which stay where they are needed next."""

    @property
    def undivided(self) -> int:
        """Samples of a batch that is too small to be divided between threads."""

    def batch_size(self, expected: int) -> int:
        """Samples a call of the encoder, if so many are expected in all."""

    def encode(self, samples: Sequence[Any]) -> NDArray[np.int64]:
        """Encode samples.

        Returns:
            int64 [B], the numbers of the rows that hold their features.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """Which rows of a store hold the features of which moments.

    Attributes:
        times: float64 [M] seconds, increasing.
        rows: int64 [M], the row of each moment.
    """

    times: TimeArray
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Features at the knots of one modality.

    Attributes:
        features: [M, D]: float32 in NumPy, or an array of whoever made it on the device.
        times: float64 [M] seconds, increasing, on the host.
    """

    features: Any
    times: TimeArray


class FileCompute(Protocol):
    """A device's work for one opened file."""

    @property
    def decoder(self) -> str:
        """What decoded the frames and the sound, e.g. "pyav"."""

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through a decoder of the device's own, beside the file's readers."""

    @property
    def groups_together(self) -> int | None:
        """Groups of pictures that the device's decoder takes at once; None if the file's readers decode."""

    def store(self, stage: Stage) -> FeatureStore:
        """Where features go, of ``Stage.FRAMES`` or ``Stage.AUDIO``; one for each, made when asked for."""

    def iter_frames(self, source: MediaSource, times: TimeArray, poll: Poll) -> Iterator[Frame]:
        """Yield the frames shown at some moments; a :data:`FrameReader`."""

    def skim(
        self, image: Collected | None, audio: Collected | None, timestamps: TimeArray, steps: int
    ) -> SkimResult:
        """Run the skimmer on what is in the stores; at most one modality may be missing."""

    def banks(self, image: Collected | None, audio: Collected | None) -> tuple[Bank | None, Bank | None]:
        """What is in the stores, in order of time, on the host."""

    def features(self, collected: dict[Stage, Collected]) -> dict[Stage, Any]:
        """What is in the stores, in order of time: float32 [M, D] each, wherever callers get it."""

    def close(self) -> None:
        """Give memory back; safe to call twice."""


class Compute(Protocol):
    """The networks of one plan on one device. Holds no state of a prediction; safe from many threads."""

    @property
    def device(self) -> str:
        """The device's name: "cpu", "cuda", "cuda:1" …"""

    @property
    def precision(self) -> str:
        """Arithmetic of the encoders, e.g. "bf16"."""

    @property
    def recogniser(self) -> Recogniser | None:
        """The plan's recogniser, if it has one."""

    def open(self, source: MediaSource, stopwatch: Stopwatch) -> FileCompute:
        """Begin to work on one opened file; memory stays until that is closed.

        Raises:
            ClosedError: After ``close``.
        """

    def take(self, name: str, rows: ArrayLike) -> tuple[Any, int]:
        """Features that a caller hands in, checked as far as they can be seen here.

        Args:
            name: The argument's name, for messages.
            rows: [M, D], on the host or on the device.

        Returns:
            What goes into a :class:`Bank`, and M.

        Raises:
            TypeError, ValueError: If they cannot be used on this device.
        """

    def skim(
        self,
        image: Bank | None,
        audio: Bank | None,
        timestamps: TimeArray,
        steps: int,
        stopwatch: Stopwatch,
    ) -> SkimResult:
        """Run the skimmer on features that were handed in; at most one modality may be missing."""

    def on_host(self, name: str, bank: Bank | None) -> Bank | None:
        """Features that were handed in, float32 on the host; ``name`` is the argument's."""

    def warmup(self, workers: Workers) -> None:
        """Run every network with each batch size there will be, and the skimmer."""

    def close(self) -> None:
        """Free all memory once no file is open any more; safe to call twice."""
