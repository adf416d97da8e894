"""The CPU's work: encoders that run in the calling threads, features in NumPy, the native skimmer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2l_engine import arguments
from l2l_engine.backends import INPUTS, Encoder, ReplicatedEncoder
from l2l_engine.backends.encoder import Encode
from l2l_engine.media import MediaSource, Poll
from l2l_engine.media.source import FrameAt
from l2l_engine.plan import MediaSettings, Plan
from l2l_engine.result import FloatArray, TimeArray
from l2l_engine.run.compute import PARTS, Bank, Collected
from l2l_engine.run.host import HostStore, skim_video
from l2l_engine.run.recognise import FRAMES_A_CALL, Recogniser
from l2l_engine.run.watch import Stage, Stopwatch
from l2l_engine.run.workers import Workers
from l2l_engine.skim import SkimmingModel, SkimResult

SAMPLES_A_CALL = {Stage.FRAMES: FRAMES_A_CALL, Stage.AUDIO: 16}
"""Samples a call of an encoder, by what decodes them."""


class CpuFile:
    """The CPU's work for one opened file; see :class:`l2l_engine.run.compute.FileCompute`."""

    decoder = "pyav"
    frames_decoded = 0
    groups_together = None

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        skimmer: SkimmingModel,
        media: MediaSettings,
        stopwatch: Stopwatch,
    ) -> None:
        self._encoders, self._skimmer, self._media = encoders, skimmer, media
        self._stopwatch = stopwatch
        self._stores: dict[Stage, HostStore] = {}

    def store(self, stage: Stage) -> HostStore:
        """Where the features of one modality go."""
        if stage not in self._stores:
            self._stores[stage] = HostStore(self._encoders[PARTS[stage]].encode, SAMPLES_A_CALL[stage])
        return self._stores[stage]

    def iter_frames(self, source: MediaSource, times: TimeArray, poll: Poll) -> Iterator[FrameAt]:
        """Yield the frames shown at some moments, decoded by the file's reader."""
        media = self._media
        return source.iter_frames(times, short_side=media.short_side, crop=media.crop, poll=poll)

    def skim(
        self, image: Collected | None, audio: Collected | None, timestamps: TimeArray, steps: int
    ) -> SkimResult:
        """Run the skimmer on what was collected."""
        return skim_video(self._skimmer, *self.banks(image, audio), timestamps, steps, self._stopwatch)

    def banks(self, image: Collected | None, audio: Collected | None) -> tuple[Bank | None, Bank | None]:
        """What was collected, in order of time."""
        seen = None if image is None else self.store(Stage.FRAMES).bank(image)
        return seen, None if audio is None else self.store(Stage.AUDIO).bank(audio)

    def features(self, collected: dict[Stage, Collected]) -> dict[Stage, Any]:
        """What was collected, in order of time: float32 [M, D] each."""
        banks = {stage: self.store(stage).bank(kind) for stage, kind in collected.items()}
        return {stage: bank.features for stage, bank in banks.items() if bank is not None}

    def close(self) -> None:
        """Nothing outlives the object."""


class CpuCompute:
    """Encoders and skimmer of one plan on the CPU; see :class:`l2l_engine.run.compute.Compute`.

    Args:
        plan: The plan.
        encoders: By part of the plan; each runs in the threads that call it.
        skimmer: The native skimmer, or what stands in its place.
    """

    device = "cpu"

    def __init__(self, plan: Plan, encoders: Mapping[str, ReplicatedEncoder], skimmer: SkimmingModel) -> None:
        self._encoders, self._skimmer = encoders, skimmer
        self._media = plan.document.media
        self._features = {part: plan.features(part) for part in plan.document.modalities}
        self.recogniser: Recogniser | None = None
        if "recogniser" in encoders:
            self.recogniser = Recogniser(plan.document, encoders["recogniser"])

    @property
    def precision(self) -> str:
        """Arithmetic of the encoders, e.g. "bf16"."""
        return "/".join(sorted({encoder.precision for encoder in self._encoders.values()}))

    def open(self, source: MediaSource, stopwatch: Stopwatch) -> CpuFile:
        """Begin to work on one opened file."""
        return CpuFile(self._encoders, self._skimmer, self._media, stopwatch)

    def take(self, name: str, rows: ArrayLike) -> tuple[FloatArray, int]:
        """Features that a caller hands in: float32 [M, D]."""
        if arguments.is_on_device(rows):
            raise TypeError(f"{name} is in memory of a GPU, and this Classifier is on the cpu")
        features = arguments.features(name, rows, self._features[name.partition("_")[0]])
        return features, len(features)

    def skim(
        self,
        image: Bank | None,
        audio: Bank | None,
        timestamps: TimeArray,
        steps: int,
        stopwatch: Stopwatch,
    ) -> SkimResult:
        """Run the skimmer on features that were handed in."""
        return skim_video(self._skimmer, image, audio, timestamps, steps, stopwatch)

    def on_host(self, name: str, bank: Bank | None) -> Bank | None:
        """Features that were handed in are there already."""
        return bank

    def warmup(self, workers: Workers) -> None:
        """Run the networks of every thread once, with each batch size there will be, and the skimmer."""
        most = {part: SAMPLES_A_CALL[stage] for stage, part in PARTS.items()}
        if self.recogniser is not None:
            most["recogniser"] = self.recogniser.most
        with contextlib.ExitStack() as held, workers.job() as job:
            for name, encoder in self._encoders.items():
                samples = np.zeros((most[name], *encoder.input_shape), INPUTS[name])
                for encode in held.enter_context(encoder.replicas(workers.threads)):
                    job.submit(partial(_run_each_size, encode, samples))
            job.finish(lambda: None)
        with workers.job() as job:
            if self.recogniser is not None:
                job.run(self.recogniser.measure, lambda: None)
            job.run(self._skim_once, lambda: None)

    def _skim_once(self) -> None:
        rows = {part: Bank(np.zeros((1, n), np.float32), np.zeros(1)) for part, n in self._features.items()}
        self.skim(rows.get("image"), rows.get("audio"), np.zeros(1), 1, Stopwatch())

    def close(self) -> None:
        """Nothing outlives the object."""


def _run_each_size(encode: Encode, samples: NDArray[Any]) -> None:
    for size in range(1, len(samples) + 1):
        encode(samples[:size])
