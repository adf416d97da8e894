"""The GPU's work: encoders on the device, features that stay there, and only the answer comes back."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2l_engine import arguments
from l2l_engine.cuda.arrays import rows_of
from l2l_engine.errors import ClosedError, DeviceError
from l2l_engine.gpu.device import Device, device_name
from l2l_engine.gpu.encoding import DeviceEncoder
from l2l_engine.gpu.frames import Decoders, DeviceFrameAt, FrameDecoding
from l2l_engine.gpu.kernels import Kernels
from l2l_engine.gpu.pool import Pool
from l2l_engine.gpu.rows import Both, OrderedRows, external
from l2l_engine.gpu.skimming import SkimStream, SkimStreams
from l2l_engine.gpu.slots import FULL
from l2l_engine.media import MediaSource, Poll
from l2l_engine.media.source import FrameAt
from l2l_engine.plan import Plan
from l2l_engine.result import TimeArray
from l2l_engine.run.compute import PARTS, Bank, Collected
from l2l_engine.run.host import skim_video
from l2l_engine.run.recognise import Recogniser
from l2l_engine.run.watch import Stage, Stopwatch
from l2l_engine.run.workers import Workers
from l2l_engine.skim import SkimmingModel, SkimResult

_GROUPS = 16
"""Groups of pictures a chunk: what the GPU's decoder gets at once, twice."""


class DeviceStore:
    """A :class:`l2l_engine.run.compute.FeatureStore` on the device, in the order features are computed."""

    undivided = FULL

    def __init__(self, encoder: DeviceEncoder) -> None:
        self._encoder = encoder
        self._rows = encoder.rows()

    def batch_size(self, expected: int) -> int:
        """Samples a call: as many as are worth one, whatever is expected."""
        return min(FULL, self._encoder.most)

    def encode(self, samples: Sequence[Any]) -> NDArray[np.int64]:
        """Queue samples, of the host or the device; the numbers int64 [B] of the rows they will get."""
        first = self._encoder.add(samples, self._rows)
        return first + np.arange(len(samples))

    def rows(self, collected: Collected | None, stream: int) -> OrderedRows | None:
        """The features of some moments, for what is queued on ``stream`` from now on; None of none."""
        if collected is None:
            return None
        self._encoder.join(stream)
        return OrderedRows(self._rows.view(), collected.rows, collected.times)

    def close(self) -> None:
        """Give the memory back; safe to call twice."""
        self._rows.close()


class VideoSkimmer:
    """The end of a prediction on one GPU: the skimmer there, or for a plan without one an average here.

    Args:
        streams: Where videos come to their end.
        host_skimmer: Takes the skimmer's place, on the host, for plans without one.
    """

    def __init__(self, streams: SkimStreams, host_skimmer: SkimmingModel | None) -> None:
        self.streams, self._host_skimmer = streams, host_skimmer

    def run(
        self, stream: SkimStream, both: Both, timestamps: TimeArray, steps: int, stopwatch: Stopwatch
    ) -> SkimResult:
        """Skim one video; at most one may be None."""
        with stopwatch.stage(Stage.SKIM):
            if self._host_skimmer is None:
                return stream.run(both, timestamps, steps)
            image, audio = _fetched(stream, both)
        return skim_video(self._host_skimmer, image, audio, timestamps, steps, stopwatch)


class CudaFile:
    """A GPU's work for one opened file; see :class:`l2l_engine.run.compute.FileCompute`.

    Args:
        source: The opened file.
        encoders: By part of the plan.
        frames: Decodes its frames.
        skimming: Where it comes to its end.
        resources: What must not be freed before this is closed.
        stopwatch: Of the call.
    """

    def __init__(
        self,
        source: MediaSource,
        encoders: Mapping[str, DeviceEncoder],
        frames: FrameDecoding,
        skimming: VideoSkimmer,
        *,
        resources: Resources,
        stopwatch: Stopwatch,
    ) -> None:
        self._encoders, self._frames, self._skimming = encoders, frames, skimming
        self._resources, self._stopwatch = resources, stopwatch
        self._stores: dict[Stage, DeviceStore] = {}
        self._closed = False
        self.groups_together = _GROUPS if source.has_video and frames.suits(source) else None
        resources.enter()

    @property
    def decoder(self) -> str:
        """What decoded the frames: "dali", "pyav", or "dali, pyav"; the sound is always PyAV's."""
        return ", ".join(sorted(self._frames.used)) or "pyav"

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through the GPU's decoder."""
        return self._frames.frames_decoded

    def store(self, stage: Stage) -> DeviceStore:
        """Where the features of one modality go."""
        if stage not in self._stores:
            self._stores[stage] = DeviceStore(self._encoders[PARTS[stage]])
        return self._stores[stage]

    def iter_frames(
        self, source: MediaSource, times: TimeArray, poll: Poll
    ) -> Iterator[FrameAt | DeviceFrameAt]:
        """Yield the frames shown at some moments, from whichever decoder takes the file."""
        return self._frames.iter_frames(source, times, self._encoders["image"].stream, poll)

    def skim(
        self, image: Collected | None, audio: Collected | None, timestamps: TimeArray, steps: int
    ) -> SkimResult:
        """Run the skimmer on what was collected, and wait for its result."""
        with self._skimming.streams.use() as stream:
            both = self._rows(Stage.FRAMES, image, stream), self._rows(Stage.AUDIO, audio, stream)
            return self._skimming.run(stream, both, timestamps, steps, self._stopwatch)

    def banks(self, image: Collected | None, audio: Collected | None) -> tuple[Bank | None, Bank | None]:
        """What was collected, in order of time, on the host."""
        with self._skimming.streams.use() as stream:
            both = self._rows(Stage.FRAMES, image, stream), self._rows(Stage.AUDIO, audio, stream)
            return _fetched(stream, both)

    def features(self, collected: dict[Stage, Collected]) -> dict[Stage, Any]:
        """What was collected, in order of time, in arrays of their own on the device."""
        with self._skimming.streams.use() as stream:
            both = {stage: self._rows(stage, kind, stream) for stage, kind in collected.items()}
            return {stage: stream.give(kind) for stage, kind in both.items() if kind is not None}

    def close(self) -> None:
        """Give memory back; safe to call twice."""
        if not self._closed:
            self._closed = True
            for store in self._stores.values():
                with suppress(DeviceError):  # a device that fails has freed all by itself
                    store.close()
            self._resources.leave()

    def _rows(self, stage: Stage, collected: Collected | None, stream: SkimStream) -> OrderedRows | None:
        return None if collected is None else self.store(stage).rows(collected, stream.handle)


class CudaCompute:
    """Encoders and skimmer of one plan on one GPU; see :class:`l2l_engine.run.compute.Compute`.

    Args:
        plan: The plan.
        device: The GPU.
        pool: Its memory.
        encoders: By part of the plan.
        kernels: The plan's skimmer, or none for a plan that averages all pairs, on the host.
        decoders: The GPU's.
        host_skimmer: Takes the skimmer's place, on the host, for plans without one.
    """

    def __init__(  # noqa: PLR0917 - what it owns
        self,
        plan: Plan,
        device: Device,
        pool: Pool,
        encoders: dict[str, DeviceEncoder],
        kernels: Kernels,
        decoders: Decoders,
        *,
        host_skimmer: SkimmingModel | None = None,
    ) -> None:
        self.device, self._number = device_name(device.number), device.number
        self._encoders, self._decoders = encoders, decoders
        self._media, self._feature = plan.document.media, plan.dimensions.feature
        streams = SkimStreams(device, kernels)
        self._skimming = VideoSkimmer(streams, host_skimmer)
        self._resources = Resources([decoders, streams, *encoders.values(), pool])
        # A Classifier that is forgotten rather than closed gives its memory back too.
        weakref.finalize(self, self._resources.end).atexit = False
        self.recogniser: Recogniser | None = None
        if "recogniser" in encoders:
            self.recogniser = Recogniser(plan.document, encoders["recogniser"])

    @property
    def precision(self) -> str:
        """Precision of the graphs, e.g. "fp16"."""
        return "/".join(sorted({encoder.precision for encoder in self._encoders.values()}))

    def open(self, source: MediaSource, stopwatch: Stopwatch) -> CudaFile:
        """Begin to work on one opened file; memory stays until that is closed."""
        media = self._media
        frames = FrameDecoding(self._decoders, short_side=media.short_side, crop=media.crop)
        return CudaFile(
            source, self._encoders, frames, self._skimming, resources=self._resources, stopwatch=stopwatch
        )

    def take(self, name: str, rows: ArrayLike) -> tuple[Any, int]:
        """Features that a caller hands in; those on the device stay there and are checked when used."""
        features = rows if arguments.is_on_device(rows) else arguments.features(name, rows, self._feature)
        return features, rows_of(name, features)

    def skim(
        self,
        image: Bank | None,
        audio: Bank | None,
        timestamps: TimeArray,
        steps: int,
        stopwatch: Stopwatch,
    ) -> SkimResult:
        """Run the skimmer on features that were handed in, and wait for its result."""
        held: list[object] = []
        self._resources.enter()
        try:
            with self._skimming.streams.use() as stream:
                both = (
                    self._rows("image_bank", image, stream, held),
                    self._rows("audio_bank", audio, stream, held),
                )
                return self._skimming.run(stream, both, timestamps, steps, stopwatch)
        finally:
            self._resources.leave()

    def on_host(self, name: str, bank: Bank | None) -> Bank | None:
        """Features that were handed in, float32 on the host."""
        held: list[object] = []
        self._resources.enter()
        try:
            with self._skimming.streams.use() as stream:
                return _fetched(stream, (self._rows(name, bank, stream, held), None))[0]
        finally:
            self._resources.leave()

    def warmup(self, workers: Workers) -> None:
        """Run every network with each batch size there will be, and the skimmer."""
        row = Bank(np.zeros((1, self._feature), np.float32), np.zeros(1))
        image, audio = (row if part in self._encoders else None for part in ("image", "audio"))
        with workers.job() as job:
            for encoder in self._encoders.values():
                job.submit(encoder.warmup)
            job.finish(lambda: None)
            for _ in range(3):  # once as it is, once to make a graph of it, once as that
                job.run(lambda: self.skim(image, audio, np.zeros(1), 1, Stopwatch()), lambda: None)

    def close(self) -> None:
        """Free all memory once no file is open any more; safe to call twice."""
        self._resources.end()

    def _rows(
        self, name: str, bank: Bank | None, stream: SkimStream, held: list[object]
    ) -> OrderedRows | None:
        if bank is None:
            return None
        if arguments.is_on_device(bank.features):
            rows, owner = external(name, bank.features, stream.handle, self._feature, self._number)
            if rows.shape[1] != len(bank.times):
                raise ValueError(f"{name} has {rows.shape[1]} rows for {len(bank.times)} times")
        else:
            rows, owner = stream.bring(bank.features)
        held.append(owner)
        return OrderedRows(rows, np.arange(len(bank.times)), bank.times)


def _fetched(stream: SkimStream, both: Both) -> tuple[Bank | None, Bank | None]:
    image, audio = (None if kind is None else Bank(stream.fetch(kind), kind.times) for kind in both)
    return image, audio


class Resources:
    """What is on the device, freed when it is over and nobody works with it any more."""

    def __init__(self, things: list[Any]) -> None:
        self._things = things
        self._lock = threading.RLock()  # the garbage collector may call ``end`` in a thread that holds it
        self._users, self._pid = 0, os.getpid()
        self._ending = False

    def enter(self) -> None:
        """Begin to work with them.

        Raises:
            ClosedError: It is over.
        """
        with self._lock:
            if self._ending:
                raise ClosedError("this Classifier is closed")
            self._users += 1

    def leave(self) -> None:
        """Be done."""
        with self._lock:
            self._users -= 1
            self._free_if_unused()

    def end(self) -> None:
        """It is over, as soon as nobody works with them; safe to call twice."""
        if os.getpid() != self._pid:
            return  # a forked child has no GPU
        with self._lock:
            self._ending = True
            self._free_if_unused()

    def _free_if_unused(self) -> None:
        if self._ending and not self._users:
            things, self._things = self._things, []
            for thing in things:
                with suppress(DeviceError):  # a device that fails has freed all by itself
                    thing.close()
