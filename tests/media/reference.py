"""The plainest possible decoding, to compare ours with: everything, from first to last, in order."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.stream import Stream
from numpy.typing import NDArray

from l2l_engine.media.mono import mono
from l2l_engine.media.picture import PictureMaker

JITTER_S = 0.02
"""By how much a frame's time may miss the end of the one before and still follow it at once."""
JUMP_S = 10.0
"""A clock that goes on by more than this without a packet has jumped."""


@dataclass
class Reference:
    """Every frame of a video stream: when it is shown (container seconds), and its picture."""

    times: NDArray[np.float64]
    images: NDArray[np.uint8]

    def at(self, moment: float) -> int:
        """Row of the frame shown at a moment."""
        return max(0, int(np.searchsorted(self.times, moment + 1e-6, side="right")) - 1)


def decode_all(content: bytes, stream: int | None = None, crop: int = 112) -> Reference:
    make = PictureMaker(128, crop)
    times, images = [], []
    with av.open(io.BytesIO(content)) as container:
        chosen = container.streams.video[0] if stream is None else container.streams[stream]
        for frame in container.decode(chosen):
            times.append(float(frame.pts * chosen.time_base))
            images.append(make(frame))
    order = np.argsort(times, kind="stable")
    return Reference(np.asarray(times)[order], np.asarray(images)[order])


def start_of(content: bytes) -> float:
    """The earliest start of the first video and audio stream: 0 on the file's clock."""
    with av.open(io.BytesIO(content)) as container:
        first = [*container.streams.video[:1], *container.streams.audio[:1]]
        return min(float(s.start_time * s.time_base) for s in first)


@dataclass
class Track:
    """One track as a walk from the first packet to the last shows it: file seconds."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    shown: list[NDArray[np.uint8]] = field(default_factory=list)
    """Pictures, uint8 [crop, crop, 3]."""
    heard: list[NDArray[np.float32]] = field(default_factory=list)
    """Sound, float32 [samples], mono."""
    rates: list[int] = field(default_factory=list)
    begins: float = math.inf
    """Where the container says the track begins: a decoder may give nothing for its first packet."""

    def split(self) -> list[slice]:
        """The parts between which the clock restarted or jumped."""
        cuts = [
            i
            for i in range(1, len(self.starts))
            if self.starts[i] < self.starts[i - 1] - 0.5 or self.starts[i] > self.ends[i - 1] + JUMP_S
        ]
        return [slice(a, b) for a, b in zip([0, *cuts], [*cuts, len(self.starts)], strict=True)]


@dataclass
class Walk:
    """A whole file, decoded in order; parts with clocks of their own follow each other."""

    video: Track | None
    audio: Track | None
    joints: list[float] = field(default_factory=list)
    """Where one part ends and the next begins."""

    @property
    def rejoined(self) -> bool:
        return bool(self.joints)

    @property
    def duration(self) -> float:
        return max(max(track.ends) for track in (self.video, self.audio) if track is not None)

    def row(self, moment: float) -> int:
        """Which picture is shown at a moment."""
        assert self.video is not None
        return max(0, int(np.searchsorted(self.video.starts, moment + 1e-6, side="right")) - 1)

    def sound(self, moment: float, seconds: float) -> tuple[NDArray[np.float32], float]:
        """The sound from a moment on, at its own rate, and how many seconds of it there are."""
        assert self.audio is not None
        rate = self.audio.rates[0]
        out = np.zeros(round(seconds * rate), np.float32)
        held = 0
        for start, samples in zip(self.audio.starts, self.audio.heard, strict=True):
            first = round((start - moment) * rate)
            low, high = max(0, first), min(len(out), first + len(samples))
            if low < high:
                out[low:high] = samples[low - first : high - first]
                held += high - low
        return out, held / rate


def walk(content: bytes, *, by_order: bool = False, video: int = 0, audio: int = 0, crop: int = 112) -> Walk:
    """Decode a file from its first packet to its last, in order, without a seek.

    Args:
        by_order: Whether no stamp says when a frame is shown: then they are shown one after the other.
        video, audio: Which of the streams of a kind.
    """
    tracks: list[Track | None] = []
    for kind, index in (("video", video), ("audio", audio)):
        with av.open(io.BytesIO(content)) as container:
            streams = getattr(container.streams, kind)
            track = _decoded(container, streams[index], by_order, crop) if len(streams) > index else None
        tracks.append(track if track is not None and track.starts else None)
    used = [track for track in tracks if track is not None]
    joints = _join(used)
    zero = min(min(track.begins, *track.starts) for track in used)
    for track in used:
        track.starts = [start - zero for start in track.starts]
        track.ends = [end - zero for end in track.ends]
    return Walk(tracks[0], tracks[1], [joint - zero for joint in joints])


def _decoded(container: InputContainer, stream: Stream, by_order: bool, crop: int) -> Track:
    make, track, places = PictureMaker(128, crop), Track(), []
    rate = stream.average_rate if stream.type == "video" else None
    if stream.start_time is not None:
        track.begins = float(stream.start_time * stream.time_base)
    for packet in container.demux(stream):
        if packet.size:
            places.append(float(packet.dts * stream.time_base) if packet.dts is not None else 0.0)
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            start = frame.pts if frame.pts is not None else frame.dts
            if start is None:
                continue
            at = float(start * stream.time_base)
            if stream.type == "video":
                at = places[len(track.starts)] if by_order else at
                track.shown.append(make(frame))
                length = float(frame.duration * stream.time_base) or float(1 / (rate or 25))
            else:
                track.heard.append(mono(frame))
                track.rates.append(frame.sample_rate)
                length = frame.samples / frame.sample_rate
                if track.ends and abs(at - track.ends[-1]) <= JITTER_S:
                    at = track.ends[-1]  # containers round; what follows at once, follows at once
            track.starts.append(at)
            track.ends.append(at + length)
    return track


def _join(tracks: list[Track]) -> list[float]:
    """Let each part begin where all tracks have ended the one before it."""
    parts = [track.split() for track in tracks]
    count = max(len(p) for p in parts)
    if count == 1 or any(len(p) != count for p in parts):
        return []
    joints = []
    for k in range(1, count):
        before = max(max(t.ends[p[k - 1]]) for t, p in zip(tracks, parts, strict=True))
        begin = min(min(t.starts[p[k]]) for t, p in zip(tracks, parts, strict=True))
        for track, p in zip(tracks, parts, strict=True):
            for i in range(p[k].start, p[k].stop):
                track.starts[i] += before - begin
                track.ends[i] += before - begin
        joints.append(before)
    return joints
