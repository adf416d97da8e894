"""One opened video: features are extracted where they are asked for, and skimmed as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends import Encoder
from l2l_engine.errors import MediaError
from l2l_engine.media import MediaSource, sampling
from l2l_engine.plan import PlanDocument
from l2l_engine.result import Features, FloatArray, MediaInfo, StreamInfo, TimeArray
from l2l_engine.run.extraction import Extraction, Gathered, Part, Readers, audio_parts, video_parts
from l2l_engine.run.recognise import Kept, Recogniser, Viewing, Views, sees_the_same
from l2l_engine.run.request import Bank, Report, Request, Stopwatch
from l2l_engine.run.workers import Job
from l2l_engine.skim import SkimmingModel, SkimResult

__all__ = ["Bank", "Report", "Request", "Session", "Skimmed", "Stopwatch", "run_skimmer"]

_T = TypeVar("_T")

_USUAL_RATE = 25.0

LEAST_COVERAGE = 0.5
"""Below this share of readable frames and windows a file is an error, not a guess."""


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

    A context manager: leaving it closes the file. The work is done by the threads of ``job``, which the
    session closes too.

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
        *,
        job: Job,
    ) -> None:
        self._source, self._document, self._skimmer, self._request = source, document, skimmer, request
        self._job, self._readers = job, Readers(source)
        self.timestamps = sampling.timestamps(source.duration, document.media.hop)
        self._image = self._gather("frames", encoders["image"]) if source.has_video else None
        hears = source.has_audio and "audio" in document.modalities
        self._audio = self._gather("audio", encoders["audio"]) if hears else None
        self._key_times: TimeArray | None = None
        self._dead: dict[str, bool] = {}
        self._kept = Kept() if self._image is not None and sees_the_same(document) else None
        if self._image is not None and self._kept is not None:
            self._image.keep = self._kept.add

    def _gather(self, stage: str, encoder: Encoder) -> Gathered:
        return Gathered(stage, encoder)

    def _extraction(self) -> Extraction:
        return Extraction(self._job, self._readers, self._document.media, self._request.watch)

    @property
    def decoder(self) -> str:
        """What decoded the frames and the sound."""
        return "pyav"

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through a decoder."""
        return self._readers.frames_decoded

    @property
    def threads(self) -> int:
        """How many pieces of work are done at once."""
        return self._job.threads

    @property
    def duration(self) -> float:
        """Seconds, finite, > 0."""
        return self._source.duration

    @property
    def streams(self) -> tuple[StreamInfo, ...]:
        """The streams in use, as their container declares them."""
        return self._source.streams

    @property
    def frame_rate(self) -> float:
        """Frames a second, by the container; a usual rate where it does not say."""
        return next((s.frame_rate for s in self.streams if s.kind == "video" and s.frame_rate), _USUAL_RATE)

    @property
    def has_video(self) -> bool:
        """Whether there are pictures to look at."""
        return self._image is not None

    @property
    def has_audio(self) -> bool:
        """Whether there is sound, and the plan listens."""
        return self._audio is not None

    @property
    def looked_at(self) -> TimeArray:
        """Moments that have an image feature by now: float64 [M], increasing seconds."""
        return np.zeros(0) if self._image is None else self._image.times

    def key_times(self) -> TimeArray:
        """When key frames are shown: float64 [K], increasing seconds; empty without video."""
        if self._image is None:
            return np.zeros(0)
        if self._key_times is None:
            with self._request.watch.stage("frames"):
                self._key_times = self._read("frames", lambda source: source.key_times(poll=self._job.check))
        return self._key_times

    def extract(self, image_knots: TimeArray, audio_knots: TimeArray) -> None:
        """Decode and encode the moments that were not asked for before.

        Args:
            image_knots, audio_knots: float64 [M], increasing seconds; either may be empty, and must be
                where the file lacks the modality.

        Raises:
            MediaError: If the file cannot be read. Moments that cannot be decoded lower the coverage.
        """
        extraction = self._extraction()
        there = self._source.readable  # what was cut off is not asked for, and known to be missing
        if there < self._source.duration:
            image_knots, audio_knots = (knots[knots < there] for knots in (image_knots, audio_knots))
        audio = [] if self._audio is None else audio_parts(self._audio, self._audio.new(audio_knots))
        image = [] if self._image is None else self._image_parts(self._image, self._image.new(image_knots))
        # The sound first: it is one long part, and its end should not be waited for.
        extraction.run(self._lanes([*audio, *image]), self._request.report)

    def skim(self, steps: int, where: NDArray[np.bool_] | None = None) -> Skimmed:
        """Run the skimmer on what was extracted so far.

        Args:
            steps: Steps T.
            where: bool [N], the timestamps to attend to, at least one; the attention to the others is 0.
                None for all.

        Raises:
            MediaError: If too little of what was asked for could be decoded.
        """
        image, audio = (0 if kind is None else kind.decoded for kind in (self._image, self._audio))
        coverage = self._coverage()
        times = self.timestamps if where is None else self.timestamps[where]
        result = self._job.run(
            lambda: self._run_skimmer(times, steps), lambda: self._request.report("skim", 0.0)
        )
        if where is not None:
            result = _spread_out(result, where)
        info = MediaInfo(
            duration=float(self._source.duration),
            streams=tuple(stream for stream in self.streams if not self._dead.get(stream.kind)),
            video="present" if self._source.has_video and not self._dead.get("video") else "absent",
            audio="present" if self._source.has_audio and not self._dead.get("audio") else "absent",
            coverage=coverage,
            image_knots=image,
            audio_knots=audio,
            frames_decoded=self.frames_decoded,
        )
        self._request.report("skim", 1.0)
        return Skimmed(result, self.timestamps, info, has_image=image > 0, has_audio=audio > 0)

    def _run_skimmer(self, times: TimeArray, steps: int) -> SkimResult:
        image, audio = (None if kind is None else kind.bank() for kind in (self._image, self._audio))
        return run_skimmer(self._skimmer, image, audio, times, steps, watch=self._request.watch)

    def features(self) -> Features:
        """What was extracted so far.

        Raises:
            MediaError: If too little of what was asked for could be decoded.
        """
        self._coverage()
        image, audio = (None if kind is None else kind.bank() for kind in (self._image, self._audio))
        return self._features(
            (None, None) if image is None else (image.features, image.times),
            (None, None) if audio is None else (audio.features, audio.times),
        )

    def _features(self, image: tuple[Any, TimeArray | None], audio: tuple[Any, TimeArray | None]) -> Features:
        return Features(
            image_bank=image[0],
            audio_bank=audio[0],
            image_times=image[1],
            audio_times=audio[1],
            timestamps=self.timestamps,
            decoder=self.decoder,
        )

    def recognise(self, recogniser: Recogniser, moments: TimeArray) -> Bank | None:
        """Have the recogniser see some moments of a video that has pictures.

        Args:
            recogniser: The plan's.
            moments: float64 [M], increasing seconds.

        Returns:
            Its logits of the moments that could be decoded; None if none could.

        Raises:
            MediaError: If the file cannot be read.
        """
        views = Views(recogniser, moments)
        viewing = Viewing(self._job, self._readers, recogniser.media, self._request.watch, self._kept)
        viewing.run(self._lanes(self._image_parts(views, views.wanted)), self._request.report)
        return views.bank()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._job.close()
        self._readers.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lanes(self, parts: list[Part]) -> list[list[Part]]:
        if not self._source.reopens:
            return [parts]
        # The longest first, so that the threads end together. The sound is one long part.
        return [[part] for part in sorted(parts, key=lambda part: -part.cost)]

    def _image_parts(self, gathered: Gathered, knots: TimeArray) -> list[Part]:
        if not len(knots):
            return []
        groups = self._read("frames", lambda source: source.groups(poll=self._job.check))
        return video_parts(gathered, knots, groups)

    def _read(self, stage: str, work: Callable[[MediaSource], _T]) -> _T:
        return self._job.run(
            lambda: self._readers.use(work, self._job.check), lambda: self._request.report(stage, 0.0)
        )

    def _coverage(self) -> float:
        """Share of the moments asked for that could be decoded, if it is enough."""
        kinds: dict[Literal["video", "audio"], Gathered | None] = {"video": self._image, "audio": self._audio}
        gathered = {name: kind for name, kind in kinds.items() if kind is not None}
        decoded = sum(kind.decoded for kind in gathered.values())
        if not decoded:
            raise MediaError(f"{self._request.name}: {_why_nothing(self._source, self._document.modalities)}")
        asked = sum(kind.asked for name, kind in gathered.items() if not self._is_dead(name, kind))
        there, duration = self._source.readable, self._source.duration
        coverage = decoded / asked * there / duration
        if coverage < LEAST_COVERAGE:
            cut = f": the file was cut short, {there:.1f} of {duration:.1f} s are there"
            cause = (
                f"only {coverage:.0%} of what was needed could be decoded{cut if there < duration else ''}"
            )
            raise MediaError(f"{self._request.name}: {cause}")
        return coverage

    def _is_dead(self, name: Literal["video", "audio"], gathered: Gathered) -> bool:
        """Whether a track is declared and yields nothing: it is absent then, and nothing of it was lost."""
        if gathered.decoded or not gathered.asked:
            return False
        if name not in self._dead:
            stage = "frames" if name == "video" else "audio"
            self._dead[name] = not self._read(stage, lambda source: source.yields(name, poll=self._job.check))
        return self._dead[name]


def _spread_out(result: SkimResult, where: NDArray[np.bool_]) -> SkimResult:
    """Attention over the timestamps ``where`` says, on the axis of all of them."""

    def whole(attention: FloatArray) -> FloatArray:
        wide = np.zeros((*attention.shape[:2], len(where)), np.float32)
        wide[..., where] = attention
        return wide

    image, audio = whole(result.image_attention), whole(result.audio_attention)
    return replace(result, image_attention=image, audio_attention=audio)


def _why_nothing(source: MediaSource, modalities: tuple[str, ...]) -> str:
    if not source.has_video and "audio" not in modalities:
        return "there is no video, and the plan is for pictures alone"
    return "no frame and no sound could be decoded"
