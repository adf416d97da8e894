"""From moments to features: several parts of one file decoded at once, and encoded as they come."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from l2l_engine.backends import Encoder
from l2l_engine.media import MediaSource, Poll
from l2l_engine.media.source import FrameAt
from l2l_engine.plan import MediaSettings
from l2l_engine.result import FloatArray, TimeArray
from l2l_engine.run.request import Bank, Report, Stopwatch
from l2l_engine.run.workers import Job

MOST = {"frames": 8, "audio": 16}
"""Samples an encoder call by stage: enough to keep a core busy, little enough to share out and to stop in
time."""

WINDOWS = 64
"""Windows of sound a part. It does not depend on the threads: a decoder may add noise from a generator that
goes on from window to window, and the same bits must come out whoever decodes."""

_SAME = 1e-6
"""Seconds by which two times may differ that are the same tick of a clock."""
_GROUP_S = 0.5
"""What going to another group of pictures costs, in seconds of video walked through."""
_PART_S = 1.0
"""Least cost of a part of the picture, in the same unit: little enough to share out evenly."""

_T = TypeVar("_T")

Batch = list[tuple[float, NDArray[Any]]]
"""Decoded samples with their moments in seconds."""


class Readers:
    """An opened file, once for each thread that reads it at the same time."""

    def __init__(self, source: MediaSource) -> None:
        self._first = source
        self._all = [source]
        self._idle = [source]
        self._lock = threading.Lock()

    @property
    def frames_decoded(self) -> int:
        """Video frames that went through the decoders."""
        return sum(source.frames_decoded for source in self._all)

    def use(self, work: Callable[[MediaSource], _T], poll: Poll) -> _T:
        """Do something with a reader that nobody else uses, opening one if need be."""
        with self._lock:
            source = self._idle.pop() if self._idle else None
        if source is None:
            source = self._first.another(poll=poll)
            assert source is not None, "parts of a file object run one after the other"
            with self._lock:
                self._all.append(source)
        try:
            return work(source)
        finally:
            with self._lock:
                self._idle.append(source)

    def close(self) -> None:
        """Close all; nobody may use one any more."""
        for source in self._all:
            source.close()


class Gathered:
    """The features of one modality so far, in any order; several threads add to them."""

    knots = 1
    """Moments decoded for one sample."""

    undivided = 4
    """Samples of a batch that is too small to be divided between threads."""

    def __init__(self, stage: str, encoder: Encoder) -> None:
        self.stage, self._encoder = stage, encoder
        self.most = self._size = MOST[stage]
        self._lock = threading.Lock()
        self._features: list[FloatArray] = []
        self._times: list[TimeArray] = []
        self._waiting: Batch = []
        self._lost: list[TimeArray] = []
        self.keep: Callable[[float, NDArray[Any]], None] | None = None
        """Told of every sample and its moment."""

    @property
    def decoded(self) -> int:
        """Moments that have a feature."""
        return sum(map(len, self._times))

    @property
    def times(self) -> TimeArray:
        """Moments that have a feature, float64 [M], increasing seconds."""
        return np.sort(np.concatenate([*self._times, []]))

    @property
    def asked(self) -> int:
        """Those, and the ones that could not be decoded."""
        return self.decoded + sum(map(len, self._lost))

    def new(self, knots: TimeArray) -> TimeArray:
        """Those of ``knots`` that were not asked for before."""
        return np.setdiff1d(np.asarray(knots, np.float64), np.concatenate([*self._times, *self._lost, []]))

    def add(self, time: float, sample: NDArray[Any]) -> None:
        """Take a decoded sample."""
        if self.keep is not None:
            self.keep(time, sample)
        with self._lock:
            self._waiting.append((time, sample))

    def expect(self, count: int) -> None:
        """Share out ``count`` samples to come evenly: of small batches a sample costs more."""
        calls = -(-count // self.most)
        self._size = -(-count // max(1, calls)) or self.most

    @property
    def full(self) -> int:
        """Samples that are worth an encoder call while more are still decoded."""
        return self._size

    def batch(self, least: int) -> Batch:
        """Samples to encode next, ``full`` at most, if there are at least ``least``; else none."""
        with self._lock:
            if len(self._waiting) < least:
                return []
            batch, self._waiting = self._waiting[: self.full], self._waiting[self.full :]
            return batch

    def encode(self, batch: Batch) -> None:
        """Encode what ``batch`` gave."""
        features = self._encoder.encode(np.stack([sample for _, sample in batch]))
        with self._lock:
            self._features.append(features)
            self._times.append(np.array([time for time, _ in batch]))

    def lose(self, times: TimeArray) -> None:
        """Take note of moments that could not be decoded."""
        with self._lock:
            self._lost.append(times)

    def forget(self) -> None:
        """Drop what waits to be encoded: it was not extracted."""
        with self._lock:
            self._waiting = []

    def bank(self) -> Bank | None:
        """All features by time; None without any."""
        if not self.decoded:
            return None
        times = np.concatenate(self._times)
        order = np.argsort(times)
        return Bank(np.concatenate(self._features)[order], times[order])


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Moments of one modality that one reader decodes in one go."""

    gathered: Gathered
    knots: TimeArray
    cost: float = math.inf
    """Seconds of video to walk through; what costs most should be begun first."""


class Extraction:
    """One call of ``Session.extract``: lanes of parts, each lane in its order, all lanes at once.

    What a lane decodes is encoded by whoever has time; the lane itself does so if nobody keeps up.
    """

    def __init__(self, job: Job, readers: Readers, media: MediaSettings, watch: Stopwatch) -> None:
        self._job, self._readers, self._media, self._watch = job, readers, media, watch
        self._lock = threading.Lock()
        self._parts: dict[Gathered, int] = {}
        self._knots: dict[str, int] = {}
        """By stage, for its progress; and those that are through with it."""
        self._done: dict[str, int] = {}

    def run(self, lanes: Sequence[Sequence[Part]], report: Report) -> None:
        """Do it; ``report`` is called in this thread."""
        parts = [part for lane in lanes for part in lane]
        for part in parts:
            self._parts[part.gathered] = self._parts.get(part.gathered, 0) + 1
            for stage in (part.gathered.stage, "encode"):
                self._knots[stage] = self._knots.get(stage, 0) + len(part.knots)
                self._done[stage] = 0
        for gathered in self._parts:
            gathered.expect(self._knots[gathered.stage] // gathered.knots)
        self._report(report)
        for lane in lanes:
            self._start(list(lane))
        try:
            self._job.finish(lambda: self._report(report))
        except BaseException:
            for part in parts:
                part.gathered.forget()
            raise
        if parts:
            report("encode", 1.0)

    def _report(self, report: Report) -> None:
        for stage, knots in self._knots.items():
            report(stage, self._done[stage] / knots)

    def _start(self, lane: list[Part]) -> None:
        if lane:
            self._job.submit(lambda: self._decode(lane))

    def _decode(self, lane: list[Part]) -> None:
        part, *rest = lane
        work = self._look if part.gathered.stage == "frames" else self._listen
        lost = np.ones(len(part.knots), np.bool_)
        self._readers.use(lambda source: work(source, part, lost), self._job.check)
        part.gathered.lose(part.knots[lost])
        self._start(rest)
        with self._lock:
            self._parts[part.gathered] -= 1
            last = not self._parts[part.gathered]
        while last and (batch := part.gathered.batch(1)):
            self._encode(part.gathered, batch)

    def _look(self, source: MediaSource, part: Part, lost: NDArray[np.bool_]) -> None:
        for seen in self._watch.each("frames", self._frames(source, part)):
            lost[seen.row] = False
            self._take(part, seen.row, seen.image)

    def _frames(self, source: MediaSource, part: Part) -> Iterator[FrameAt]:
        media = self._media
        return source.iter_frames(
            part.knots, short_side=media.short_side, crop=media.crop, poll=self._job.poll()
        )

    def _listen(self, source: MediaSource, part: Part, lost: NDArray[np.bool_]) -> None:
        media = self._media
        windows = source.iter_windows(
            part.knots, window=media.window, sample_rate=media.sample_rate, poll=self._job.poll()
        )
        for heard in self._watch.each("audio", windows):
            lost[heard.rows] = False
            for row, samples in zip(heard.rows.tolist(), heard.samples, strict=True):
                self._take(part, row, samples)

    def _take(self, part: Part, row: int, sample: NDArray[Any]) -> None:
        gathered = part.gathered
        self._count(gathered.stage, 1)
        gathered.add(float(part.knots[row]), sample)
        if batch := gathered.batch(gathered.full):
            self._encode(gathered, batch)

    def _encode(self, gathered: Gathered, batch: Batch) -> None:
        """Let somebody encode a batch; in this thread if too many wait already."""
        self._job.submit(lambda: self._encode_now(gathered, batch), later=True)
        self._job.help(self._job.threads)

    def _encode_now(self, gathered: Gathered, batch: Batch) -> None:
        """Encode a batch; at the end, half of it is left to a thread that would have nothing to do."""
        if len(batch) > gathered.undivided and not any(self._parts.values()) and self._job.idle:
            half = -(-len(batch) // 2)
            batch, rest = batch[:half], batch[half:]
            self._job.submit(lambda: self._encode_now(gathered, rest), later=True)
        with self._watch.stage("encode"):
            gathered.encode(batch)
        self._count("encode", len(batch) * gathered.knots)

    def _count(self, stage: str, knots: int) -> None:
        with self._lock:
            self._done[stage] += knots


def video_parts(gathered: Gathered, knots: TimeArray, keys: TimeArray | None) -> list[Part]:
    """Parts that may be decoded apart: a group of pictures is never divided.

    Args:
        gathered: Where the features go.
        knots: float64 [M], increasing seconds.
        keys: float64 [K], when the key frames are shown; None if nothing tells without reading everything:
            then there is one part.
    """
    if keys is None or not len(keys) or not len(knots):
        return [Part(gathered, knots)] if len(knots) else []
    # Whatever comes before the first key frame is shown by it.
    group = np.maximum(np.searchsorted(keys, knots + _SAME, side="right") - 1, 0)
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    parts, begin, cost = [], 0, 0.0
    for first, stop in zip(begins, [*begins[1:], len(knots)], strict=True):
        if cost > _PART_S:
            parts.append(Part(gathered, knots[begin:first], cost))
            begin, cost = int(first), 0.0
        cost += _GROUP_S + max(0.0, float(knots[stop - 1] - keys[group[first]]))
    return [*parts, Part(gathered, knots[begin:], cost)]


def audio_parts(gathered: Gathered, starts: TimeArray) -> list[Part]:
    """Parts of the sound, the same whatever the threads."""
    return [Part(gathered, starts[at : at + WINDOWS]) for at in range(0, len(starts), WINDOWS)]
