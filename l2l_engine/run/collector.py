"""Collects the samples of one modality until they are worth an encoder call, and knows what came of each."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.result import TimeArray
from l2l_engine.run.compute import Collected, FeatureStore
from l2l_engine.run.kept import Kept
from l2l_engine.run.watch import Stage

Batch = list[tuple[float, Any]]
"""Decoded samples with their moments in seconds."""


class Collector:
    """The samples of one modality so far, in any order; several threads add to them.

    Args:
        stage: What decodes them, ``Stage.FRAMES`` or ``Stage.AUDIO``.
        store: Where they become features.
        clips: How frames make samples, where one takes several; None if each is one.
        cache: Keeps samples of the host for whoever wants them again.
    """

    def __init__(
        self,
        stage: Stage,
        store: FeatureStore,
        *,
        clips: ClipAssembly | None = None,
        cache: Kept[NDArray[Any]] | None = None,
    ) -> None:
        self.stage, self._store, self._clips, self._cache = stage, store, clips, cache
        self.undivided = store.undivided
        self.knots = 1 if clips is None else clips.frames
        """Moments decoded for one sample."""
        self.full = store.batch_size(0)
        """Samples that are worth an encoder call while more are still decoded."""
        self._lock = threading.Lock()
        self._waiting: Batch = []
        self._times: list[TimeArray] = []
        self._rows: list[NDArray[np.int64]] = []
        self._lost: list[TimeArray] = []

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
        """Moments that have a feature, and those that could not be decoded."""
        return self.decoded + sum(map(len, self._lost))

    def new(self, knots: TimeArray) -> TimeArray:
        """The knots that were not asked for before."""
        return np.setdiff1d(np.asarray(knots, np.float64), np.concatenate([*self._times, *self._lost, []]))

    def expect(self, count: int) -> None:
        """Share out ``count`` samples to come evenly: a sample costs more in a small batch."""
        self.full = self._store.batch_size(count)

    def add(self, time: float, sample: Any) -> None:
        """Take a decoded sample."""
        if self._cache is not None and isinstance(sample, np.ndarray):
            self._cache.add(time, sample)
        ready = [(time, sample)] if self._clips is None else self._clips.add(time, sample)
        with self._lock:
            self._waiting += ready

    def batch(self, least: int) -> Batch:
        """The samples to encode next, ``full`` at most, if at least ``least`` wait; else none."""
        with self._lock:
            if len(self._waiting) < least:
                return []
            batch, self._waiting = self._waiting[: self.full], self._waiting[self.full :]
            return batch

    def encode(self, batch: Batch) -> None:
        """Encode what ``batch`` gave."""
        rows = self._store.encode([sample for _, sample in batch])
        with self._lock:
            self._rows.append(rows)
            self._times.append(np.array([time for time, _ in batch]))

    def lose(self, times: TimeArray) -> None:
        """Take note of moments that could not be decoded."""
        with self._lock:
            self._lost.append(times)

    def forget(self) -> None:
        """Drop what waits to be encoded: the extraction that decoded it did not come to its end."""
        with self._lock:
            self._waiting = []

    def collected(self) -> Collected | None:
        """All moments that have a feature, by time; None without any."""
        if not self.decoded:
            return None
        times = np.concatenate(self._times)
        order = np.argsort(times)
        return Collected(times[order], np.concatenate(self._rows)[order])


class ClipAssembly:
    """Puts frames that come one by one, in any order, from several threads, together into clips.

    Args:
        moments: float64 [M], increasing seconds.
        times: float64 [M, F], when the frames of each are shown; a frame may belong to several clips.
        stacked: Whether a sample is an array of its frames; else it is its only frame.
    """

    def __init__(self, moments: TimeArray, times: TimeArray, *, stacked: bool) -> None:
        self.frames = times.shape[1]
        """Frames of a clip."""
        self.wanted: TimeArray = np.unique(times)
        """When the frames of all clips are shown: float64 [K], increasing seconds."""
        self._stacked = stacked
        self._places: dict[float, list[tuple[float, int]]] = defaultdict(list)
        for moment, shown in zip(moments.tolist(), times.tolist(), strict=True):
            for place, time in enumerate(shown):
                self._places[time].append((moment, place))
        self._begun: dict[float, dict[int, NDArray[Any]]] = defaultdict(dict)
        self._lock = threading.Lock()

    def add(self, time: float, frame: NDArray[Any]) -> Batch:
        """Take a frame.

        Returns:
            The clips that are complete with it, each with its moment.
        """
        complete = []
        with self._lock:
            for moment, place in self._places.pop(time):
                frames = self._begun[moment]
                frames[place] = frame
                if len(frames) == self.frames:
                    complete.append((moment, self._begun.pop(moment)))
        return [(moment, self._sample(frames)) for moment, frames in complete]

    def _sample(self, frames: dict[int, NDArray[Any]]) -> NDArray[Any]:
        return np.stack([frames[place] for place in range(self.frames)]) if self._stacked else frames[0]
