"""The pipeline of one plan on one GPU."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from l2l_engine.cuda.bank import DeviceBank
from l2l_engine.errors import ClosedError, DeviceError
from l2l_engine.gpu.banks import Part, external
from l2l_engine.gpu.device import Device, View
from l2l_engine.gpu.encoding import DeviceEncoder
from l2l_engine.gpu.frames import Decoders
from l2l_engine.gpu.kernels import Kernels
from l2l_engine.gpu.lanes import Lane, Lanes
from l2l_engine.gpu.pool import Pool
from l2l_engine.gpu.session import CudaSession
from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaSource
from l2l_engine.plan import Plan
from l2l_engine.result import TimeArray
from l2l_engine.run.pipeline import Pipeline
from l2l_engine.run.request import Bank, Request, Stopwatch
from l2l_engine.run.session import Session, run_skimmer
from l2l_engine.run.workers import Job
from l2l_engine.skim import SkimResult
from l2l_engine.skim.averaging import Averager


class CudaPipeline(Pipeline):
    """Encoders and skimmer of one plan on one GPU; see :class:`l2l_engine.run.pipeline.Pipeline`.

    Args:
        plan: The plan.
        device: The GPU.
        pool: Its memory.
        encoders: By modality.
        kernels: Of the plan's skimmer, or none for a plan that averages all pairs, on the host.
        decoders: On the GPU.
        threads: Processor threads, which read and demux files and decode sound.
        limits: What one file may cost.
    """

    device = "cuda"

    def __init__(  # noqa: PLR0917 - what it owns
        self,
        plan: Plan,
        device: Device,
        pool: Pool,
        encoders: dict[str, DeviceEncoder],
        kernels: Kernels,
        decoders: Decoders,
        *,
        averager: Averager | None = None,
        threads: int,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(plan, dict(encoders), averager, threads=threads, limits=limits)  # type: ignore[arg-type]
        self._there, self._decoders, self._averager = encoders, decoders, averager
        self._lanes = Lanes(device, kernels)
        self._resources = _Resources(encoders, self._lanes, decoders, pool)
        # A Classifier that is forgotten rather than closed gives its memory back too.
        weakref.finalize(self, self._resources.end).atexit = False

    def _session(self, source: MediaSource, request: Request, job: Job) -> Session:
        self._resources.enter()
        try:
            return CudaSession(
                source,
                self._document,
                self._there,
                request,
                job=job,
                lanes=self._lanes,
                decoders=self._decoders,
                averager=self._averager,
                leave=self._resources.leave,
            )
        except BaseException:
            self._resources.leave()
            raise

    def warmup(self) -> None:
        """Run every network with each batch size there will be, and the skimmer."""
        with self._workers.job() as job:
            for encoder in self._there.values():
                job.submit(encoder.warmup)
            job.finish(lambda: None)
        row = Bank(np.zeros((1, self._feature), np.float32), np.zeros(1))
        audio = row if "audio" in self._there else None
        for _ in range(3):  # once as it is, once to make a graph of it, once as that
            self.skim(row, audio, np.zeros(1), 1, Stopwatch())

    def close(self) -> None:
        """End the threads; files that are open are finished first, then all memory is freed."""
        super().close()
        self._resources.end()

    def skim(
        self,
        image: Bank | DeviceBank | None,
        audio: Bank | DeviceBank | None,
        timestamps: TimeArray,
        steps: int,
        watch: Stopwatch,
    ) -> SkimResult:
        """Run the skimmer on one video; at most one modality may be missing."""

        def run() -> SkimResult:
            held: list[object] = []
            with watch.stage("skim"), self._lanes.use() as lane:
                parts = (
                    self._part("image_bank", image, lane, held),
                    self._part("audio_bank", audio, lane, held),
                )
                if self._averager is None:
                    return lane.run(parts, timestamps, steps)
                banks = [None if part is None else Bank(lane.fetch(part), part.times) for part in parts]
            return run_skimmer(self._averager, banks[0], banks[1], timestamps, steps, watch=watch)

        with self._workers.job() as job:
            self._resources.enter()
            try:
                return job.run(run, lambda: None)
            finally:
                self._resources.leave()

    def _part(self, name: str, bank: Bank | DeviceBank | None, lane: Lane, held: list[object]) -> Part | None:
        if bank is None:
            return None
        rows: View
        if isinstance(bank, DeviceBank):
            rows, owner = external(name, bank.features, lane.stream, self._feature)
            if rows.shape[1] != len(bank.times):
                raise ValueError(f"{name} has {rows.shape[1]} rows for {len(bank.times)} times")
        else:
            rows, owner = lane.bring(bank.features)
        held.append(owner)
        return Part(rows, np.arange(len(bank.times)), bank.times)


class _Resources:
    """What is on the device, freed when it is over and nobody works with it any more."""

    def __init__(
        self, encoders: Mapping[str, DeviceEncoder], lanes: Lanes, decoders: Decoders, pool: Pool
    ) -> None:
        self._things: list[Any] = [decoders, lanes, *encoders.values(), pool]
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
