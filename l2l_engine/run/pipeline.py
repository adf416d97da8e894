"""One video's way through the engine: open, decode at the knots, encode, skim."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends import INPUTS, LanedEncoder
from l2l_engine.backends.encoder import Encode
from l2l_engine.cuda.bank import DeviceBank
from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaFile, MediaSource, open_media
from l2l_engine.plan import Plan
from l2l_engine.result import TimeArray
from l2l_engine.run.extraction import MOST
from l2l_engine.run.recognise import Recogniser
from l2l_engine.run.session import Bank, Request, Session, Stopwatch, run_skimmer
from l2l_engine.run.workers import Job, Workers
from l2l_engine.skim import SkimmingModel, SkimResult


class Pipeline:
    """Encoders and skimmer of one plan. Holds no state of a prediction: safe from many threads."""

    device = "cpu"

    def __init__(
        self,
        plan: Plan,
        encoders: dict[str, LanedEncoder],
        skimmer: SkimmingModel,
        *,
        threads: int,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._document, self._feature = plan.document, plan.dimensions.feature
        self._encoders = encoders
        self._skimmer = skimmer
        self._limits = limits
        self._workers = Workers(threads)
        self.recogniser: Recogniser | None = None
        if "recogniser" in encoders:
            self.recogniser = Recogniser(plan.document, encoders["recogniser"])

    def open(self, file: MediaFile, request: Request) -> Session:
        """Open one file, to extract features from it.

        Raises:
            MediaError: If the file cannot be used, naming it and the cause.
        """
        job = self._workers.job(request.due)
        opened: list[MediaSource] = []

        def probe() -> None:
            with request.watch.stage("probe"):
                beside = job.submit if job.has_room else None
                opened.append(open_media(file, limits=self._limits, poll=job.check, beside=beside))

        try:
            request.report("probe", 0.0)
            job.run(probe, lambda: request.report("probe", 0.0))
            return self._session(opened[0], request, job)
        except BaseException:
            job.close()
            for source in opened:
                source.close()
            raise

    def _session(self, source: MediaSource, request: Request, job: Job) -> Session:
        return Session(source, self._document, self._encoders, self._skimmer, request, job=job)

    @property
    def precision(self) -> str:
        """Arithmetic of the encoders, e.g. "bf16"."""
        return "/".join(sorted({encoder.precision for encoder in self._encoders.values()}))

    def warmup(self) -> None:
        """Run the networks of every thread once, with each batch size there will be."""
        most = {"image": MOST["frames"], "audio": MOST["audio"]}
        if self.recogniser is not None:
            most["recogniser"] = self.recogniser.most
        with contextlib.ExitStack() as held, self._workers.job() as job:
            for name, encoder in self._encoders.items():
                samples = np.zeros((most[name], *encoder.input_shape), INPUTS[name])
                for encode in held.enter_context(encoder.lanes(self._workers.threads)):
                    job.submit(partial(_run_each_size, encode, samples))
            job.finish(lambda: None)
        if self.recogniser is not None:
            with self._workers.job() as job:
                job.run(self.recogniser.measure, lambda: None)
        row = Bank(np.zeros((1, self._feature), np.float32), np.zeros(1))
        self.skim(row, row if "audio" in self._encoders else None, np.zeros(1), 1, Stopwatch())

    def close(self) -> None:
        """End the threads; files that are open are finished first."""
        self._workers.close()

    def skim(
        self,
        image: Bank | DeviceBank | None,
        audio: Bank | DeviceBank | None,
        timestamps: TimeArray,
        steps: int,
        watch: Stopwatch,
    ) -> SkimResult:
        """Run the skimmer on one video; at most one modality may be missing."""
        assert not isinstance(image, DeviceBank), "features on a GPU come to its pipeline alone"
        assert not isinstance(audio, DeviceBank)
        with self._workers.job() as job:
            return job.run(
                lambda: run_skimmer(self._skimmer, image, audio, timestamps, steps, watch=watch),
                lambda: None,
            )


def _run_each_size(encode: Encode, samples: NDArray[Any]) -> None:
    for size in range(1, len(samples) + 1):
        encode(samples[:size])
