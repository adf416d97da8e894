"""From moments to features: several chunks of one file decoded at once, and encoded as they come."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.media import MediaSource
from l2l_engine.plan import MediaSettings
from l2l_engine.run.chunks import Chunk
from l2l_engine.run.collector import Batch, Collector
from l2l_engine.run.compute import FrameReader
from l2l_engine.run.readers import Readers
from l2l_engine.run.watch import Stage, Watch
from l2l_engine.run.workers import Job


class Extraction:
    """One call of ``Session.extract``: queues of chunks, each queue in its order, all queues at once.

    What a queue decodes is encoded by whoever has time; the queue's own thread does so if nobody keeps up.

    Args:
        job: Its threads do the work.
        readers: Read the file.
        media: The plan's settings.
        watch: Watches the call.
        iter_frames: Yields the frames shown at some moments.
    """

    def __init__(
        self, job: Job, readers: Readers, media: MediaSettings, watch: Watch, iter_frames: FrameReader
    ) -> None:
        self._job, self._readers, self._media = job, readers, media
        self._watch, self._iter_frames = watch, iter_frames
        self._lock = threading.Lock()
        self._chunks: dict[Collector, int] = {}
        """Chunks that are not decoded yet, by collector."""
        self._knots: dict[Stage, int] = {}
        """Knots by stage, for its progress."""
        self._done: dict[Stage, int] = {}
        """Knots that are through with a stage."""

    def run(self, queues: Sequence[Sequence[Chunk]]) -> None:
        """Do it, and tell the watch, in this thread.

        Raises:
            MediaError: If the file can no longer be read.
            BaseException: Whatever the watch stops the call with.
        """
        chunks = [chunk for queue in queues for chunk in queue]
        for chunk in chunks:
            self._chunks[chunk.collector] = self._chunks.get(chunk.collector, 0) + 1
            for stage in (chunk.collector.stage, Stage.ENCODE):
                self._knots[stage] = self._knots.get(stage, 0) + len(chunk.knots)
                self._done[stage] = 0
        for collector in self._chunks:
            collector.expect(self._knots[collector.stage] // collector.knots)
        self._tick()
        for queue in queues:
            self._start(list(queue))
        try:
            self._job.finish(self._tick)
        except BaseException:
            for chunk in chunks:
                chunk.collector.forget()
            raise
        if chunks:
            self._watch.tick(Stage.ENCODE, 1.0)

    def _tick(self) -> None:
        for stage, knots in self._knots.items():
            self._watch.tick(stage, min(1.0, self._done[stage] / knots))  # clips may share frames

    def _start(self, queue: list[Chunk]) -> None:
        if queue:
            self._job.submit(partial(self._decode, queue))

    def _decode(self, queue: list[Chunk]) -> None:
        """Decode the first chunk of a queue, then have the others done."""
        chunk, *rest = queue
        decode = self._decode_frames if chunk.collector.stage is Stage.FRAMES else self._decode_windows
        lost = np.ones(len(chunk.knots), np.bool_)
        self._readers.use(partial(decode, chunk, lost), self._job.check)
        chunk.collector.lose(chunk.knots[lost])
        self._start(rest)
        with self._lock:
            self._chunks[chunk.collector] -= 1
            last = not self._chunks[chunk.collector]
        while last and (batch := chunk.collector.batch(1)):
            self._encode(chunk.collector, batch)

    def _decode_frames(self, chunk: Chunk, lost: NDArray[np.bool_], source: MediaSource) -> None:
        frames = self._iter_frames(source, chunk.knots, self._job.poll())
        for frame in self._watch.stopwatch.each(Stage.FRAMES, frames):
            lost[frame.row] = False
            self._take(chunk, frame.row, frame.image)

    def _decode_windows(self, chunk: Chunk, lost: NDArray[np.bool_], source: MediaSource) -> None:
        media = self._media
        windows = source.iter_windows(
            chunk.knots, window=media.window, sample_rate=media.sample_rate, poll=self._job.poll()
        )
        for some in self._watch.stopwatch.each(Stage.AUDIO, windows):
            lost[some.rows] = False
            for row, samples in zip(some.rows.tolist(), some.samples, strict=True):
                self._take(chunk, row, samples)

    def _take(self, chunk: Chunk, row: int, sample: Any) -> None:
        collector = chunk.collector
        self._count(collector.stage, 1)
        collector.add(float(chunk.knots[row]), sample)
        if batch := collector.batch(collector.full):
            self._encode(collector, batch)

    def _encode(self, collector: Collector, batch: Batch) -> None:
        """Let somebody encode a batch; do it in this thread if too many wait already."""
        self._job.submit(partial(self._encode_now, collector, batch), later=True)
        self._job.help(self._job.threads)

    def _encode_now(self, collector: Collector, batch: Batch) -> None:
        """Encode a batch; at the end, half of it is left to a thread that would have nothing to do."""
        if len(batch) > collector.undivided and not any(self._chunks.values()) and self._job.idle:
            half = -(-len(batch) // 2)
            batch, rest = batch[:half], batch[half:]
            self._job.submit(partial(self._encode_now, collector, rest), later=True)
        with self._watch.stopwatch.stage(Stage.ENCODE):
            collector.encode(batch)
        self._count(Stage.ENCODE, len(batch) * collector.knots)

    def _count(self, stage: Stage, knots: int) -> None:
        with self._lock:
            self._done[stage] += knots
