"""A plan at work: opens files, skims features that were handed in, and owns the threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2l_engine import arguments
from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaFile, MediaSource
from l2l_engine.plan import Plan, moment_weights
from l2l_engine.result import TimeArray
from l2l_engine.run.compute import Bank, Compute
from l2l_engine.run.host import moment_logits
from l2l_engine.run.recognise import Recogniser
from l2l_engine.run.session import Session
from l2l_engine.run.watch import Stage, Stopwatch, Watch
from l2l_engine.run.workers import Job, Workers
from l2l_engine.skim import MomentHead, SkimResult


class Pipeline:
    """One plan on one device. Holds no state of a prediction: safe from many threads.

    Args:
        plan: The plan.
        compute: Its networks on their device.
        threads: Processor threads, which read and demux files and do whatever the device leaves to them.
        limits: What one file may cost.
    """

    def __init__(
        self, plan: Plan, compute: Compute, *, threads: int, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        # FFmpeg is loaded here: before it is timed, and not by whoever imports the package alone.
        from l2l_engine.media import ffmpeg  # noqa: PLC0415

        self._media = ffmpeg
        self._document, self._compute, self._limits = plan.document, compute, limits
        weights = moment_weights(plan.document, plan.skim)
        self.head: MomentHead | None = None if weights is None else MomentHead(weights)
        """Says what every moment shows, for plans that tell when it happens."""
        self._workers = Workers(threads)

    @property
    def precision(self) -> str:
        """Arithmetic of the encoders, e.g. "bf16"."""
        return self._compute.precision

    @property
    def recogniser(self) -> Recogniser | None:
        """The plan's recogniser, if it has one."""
        return self._compute.recogniser

    def open(self, file: MediaFile, watch: Watch, *, keep: bool = False) -> Session:
        """Open one file, to extract features from it.

        Args:
            file: The file.
            watch: Watches the call.
            keep: Whether what is decoded will be asked for again, as :class:`Session` says.

        Raises:
            MediaError: If the file cannot be used; the message names it and the cause.
        """
        job = self._workers.job(watch.due)
        opened: list[MediaSource] = []

        def probe() -> None:
            with watch.stopwatch.stage(Stage.PROBE):
                beside = job.submit if job.has_room else None
                opened.append(
                    self._media.open_media(file, limits=self._limits, poll=job.check, beside=beside)
                )

        try:
            watch.tick(Stage.PROBE, 0.0)
            job.run(probe, lambda: watch.tick(Stage.PROBE, 0.0))
            return self._session(opened[0], watch, job, keep)
        except BaseException:
            job.close()
            for source in opened:
                source.close()
            raise

    def _session(self, source: MediaSource, watch: Watch, job: Job, keep: bool) -> Session:
        compute = self._compute.open(source, watch.stopwatch)
        try:
            return Session(
                source, self._document, compute, watch, job=job, recogniser=self.recogniser, keep=keep
            )
        except BaseException:
            compute.close()
            raise

    def bank(self, modality: str, rows: ArrayLike | None, times: ArrayLike | None) -> Bank | None:
        """Features that a caller hands in.

        Args:
            modality: "image" or "audio".
            rows: [M, D]; on a GPU also an array there, which stays there and is checked where it is used.
            times: [M] seconds; row index x hop by default.

        Raises:
            TypeError, ValueError: If they cannot be used; the message names the argument.
        """
        if rows is None:
            if times is not None:
                raise ValueError(f"{modality}_times is given without {modality}_bank")
            return None
        if modality not in self._document.modalities:
            raise ValueError(f"{modality}_bank is given, but the plan knows no {modality}")
        features, count = self._compute.take(f"{modality}_bank", rows)
        if times is None:
            seconds = np.arange(count, dtype=np.float64) * self._document.media.hop
        else:
            seconds = arguments.times(f"{modality}_times", times)
        if len(seconds) != count:
            raise ValueError(f"{modality}_times has {len(seconds)} entries for {count} rows")
        return Bank(features, seconds)

    def skim(
        self,
        image: Bank | None,
        audio: Bank | None,
        timestamps: TimeArray,
        steps: int,
        stopwatch: Stopwatch,
    ) -> SkimResult:
        """Run the skimmer on features that were handed in; at most one modality may be missing."""
        with self._workers.job() as job:
            return job.run(
                lambda: self._compute.skim(image, audio, timestamps, steps, stopwatch), lambda: None
            )

    def moments(
        self,
        head: MomentHead,
        image: Bank | None,
        audio: Bank | None,
        timestamps: TimeArray,
        stopwatch: Stopwatch,
    ) -> NDArray[np.float64]:
        """What moments show by features that were handed in, and that :meth:`skim` has taken before.

        Args:
            head: The plan's.
            image, audio: As for :meth:`skim`.
            timestamps: float64 [N], seconds.
            stopwatch: Of the call.

        Returns:
            Logits [N, C].
        """

        def work() -> NDArray[np.float64]:
            seen = self._compute.on_host("image_bank", image)
            heard = self._compute.on_host("audio_bank", audio)
            return moment_logits(head, seen, heard, timestamps, stopwatch)

        with self._workers.job() as job:
            return job.run(work, lambda: None)

    def warmup(self) -> None:
        """Run every network and the skimmer once, so that the first prediction costs what later ones do."""
        self._compute.warmup(self._workers)

    def close(self) -> None:
        """End the threads, then free what the device holds; files that are open are finished first."""
        self._workers.close()
        self._compute.close()
