"""One opened video: features are extracted where they are asked for, and skimmed as often as one likes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends import Encoder
from l2l_engine.errors import MediaError
from l2l_engine.media import MediaSource, sampling
from l2l_engine.plan import PlanDocument
from l2l_engine.result import FloatArray, MediaInfo, StreamInfo, TimeArray, Timings
from l2l_engine.skim import SkimmingModel, SkimResult

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
    report: Report
    """Called between packets and batches with the stage and its progress; raises to stop."""
    watch: Stopwatch

    def poll(self, stage: str) -> Callable[[], None]:
        """A callback for decoders, which know no stages."""
        return lambda: self.report(stage, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Features at the knots of one modality: float32 [M, D] at float64 [M] seconds, increasing."""

    features: FloatArray
    times: TimeArray


@dataclass(frozen=True, slots=True, eq=False)
class Skimmed:
    """What the skimmer found in one video."""

    result: SkimResult
    timestamps: TimeArray
    media: MediaInfo
    has_image: bool
    has_audio: bool


def run_skimmer(
    skimmer: SkimmingModel,
    image: Bank | None,
    audio: Bank | None,
    timestamps: TimeArray,
    steps: int,
    *,
    watch: Stopwatch,
) -> SkimResult:
    """Run the skimmer on one video; at most one modality may be missing."""
    modality: Literal["both", "image", "audio"] = "both"
    if image is None:
        modality = "audio"
    elif audio is None:
        modality = "image"
    with watch.stage("skim"):
        return skimmer.run(
            None if image is None else image.features[None],
            None if audio is None else audio.features[None],
            None if image is None else image.times[None],
            None if audio is None else audio.times[None],
            timestamps[None],
            steps,
            modality=modality,
        )


class Session:
    """One opened file and the features extracted from it so far; for one thread at a time.

    A context manager: leaving it closes the file.

    Attributes:
        timestamps: float64 [N], seconds; the moments attention is spread over.
    """

    def __init__(
        self,
        source: MediaSource,
        document: PlanDocument,
        encoders: Mapping[str, Encoder],
        skimmer: SkimmingModel,
        request: Request,
    ) -> None:
        self._source, self._document, self._skimmer, self._request = source, document, skimmer, request
        self.timestamps = sampling.timestamps(source.duration, document.media.hop)
        self._image = Gathered(encoders["image"], request) if source.has_video else None
        hears = source.has_audio and "audio" in document.modalities
        self._audio = Gathered(encoders["audio"], request) if hears else None
        self._key_times: TimeArray | None = None

    @property
    def duration(self) -> float:
        """Seconds, finite, > 0."""
        return self._source.duration

    @property
    def streams(self) -> tuple[StreamInfo, ...]:
        """The streams in use, as their container declares them."""
        return self._source.streams

    @property
    def has_video(self) -> bool:
        """Whether there are pictures to look at."""
        return self._image is not None

    @property
    def has_audio(self) -> bool:
        """Whether there is sound, and the plan listens."""
        return self._audio is not None

    def key_times(self) -> TimeArray:
        """When key frames are shown: float64 [K], increasing seconds; empty without video."""
        if self._image is None:
            return np.zeros(0)
        if self._key_times is None:
            with self._request.watch.stage("frames"):
                self._key_times = self._source.key_times(poll=self._request.poll("frames"))
        return self._key_times

    def extract(self, image_knots: TimeArray, audio_knots: TimeArray) -> None:
        """Decode and encode the moments that were not asked for before.

        Args:
            image_knots, audio_knots: float64 [M], increasing seconds; either may be empty, and must be
                where the file lacks the modality.

        Raises:
            MediaError: If the file cannot be read. Moments that cannot be decoded lower the coverage.
        """
        if self._audio is not None:
            self._listen(self._audio, self._audio.new(audio_knots))
        if self._image is not None:
            self._look(self._image, self._image.new(image_knots))

    def skim(self, steps: int, where: NDArray[np.bool_] | None = None) -> Skimmed:
        """Run the skimmer on what was extracted so far.

        Args:
            steps: Steps T.
            where: bool [N], the timestamps to attend to, at least one; the attention to the others is 0.
                None for all.

        Raises:
            MediaError: If too little of what was asked for could be decoded.
        """
        nothing = Gathered(None, self._request)
        image, audio = self._image or nothing, self._audio or nothing
        name = self._request.name
        if not image.decoded and not audio.decoded:
            raise MediaError(f"{name}: {_why_nothing(self._source, self._document.modalities)}")
        coverage = (audio.decoded + image.decoded) / (audio.asked + image.asked)
        if coverage < LEAST_COVERAGE:
            raise MediaError(f"{name}: only {coverage:.0%} of what was needed could be decoded")
        banks = image.bank(), audio.bank()
        times = self.timestamps if where is None else self.timestamps[where]
        result = run_skimmer(self._skimmer, *banks, times, steps, watch=self._request.watch)
        if where is not None:
            result = _spread_out(result, where)
        info = MediaInfo(
            duration=float(self._source.duration),
            streams=self._source.streams,
            video="present" if self._source.has_video else "absent",
            audio="present" if self._source.has_audio else "absent",
            coverage=coverage,
            image_knots=image.decoded,
            audio_knots=audio.decoded,
            frames_decoded=image.frames_decoded,
        )
        self._request.report("skim", 1.0)
        has_image, has_audio = (bank is not None for bank in banks)
        return Skimmed(result, self.timestamps, info, has_image=has_image, has_audio=has_audio)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._source.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self, gathered: Gathered, knots: TimeArray) -> None:
        media = self._document.media
        poll = self._request.poll("audio")
        for part in _chunks(knots):
            with self._request.watch.stage("audio"):
                windows = self._source.audio_windows(
                    part, window=media.window, sample_rate=media.sample_rate, poll=poll
                )
            gathered.add(windows.samples, part, windows.valid)

    def _look(self, gathered: Gathered, knots: TimeArray) -> None:
        media = self._document.media
        poll = self._request.poll("frames")
        for part in _chunks(knots):
            with self._request.watch.stage("frames"):
                frames = self._source.frames(part, short_side=media.short_side, crop=media.crop, poll=poll)
            gathered.add(frames.images, part, frames.valid, frames.frames_decoded)


class Gathered:
    """The features of one modality so far, in any order, and what they took."""

    def __init__(self, encoder: Encoder | None, request: Request) -> None:
        self._encoder, self._request = encoder, request
        self._features: list[FloatArray] = []
        self._times: list[TimeArray] = []
        self._seen = np.zeros(0)
        self.asked = 0
        self.decoded = 0
        self.frames_decoded = 0

    def new(self, knots: TimeArray) -> TimeArray:
        """Those of ``knots`` that were not asked for before."""
        return np.setdiff1d(np.asarray(knots, np.float64), self._seen)

    def add(
        self, samples: NDArray[Any], times: TimeArray, valid: NDArray[np.bool_], frames_decoded: int = 0
    ) -> None:
        """Encode the samples that were decoded."""
        assert self._encoder is not None
        samples = samples[valid]
        self._seen = np.union1d(self._seen, times)
        self.asked += len(times)
        self.decoded += len(samples)
        self.frames_decoded += frames_decoded
        with self._request.watch.stage("encode"):
            for start in range(0, len(samples), BATCH):
                self._request.report("encode", start / len(samples))
                self._features.append(self._encoder.encode(samples[start : start + BATCH]))
        self._times.append(times[valid])

    def bank(self) -> Bank | None:
        """All features by time; None without any."""
        if not self.decoded:
            return None
        times = np.concatenate(self._times)
        order = np.argsort(times)
        return Bank(np.concatenate(self._features)[order], times[order])


def _spread_out(result: SkimResult, where: NDArray[np.bool_]) -> SkimResult:
    """Attention over the timestamps ``where`` says, on the axis of all of them."""

    def whole(attention: FloatArray) -> FloatArray:
        wide = np.zeros((*attention.shape[:2], len(where)), np.float32)
        wide[..., where] = attention
        return wide

    image, audio = whole(result.image_attention), whole(result.audio_attention)
    return replace(result, image_attention=image, audio_attention=audio)


def _chunks(knots: TimeArray) -> Iterator[TimeArray]:
    for start in range(0, len(knots), CHUNK):
        yield knots[start : start + CHUNK]


def _why_nothing(source: MediaSource, modalities: tuple[str, ...]) -> str:
    if not source.has_video and "audio" not in modalities:
        return "there is no video, and the plan is for pictures alone"
    return "no frame and no sound could be decoded"
