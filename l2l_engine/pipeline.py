"""One video's way through the engine: open, decode at the knots, encode, skim."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends import Encoder
from l2l_engine.errors import MediaError
from l2l_engine.media import DEFAULT_LIMITS, Limits, MediaFile, MediaSource, open_media, sampling
from l2l_engine.media.sampling import Policy
from l2l_engine.plan import Plan
from l2l_engine.result import FloatArray, MediaInfo, TimeArray, Timings
from l2l_engine.skim import Skimmer, SkimResult

BATCH = 32
"""Samples an encoder call: enough to keep the cores busy, little enough to stop in time."""

CHUNK = 8 * BATCH
"""Samples decoded before they are encoded and forgotten: memory must not grow with what a file claims."""

LEAST_COVERAGE = 0.5
"""Below this share of readable frames and windows a file is an error, not a guess."""

Report = Callable[[str, float], None]


class Stopwatch:
    """Adds up wall-clock seconds by stage, for ``Timings``."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._seconds = dict.fromkeys((f.name for f in fields(Timings)), 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside the block for ``name``."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - begin

    def timings(self) -> Timings:
        """The stages so far; ``total`` is the time since this stopwatch was made."""
        return Timings(**(self._seconds | {"total": time.perf_counter() - self._begin}))


@dataclass(frozen=True, slots=True)
class Request:
    """What one call of ``predict`` asks for."""

    name: str
    steps: int
    sampling: Policy
    max_image_gap_s: float
    report: Report
    """Called between packets and batches with the stage and its progress; raises to stop."""
    watch: Stopwatch

    def poll(self, stage: str) -> Callable[[], None]:
        """A callback for decoders, which know no stages."""
        return lambda: self.report(stage, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Features at the knots of one modality: float32 [M, D] at float64 [M] seconds."""

    features: FloatArray
    times: TimeArray


@dataclass(frozen=True, slots=True, eq=False)
class Extracted:
    """One modality of one video: its bank (None if nothing could be decoded) and what it took."""

    bank: Bank | None = None
    asked: int = 0
    decoded: int = 0
    frames_decoded: int = 0

    @property
    def knots(self) -> int:
        """Rows of the bank."""
        return 0 if self.bank is None else len(self.bank.times)


@dataclass(frozen=True, slots=True, eq=False)
class Skimmed:
    """What the pipeline found in one video."""

    result: SkimResult
    timestamps: TimeArray
    media: MediaInfo
    has_image: bool
    has_audio: bool


class Pipeline:
    """Encoders and skimmer of one plan. Holds no state of a prediction: safe from many threads."""

    def __init__(
        self,
        plan: Plan,
        encoders: dict[str, Encoder],
        skimmer: Skimmer,
        *,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._document = plan.document
        self._encoders = encoders
        self._skimmer = skimmer
        self._limits = limits

    def run(self, file: MediaFile, request: Request) -> Skimmed:
        """Skim one file.

        Raises:
            MediaError: If the file cannot be used, naming it and the cause.
        """
        with request.watch.stage("probe"):
            source = open_media(file, limits=self._limits, poll=request.poll("probe"))
        with source:
            return self._skim_source(source, request)

    def skim(
        self, image: Bank | None, audio: Bank | None, timestamps: TimeArray, steps: int, watch: Stopwatch
    ) -> SkimResult:
        """Run the skimmer on one video; at most one modality may be missing."""
        modality: Literal["both", "image", "audio"] = "both"
        if image is None:
            modality = "audio"
        elif audio is None:
            modality = "image"
        with watch.stage("skim"):
            return self._skimmer.run(
                None if image is None else image.features[None],
                None if audio is None else audio.features[None],
                None if image is None else image.times[None],
                None if audio is None else audio.times[None],
                timestamps[None],
                steps,
                modality=modality,
            )

    def _skim_source(self, source: MediaSource, request: Request) -> Skimmed:
        timestamps = sampling.timestamps(source.duration, self._document.media.hop)
        audio = self._listen(source, timestamps, request)
        image = self._look(source, timestamps, request)
        if audio.bank is None and image.bank is None:
            raise MediaError(f"{request.name}: {_why_nothing(source, self._document.modalities)}")
        coverage = (audio.decoded + image.decoded) / (audio.asked + image.asked)
        if coverage < LEAST_COVERAGE:
            raise MediaError(f"{request.name}: only {coverage:.0%} of what was needed could be decoded")
        result = self.skim(image.bank, audio.bank, timestamps, request.steps, request.watch)
        info = MediaInfo(
            duration=float(source.duration),
            streams=source.streams,
            video="present" if source.has_video else "absent",
            audio="present" if source.has_audio else "absent",
            coverage=coverage,
            image_knots=image.knots,
            audio_knots=audio.knots,
            frames_decoded=image.frames_decoded,
        )
        request.report("skim", 1.0)
        return Skimmed(
            result, timestamps, info, has_image=image.bank is not None, has_audio=audio.bank is not None
        )

    def _listen(self, source: MediaSource, timestamps: TimeArray, request: Request) -> Extracted:
        if not source.has_audio or "audio" not in self._document.modalities:
            return Extracted()
        media, settings = self._document.media, self._document.sampling
        gap = min(settings.factor * media.hop, settings.max_audio_gap_s)
        knots = sampling.knots(timestamps, max(1, int(gap / media.hop * (1 + 1e-9))))
        extracted = Extraction(self._encoders["audio"], request)
        for part in _chunks(knots):
            with request.watch.stage("audio"):
                windows = source.audio_windows(
                    part, window=media.window, sample_rate=media.sample_rate, poll=request.poll("audio")
                )
            extracted.add(windows.samples, part, windows.valid)
        return extracted.done()

    def _look(self, source: MediaSource, timestamps: TimeArray, request: Request) -> Extracted:
        if not source.has_video:
            return Extracted()
        media = self._document.media
        with request.watch.stage("frames"):
            exact = request.sampling == "exact"
            keys = np.zeros(0) if exact else source.key_times(poll=request.poll("frames"))
            knots = sampling.image_knots(
                timestamps, keys, policy=request.sampling, max_gap=max(request.max_image_gap_s, media.hop)
            )
        extracted = Extraction(self._encoders["image"], request)
        for part in _chunks(knots):
            with request.watch.stage("frames"):
                frames = source.frames(
                    part, short_side=media.short_side, crop=media.crop, poll=request.poll("frames")
                )
            extracted.add(frames.images, part, frames.valid, frames.frames_decoded)
        return extracted.done()


class Extraction:
    """Gathers the features of one modality, a chunk of decoded samples after the other."""

    def __init__(self, encoder: Encoder, request: Request) -> None:
        self._encoder, self._request = encoder, request
        self._features = [np.empty((0, encoder.features), np.float32)]
        self._times = [np.empty(0)]
        self._asked = 0
        self._frames_decoded = 0

    def add(
        self, samples: NDArray[Any], times: TimeArray, valid: NDArray[np.bool_], frames_decoded: int = 0
    ) -> None:
        """Encode the samples that were decoded."""
        samples = samples[valid]
        self._times.append(times[valid])
        self._asked += len(times)
        self._frames_decoded += frames_decoded
        with self._request.watch.stage("encode"):
            for start in range(0, len(samples), BATCH):
                self._request.report("encode", start / len(samples))
                self._features.append(self._encoder.encode(samples[start : start + BATCH]))

    def done(self) -> Extracted:
        """The bank, and what it took."""
        times = np.concatenate(self._times)
        bank = Bank(np.concatenate(self._features), times) if len(times) else None
        return Extracted(bank, self._asked, len(times), self._frames_decoded)


def _chunks(knots: TimeArray) -> Iterator[TimeArray]:
    for start in range(0, len(knots), CHUNK):
        yield knots[start : start + CHUNK]


def _why_nothing(source: MediaSource, modalities: tuple[str, ...]) -> str:
    if not source.has_video and "audio" not in modalities:
        return "there is no video, and the plan is for pictures alone"
    return "no frame and no sound could be decoded"
