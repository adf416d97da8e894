"""One opened video: features are extracted where they are asked for, and skimmed as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import MediaError, MediaUnreachableError
from l2l_engine.media import MediaSource, Poll, sampling
from l2l_engine.plan import PlanDocument
from l2l_engine.result import Features, FloatArray, MediaInfo, StreamInfo, TimeArray
from l2l_engine.run.chunks import Chunk, audio_chunks, video_chunks
from l2l_engine.run.collector import ClipAssembly, Collector
from l2l_engine.run.compute import Bank, FileCompute, FrameReader
from l2l_engine.run.coverage import Coverage, Kind
from l2l_engine.run.extraction import Extraction
from l2l_engine.run.host import HostStore, moment_logits
from l2l_engine.run.kept import Keeper
from l2l_engine.run.readers import Readers
from l2l_engine.run.recognise import CachedFrames, FrameCache, Recogniser
from l2l_engine.run.watch import Stage, Watch
from l2l_engine.run.workers import Job
from l2l_engine.skim import MomentHead, SkimResult

_T = TypeVar("_T")

_USUAL_RATE = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Skimmed:
    """What the skimmer found in one video."""

    result: SkimResult
    timestamps: TimeArray
    media: MediaInfo
    has_image: bool
    has_audio: bool


class Session:
    """One opened file and the features extracted from it so far; for one thread at a time.

    A context manager: leaving it closes the file. The work is done by the threads of ``job``, which the
    session closes too.

    Args:
        source: The opened file.
        document: The plan's document.
        compute: The device's work for this file.
        watch: Watches the call.
        job: The call's share of the threads.
        recogniser: The plan's recogniser, if it has one.
        keep: Whether :meth:`pictures` and :meth:`sounds` will be asked for: what is decoded is kept then.

    Attributes:
        timestamps: float64 [N], seconds; the moments attention is spread over.
    """

    def __init__(
        self,
        source: MediaSource,
        document: PlanDocument,
        compute: FileCompute,
        watch: Watch,
        *,
        job: Job,
        recogniser: Recogniser | None = None,
        keep: bool = False,
    ) -> None:
        self._source, self._document, self._compute, self._watch = source, document, compute, watch
        self._job, self._readers = job, Readers(source)
        if why := _why_nothing(source, document.modalities):
            raise MediaError(f"{watch.name}: {why}")
        self.timestamps = sampling.timestamps(source.duration, document.media.hop)
        self._cache: FrameCache | None = None
        if source.has_video and recogniser is not None and recogniser.sees_frames_of(document):
            self._cache = FrameCache()
        self._keeper = Keeper(document.media) if keep else None
        self._iter_frames: FrameReader = compute.iter_frames
        if self._keeper is not None and compute.groups_together is None:
            self._iter_frames = self._keeper.iter_frames
        self._image = self._audio = None
        if source.has_video and "image" in document.modalities:
            self._image = Collector(Stage.FRAMES, compute.store(Stage.FRAMES), cache=self._cache)
        if source.has_audio and "audio" in document.modalities:
            windows = None if self._keeper is None else self._keeper.windows
            self._audio = Collector(Stage.AUDIO, compute.store(Stage.AUDIO), cache=windows)
        self._key_times: TimeArray | None = None
        tracks: dict[Kind, Collector | None] = {"video": self._image, "audio": self._audio}
        self._coverage = Coverage(source, watch.name, tracks, self._yields)

    @property
    def decoder(self) -> str:
        """What decoded the frames and the sound."""
        return self._compute.decoder

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through a decoder."""
        return self._readers.frames_decoded + self._compute.frames_decoded

    @property
    def bytes_read(self) -> int:
        """Bytes read of the file; of a URL those that came over the network."""
        return self._readers.bytes_read

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
        """Whether there are pictures, and the plan looks at them."""
        return self._image is not None

    @property
    def has_audio(self) -> bool:
        """Whether there is sound, and the plan listens."""
        return self._audio is not None

    @property
    def looked_at(self) -> TimeArray:
        """Moments that have an image feature by now: float64 [M], increasing seconds."""
        return np.zeros(0) if self._image is None else self._image.times

    @property
    def listened_to(self) -> TimeArray:
        """Moments that have an audio feature by now: float64 [M], increasing seconds."""
        return np.zeros(0) if self._audio is None else self._audio.times

    def key_times(self) -> TimeArray:
        """When key frames are shown: float64 [K], increasing seconds; empty without video."""
        if self._image is None:
            return np.zeros(0)
        if self._key_times is None:
            with self._watch.stopwatch.stage(Stage.FRAMES):
                self._key_times = self._read(lambda source: source.key_times(poll=self._job.check))
        return self._key_times

    def extract(self, image_knots: TimeArray, audio_knots: TimeArray) -> None:
        """Decode and encode the moments that were not asked for before.

        Args:
            image_knots, audio_knots: float64 [M], increasing seconds; either may be empty, and must be
                where the file lacks the modality.

        Raises:
            MediaError: If the file cannot be read. Moments that cannot be decoded lower the coverage.
        """
        there = self._source.readable  # what was cut off is not asked for, and known to be missing
        if there < self._source.duration:
            image_knots, audio_knots = (knots[knots < there] for knots in (image_knots, audio_knots))
        audio: list[Chunk] = []
        image: list[Chunk] = []
        if self._audio is not None:
            audio = audio_chunks(self._audio, self._audio.new(audio_knots))
        if self._image is not None:
            together = self._compute.groups_together
            image = self._image_chunks(self._image, self._image.new(image_knots), together)
        extraction = Extraction(
            self._job, self._readers, self._document.media, self._watch, self._iter_frames
        )
        # The sound first: its chunks are long, and their end should not be waited for.
        extraction.run(self._queues([*audio, *image]))

    def skim(self, steps: int, where: NDArray[np.bool_] | None = None) -> Skimmed:
        """Run the skimmer on what was extracted so far.

        Args:
            steps: Steps T.
            where: bool [N], the timestamps to attend to, at least one; the attention to the others is 0.
                None for all.

        Raises:
            MediaError: If too little of what was asked for could be decoded.
        """
        image, audio = (None if kind is None else kind.collected() for kind in (self._image, self._audio))
        coverage = self._coverage.share()
        times = self.timestamps if where is None else self.timestamps[where]
        result = self._job.run(
            lambda: self._compute.skim(image, audio, times, steps),
            lambda: self._watch.tick(Stage.SKIM, 0.0),
        )
        if where is not None:
            result = _spread_out(result, where)
        info = MediaInfo(
            duration=float(self._source.duration),
            streams=tuple(stream for stream in self.streams if not self._coverage.lacks(stream.kind)),
            video="present" if self._source.has_video and not self._coverage.lacks("video") else "absent",
            audio="present" if self._source.has_audio and not self._coverage.lacks("audio") else "absent",
            coverage=coverage,
            image_knots=0 if image is None else len(image.times),
            audio_knots=0 if audio is None else len(audio.times),
            frames_decoded=self.frames_decoded,
        )
        self._watch.tick(Stage.SKIM, 1.0)
        return Skimmed(
            result, self.timestamps, info, has_image=image is not None, has_audio=audio is not None
        )

    def moments(self, head: MomentHead) -> NDArray[np.float64]:
        """What every moment shows, by what was extracted so far: logits [N, C] at ``timestamps``.

        Args:
            head: The plan's.
        """
        image, audio = (None if kind is None else kind.collected() for kind in (self._image, self._audio))

        def work() -> NDArray[np.float64]:
            banks = self._compute.banks(image, audio)
            return moment_logits(head, *banks, self.timestamps, self._watch.stopwatch)

        return self._job.run(work, lambda: self._watch.tick(Stage.SKIM, 1.0))

    def features(self) -> Features:
        """What was extracted so far; on a GPU the banks stay there.

        Raises:
            MediaError: If too little of what was asked for could be decoded.
        """
        self._coverage.share()
        collectors = {Stage.FRAMES: self._image, Stage.AUDIO: self._audio}
        found = {stage: kind.collected() for stage, kind in collectors.items() if kind is not None}
        collected = {stage: kind for stage, kind in found.items() if kind is not None}
        banks = self._job.run(
            lambda: self._compute.features(collected), lambda: self._watch.tick(Stage.ENCODE, 1.0)
        )
        times = {stage: kind.times for stage, kind in collected.items()}
        return Features(
            image_bank=banks.get(Stage.FRAMES),
            audio_bank=banks.get(Stage.AUDIO),
            image_times=times.get(Stage.FRAMES),
            audio_times=times.get(Stage.AUDIO),
            timestamps=self.timestamps,
            decoder=self.decoder,
        )

    def recognise(self, recogniser: Recogniser, moments: TimeArray) -> Bank | None:
        """Have the recogniser see some moments of a video that has pictures.

        Args:
            recogniser: The plan's recogniser.
            moments: float64 [M], increasing seconds.

        Returns:
            Its logits of the moments that could be decoded; None if none could.

        Raises:
            MediaError: If the file cannot be read.
        """
        store = HostStore(recogniser.encode, recogniser.most)
        clips = ClipAssembly(moments, recogniser.times(moments), stacked=recogniser.settings.kind == "clip")
        collector = Collector(Stage.FRAMES, store, clips=clips)
        frames = CachedFrames(self._cache, recogniser.media)
        extraction = Extraction(self._job, self._readers, recogniser.media, self._watch, frames)
        extraction.run(self._queues(self._image_chunks(collector, clips.wanted, None)))
        return store.bank(collector.collected())

    def pictures(self, moments: TimeArray) -> dict[float, NDArray[np.uint8]]:
        """The frames shown at some moments at their own size; those that were not kept are decoded again.

        Args:
            moments: float64 [M], increasing seconds, of a file that has pictures.

        Returns:
            By moment uint8 [height, width, 3]; without those that cannot be decoded.

        Raises:
            MediaError: If the file can no longer be read.
        """
        return self._again(Stage.FRAMES, Keeper.pictures, moments)

    def sounds(self, starts: TimeArray) -> dict[float, FloatArray]:
        """The windows of sound that begin at some moments; those that were not kept are decoded again.

        Args:
            starts: float64 [M], increasing seconds, of a file that has sound.

        Returns:
            By start float32 [window] at the plan's rate; without those that cannot be decoded.

        Raises:
            MediaError: If the file can no longer be read.
        """
        return self._again(Stage.AUDIO, Keeper.sounds, starts)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Hold what is done inside to one file: if it was replaced meanwhile, that is the error.

        Raises:
            MediaError: It was, so that an answer, or another error, may be about pieces of two files.
        """
        try:
            yield
        except MediaUnreachableError:
            raise
        except MediaError:
            self._read(lambda source: source.verify(poll=self._job.check), Stage.PROBE)
            raise
        self._read(lambda source: source.verify(poll=self._job.check), Stage.PROBE)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._job.close()
        self._readers.close()
        self._compute.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _again(
        self,
        stage: Stage,
        ask: Callable[[Keeper, MediaSource, TimeArray, Poll], dict[float, _T]],
        times: TimeArray,
    ) -> dict[float, _T]:
        """What the keeper gives of some moments."""
        keeper = self._keeper or Keeper(self._document.media)

        def give(source: MediaSource) -> dict[float, _T]:
            with self._watch.stopwatch.stage(stage):
                return ask(keeper, source, times, self._job.poll())

        # Not a stage that a budget ends: the answer is being made already.
        return self._read(give, Stage.PROBE)

    def _queues(self, chunks: list[Chunk]) -> list[list[Chunk]]:
        if not self._source.reopens:
            return [chunks]
        # The longest first, so that the threads end together; the sound's cost is not known.
        return [[chunk] for chunk in sorted(chunks, key=lambda chunk: -chunk.cost)]

    def _image_chunks(self, collector: Collector, knots: TimeArray, together: int | None) -> list[Chunk]:
        if not len(knots):
            return []
        groups = self._read(lambda source: source.groups(poll=self._job.check))
        return video_chunks(collector, knots, groups, together=together)

    def _read(self, work: Callable[[MediaSource], _T], stage: Stage = Stage.FRAMES) -> _T:
        """Have a piece of work done with a reader of the file."""
        return self._job.run(
            lambda: self._readers.use(work, self._job.check), lambda: self._watch.tick(stage, 0.0)
        )

    def _yields(self, kind: Kind) -> bool:
        """Whether a track has anything in it."""
        # Not a stage that a budget ends: the answer is being made already.
        return self._read(lambda source: source.yields(kind, poll=self._job.check), Stage.PROBE)


def _spread_out(result: SkimResult, where: NDArray[np.bool_]) -> SkimResult:
    """Attention over the timestamps ``where`` says, on the axis of all of them."""

    def whole(attention: FloatArray) -> FloatArray:
        wide = np.zeros((*attention.shape[:2], len(where)), np.float32)
        wide[..., where] = attention
        return wide

    image, audio = whole(result.image_attention), whole(result.audio_attention)
    return replace(result, image_attention=image, audio_attention=audio)


def _why_nothing(source: MediaSource, modalities: tuple[str, ...]) -> str | None:
    """Why a plan of one modality has nothing to do with a file; None if it has."""
    if modalities == ("image",) and not source.has_video:
        return "there is no video, and the plan is for pictures alone"
    if modalities == ("audio",) and not source.has_audio:
        return "there is no sound, and the plan is for sound alone"
    return None
