"""Sound decoded in the plainest way: every packet from first to last, every frame behind the other."""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from l2l_engine.media.mono import mono
from l2l_engine.media.resample import Resampler

GAP = 0.02
"""Seconds by which a frame's time may miss the end of the one before and still follow it at once."""


@dataclass
class Sound:
    """A track as runs of samples, each with its rate and the second (of the container's) it begins at."""

    runs: list[tuple[float, int, NDArray[np.float32]]]
    start: float

    @property
    def end(self) -> float:
        return max((begin + len(samples) / rate for begin, rate, samples in self.runs), default=self.start)

    def window(self, begin: float, count: int, rate: int) -> NDArray[np.float32]:
        """``count`` samples at ``rate`` Hz from second ``begin`` on; zero where there are none."""
        first = int(np.floor((begin - self.start) * rate + 0.5))
        total = np.zeros(count, np.float32)
        for since, own, samples in self.runs:
            resample = Resampler(own, rate)
            low, high = resample.span(first, count)
            at = round((since - self.start) * own) - low
            part = np.zeros(high - low, np.float32)
            to, taken = max(0, at), max(0, -at)
            piece = samples[taken : taken + max(0, len(part) - to)]
            part[to : to + len(piece)] = piece
            total += resample(np.clip(part, -1, 1), first, count)
        return total


def listen(content: bytes, stream: int | None = None, *, gap: float = GAP) -> Sound:
    """Decode all sound of a file; nothing where nothing can be decoded."""
    with av.open(io.BytesIO(content)) as container:
        chosen = container.streams.audio[0] if stream is None else container.streams[stream]
        runs: list[tuple[float, int, list[NDArray[np.float32]]]] = []
        times = []
        end = float(chosen.start_time * chosen.time_base) if chosen.start_time is not None else 0.0
        packets = (packet for packet in container.demux(chosen) if packet.size or packet.dts is None)
        for packet in packets:
            if packet.size and packet.pts is not None:
                times.append(float(packet.pts * packet.time_base))
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                time = end if frame.pts is None else float(frame.pts * frame.time_base)
                samples = mono(frame)
                if not runs or frame.sample_rate != runs[-1][1] or abs(time - end) > gap:
                    again = max(0, round((end - time) * frame.sample_rate)) if runs else 0
                    runs.append((time + again / frame.sample_rate, frame.sample_rate, []))
                    samples = samples[again:]
                runs[-1][2].append(samples)
                begin, rate, parts = runs[-1]
                end = begin + sum(map(len, parts)) / rate
        start = chosen.start_time
        known = float(start * chosen.time_base) if start is not None else min(times, default=0.0)
    return Sound([(begin, rate, np.concatenate(parts)) for begin, rate, parts in runs], known)


def differs(got: NDArray[np.float32], want: NDArray[np.float32], *, lag: int = 0) -> float:
    """Share of the energy that differs, at the best of a few shifts of samples: containers round times."""
    inner = slice(lag, len(want) - lag)
    least = min(float(np.mean((np.roll(got, by) - want)[inner] ** 2)) for by in range(-lag, lag + 1))
    return least / max(1e-4, float(np.mean(want**2)))
