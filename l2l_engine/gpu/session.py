"""One opened video on the device: features stay there, and only the answer comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends import Encoder
from l2l_engine.gpu.banks import Part as DevicePart
from l2l_engine.gpu.banks import Parts
from l2l_engine.gpu.encoding import DeviceEncoder
from l2l_engine.gpu.frames import Decoders, Looker
from l2l_engine.gpu.lanes import Lane, Lanes
from l2l_engine.gpu.rows import Rows
from l2l_engine.gpu.slots import FULL
from l2l_engine.media import MediaSource
from l2l_engine.plan import MediaSettings, PlanDocument
from l2l_engine.result import Features, TimeArray
from l2l_engine.run.extraction import Batch, Extraction, Gathered, Part, Readers, video_parts
from l2l_engine.run.request import Bank, Request, Stopwatch
from l2l_engine.run.session import Session, run_skimmer
from l2l_engine.run.workers import Job
from l2l_engine.skim import SkimResult
from l2l_engine.skim.averaging import Averager

_GROUPS = 16
"""Groups of pictures a part: what the GPU's decoder gets at once, twice."""


class DeviceGathered(Gathered):
    """The features of one modality on the device, in the order they were computed."""

    full = undivided = FULL

    def __init__(self, stage: str, encoder: DeviceEncoder) -> None:
        super().__init__(stage, encoder)
        self._there = encoder
        self.rows = encoder.rows()
        self._numbers: list[NDArray[np.int64]] = []

    def add(self, time: float, sample: Any) -> None:
        """Take a decoded sample, on the host or on the device."""
        if isinstance(sample, np.ndarray):
            super().add(time, sample)
            return
        with self._lock:
            self._waiting.append((time, sample))

    def batch(self, least: int) -> Batch:
        """Samples to encode next, as many as are worth a call, if there are at least so many; else none."""
        with self._lock:
            if len(self._waiting) < least:
                return []
            most = min(FULL, self._there.most)
            batch, self._waiting = self._waiting[:most], self._waiting[most:]
            return batch

    def encode(self, batch: Batch) -> None:
        """Queue what ``batch`` gave."""
        first = self._there.add([sample for _, sample in batch], self.rows)
        with self._lock:
            self._numbers.append(first + np.arange(len(batch)))
            self._times.append(np.array([time for time, _ in batch]))

    def part(self, stream: int) -> DevicePart | None:
        """All features by time, for what is queued on ``stream`` from now on; None without any."""
        if not self.decoded:
            return None
        times = np.concatenate(self._times)
        order = np.argsort(times)
        self._there.join(stream)
        return DevicePart(self.rows.view(), np.concatenate(self._numbers)[order], times[order])


class CudaExtraction(Extraction):
    """An extraction whose frames come from the GPU's decoder where that can be."""

    def __init__(
        self,
        job: Job,
        readers: Readers,
        media: MediaSettings,
        watch: Stopwatch,
        look: Callable[[MediaSource, TimeArray], Iterator[Any]],
    ) -> None:
        super().__init__(job, readers, media, watch)
        self._look_there = look

    def _frames(self, source: MediaSource, part: Part) -> Iterator[Any]:
        return self._look_there(source, part.knots)


class CudaSession(Session):
    """A :class:`l2l_engine.run.session.Session` on the device.

    Args:
        encoders: :class:`DeviceEncoder` each.
        lanes: Where videos come to their end.
        decoders: On the GPU.
        averager: Takes the skimmer's place, on the host, for plans without one.
        leave: Called when it closes.
    """

    def __init__(
        self,
        source: MediaSource,
        document: PlanDocument,
        encoders: Mapping[str, Encoder],
        request: Request,
        *,
        job: Job,
        lanes: Lanes,
        decoders: Decoders,
        averager: Averager | None,
        leave: Callable[[], None],
    ) -> None:
        self._lanes_there, self._averager, self._leave = lanes, averager, leave
        self._rows: list[Rows] = []
        self._closed = False
        media = document.media
        self._looker = Looker(decoders, short_side=media.short_side, crop=media.crop)
        self._image_stream = encoders["image"].stream if isinstance(encoders["image"], DeviceEncoder) else 0
        self._clips = source.has_video and decoders.why_not(source) is None
        super().__init__(source, document, encoders, averager, request, job=job)  # type: ignore[arg-type]

    @property
    def decoder(self) -> str:
        """What decoded the frames: "dali", "pyav", or "dali, pyav"; the sound is always PyAV's."""
        return ", ".join(sorted(self._looker.used)) or "pyav"

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through a decoder."""
        return super().frames_decoded + self._looker.frames_decoded

    def features(self) -> Features:
        """What was extracted so far, in arrays of their own on the device."""
        self._coverage()

        def give() -> Features:
            with self._lanes_there.use() as lane:
                banks = [
                    (None, None) if part is None else (lane.give(part), part.times)
                    for part in self._parts(lane)
                ]
            return self._features(banks[0], banks[1])

        return self._job.run(give, lambda: self._request.report("encode", 1.0))

    def close(self) -> None:
        """Close the file and give memory back; safe to call twice."""
        super().close()
        if not self._closed:
            self._closed = True
            for rows in self._rows:
                rows.close()
            self._leave()

    def _gather(self, stage: str, encoder: Encoder) -> Gathered:
        assert isinstance(encoder, DeviceEncoder)
        gathered = DeviceGathered(stage, encoder)
        self._rows.append(gathered.rows)
        return gathered

    def _extraction(self) -> Extraction:
        def look(source: MediaSource, times: TimeArray) -> Iterator[Any]:
            return self._looker.iter_frames(source, times, self._image_stream, self._job.check)

        return CudaExtraction(self._job, self._readers, self._document.media, self._request.watch, look)

    def _image_parts(self, gathered: Gathered, knots: TimeArray) -> list[Part]:
        if not self._clips or not len(knots):
            return super()._image_parts(gathered, knots)
        groups = self._read("frames", lambda source: source.groups(poll=self._job.check))
        return clip_parts(gathered, knots, groups)

    def _parts(self, lane: Lane) -> Parts:
        def part(gathered: Gathered | None) -> DevicePart | None:
            return gathered.part(lane.stream) if isinstance(gathered, DeviceGathered) else None

        return part(self._image), part(self._audio)

    def _run_skimmer(self, times: TimeArray, steps: int) -> SkimResult:
        with self._request.watch.stage("skim"), self._lanes_there.use() as lane:
            parts = self._parts(lane)
            if self._averager is None:
                return lane.run(parts, times, steps)
            image, audio = (None if part is None else Bank(lane.fetch(part), part.times) for part in parts)
        return run_skimmer(self._averager, image, audio, times, steps, watch=self._request.watch)


def clip_parts(gathered: Gathered, knots: TimeArray, keys: TimeArray | None) -> list[Part]:
    """Parts for the GPU's decoder, which takes several groups of pictures at once; see ``video_parts``."""
    if keys is None or not len(keys):
        return video_parts(gathered, knots, keys)
    group = np.maximum(np.searchsorted(keys, knots + 1e-6, side="right") - 1, 0)
    begins = np.flatnonzero(np.diff(group, prepend=-1))[::_GROUPS]
    return [Part(gathered, some) for some in np.split(knots, begins[1:])]
