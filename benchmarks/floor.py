"""Peer 5: the least that an answer could cost with FFmpeg and OpenVINO; CPU-seconds, counted strictly.

Only the frames and windows that the engine used are decoded, by one thread: from their key frame on, without
the frames that nothing refers to, and no further than the last one wanted. Nothing is resized, resampled or
checked. The networks run on tensors that are already in memory, in one thread, so that no waiting for others
is counted. The sum divided by the threads is what perfect overlap would take.
"""

from __future__ import annotations

import functools
import sys
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import av
import numpy as np
from av.audio.stream import AudioStream
from av.stream import Discard
from av.video.stream import VideoStream
from numpy.typing import NDArray

from l2l_engine.plan import Plan

# Importing OpenVINO reports to its makers over the network where this package is installed.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino as ov  # noqa: E402

Times = NDArray[np.float64]
Skip = Literal["NONREF", "DEFAULT"]
BATCH = 32
FAR = 10.0
"""Seconds to the next window beyond which seeking costs less than reading on."""


@dataclass(frozen=True, slots=True)
class Knots:
    """The moments, in seconds on the file's clock, whose frames and windows were used."""

    image: Times
    audio: Times


@dataclass(frozen=True, slots=True)
class Floor:
    """CPU-seconds of one thread."""

    video: float
    audio: float
    encode: float

    def seconds(self, threads: int) -> float:
        """Return wall-clock seconds if the threads shared the work perfectly."""
        return (self.video + self.audio + self.encode) / threads


@dataclass(frozen=True, slots=True)
class Group:
    """A group of pictures that holds wanted frames: ticks of its key frame and of what is wanted."""

    key: int
    wanted: frozenset[int]


class Decoded(NamedTuple):
    """How many packets were sent to a decoder, and the ticks of the frames that came out."""

    sent: int
    shown: list[int | None]


class FileFloor:
    """Decodes exactly the knots of one file; what to decode is found out before the clock runs."""

    def __init__(self, path: Path, knots: Knots, window: float = 1.0) -> None:
        self._path = path
        self._groups = _groups(path, knots.image)
        self._spans = _spans(knots.audio, window)

    def video(self) -> float:
        """Return CPU-seconds to decode the frames."""
        return _cpu_seconds(self.decode_video, time.thread_time)

    def audio(self) -> float:
        """Return CPU-seconds to decode the windows."""
        return _cpu_seconds(self.decode_audio, time.thread_time)

    def decode_video(self) -> Decoded:
        """Decode the wanted frames, and what they are predicted from."""
        sent, shown = 0, list[int | None]()
        if not self._groups:
            return Decoded(sent, shown)
        with av.open(str(self._path)) as container:
            stream = _only(container, container.streams.video[0])
            codec = stream.codec_context
            codec.thread_count = 1
            skips = codec.codec.canonical_name == "h264"
            level = ""
            for group in self._groups:
                container.seek(group.key, stream=stream)
                left = len(group.wanted)
                for packet in container.demux(stream):
                    wanted = packet.pts in group.wanted
                    now: Skip = "NONREF" if skips and not wanted else "DEFAULT"
                    if now != level:
                        codec.skip_frame = level = now
                    shown += [frame.pts for frame in codec.decode(packet)]
                    sent += 1
                    left -= wanted
                    if not left:
                        break
                shown += [frame.pts for frame in codec.decode(None)]
                codec.flush_buffers()
        return Decoded(sent, shown)

    def decode_audio(self) -> int:
        """Decode the packets of the windows, and one before each for the overlap; returns how many."""
        sent = 0
        if not self._spans:
            return sent
        with av.open(str(self._path)) as container:
            stream = _only(container, container.streams.audio[0])
            codec, base = stream.codec_context, float(stream.time_base or 0)
            codec.thread_count = 1
            packets, reached = container.demux(stream), 0.0
            for begin, end in self._spans:
                if begin - reached > FAR:
                    container.seek(int((begin - 0.1) / base), stream=stream)
                    packets = container.demux(stream)
                before = None
                for packet in packets:
                    if packet.pts is None:
                        break
                    reached = (packet.pts + (packet.duration or 0)) * base
                    if reached <= begin:
                        before = packet
                        continue
                    for wanted in (before, packet):
                        if wanted is not None:
                            codec.decode(wanted)
                            sent += 1
                    before = None
                    if reached >= end:
                        break
        return sent


class EncoderFloor:
    """The plan's networks, compiled for one thread, on tensors in memory."""

    def __init__(self, plan: Plan) -> None:
        core = ov.Core()
        media = plan.document.media
        self._samples = {
            "image": np.random.default_rng(0).integers(0, 256, (BATCH, media.crop, media.crop, 3), np.uint8),
            "audio": np.zeros((BATCH, media.window), np.float32),
        }
        config = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
        self._requests = {
            part: core.compile_model(core.read_model(plan.graphs[f"{part}.fp32"]), "CPU", config)
            for part in self._samples
        }
        self._infer = {part: network.create_infer_request() for part, network in self._requests.items()}
        for part in self._samples:
            self.run(part, BATCH)

    def run(self, part: str, count: int) -> None:
        """Encode ``count`` samples, a batch at a time."""
        for start in range(0, count, BATCH):
            self._infer[part].infer([self._samples[part][: count - start]], share_inputs=True)

    def seconds(self, images: int, sounds: int) -> float:
        """Return CPU-seconds to encode so many frames and windows."""
        return sum(
            _cpu_seconds(functools.partial(self.run, part, count), time.process_time)
            for part, count in (("image", images), ("audio", sounds))
        )


def measure(file: FileFloor, encoders: EncoderFloor, knots: Knots) -> Floor:
    """Measure everything once."""
    encode = encoders.seconds(len(knots.image), len(knots.audio))
    return Floor(file.video(), file.audio(), encode)


def _cpu_seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    begin = clock()
    work()
    return clock() - begin


def _only(
    container: av.container.InputContainer, stream: VideoStream | AudioStream
) -> VideoStream | AudioStream:
    """Let the demuxer drop all other streams unread."""
    for other in container.streams:
        other.discard = Discard.default if other.index == stream.index else Discard.all
    return stream


def _groups(path: Path, times: Times) -> list[Group]:
    """Return which groups of pictures hold the frames shown at ``times``."""
    if len(times) == 0:
        return []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = float(stream.time_base or 0)
        packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.pts is not None and p.size]
    shown = sorted(pts for pts, _ in packets)
    keys = sorted(pts for pts, is_key in packets if is_key)
    wanted: dict[int, set[int]] = {}
    for time_ in times:
        pts = shown[max(0, bisect_right(shown, (float(time_) + 1e-6) / base) - 1)]
        wanted.setdefault(keys[bisect_right(keys, pts) - 1], set()).add(pts)
    return [Group(key, frozenset(frames)) for key, frames in sorted(wanted.items())]


def _spans(times: Times, window: float) -> list[tuple[float, float]]:
    """Return the windows, with those that overlap joined."""
    spans: list[tuple[float, float]] = []
    for begin in times.tolist():
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], begin + window)
        else:
            spans.append((begin, begin + window))
    return spans
