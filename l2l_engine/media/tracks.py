"""Which of a container's streams are used, and what it says of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from l2l_engine.result import StreamInfo

_NOT_A_MOVIE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_NOT_MAIN = Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.comment


@dataclass(frozen=True, slots=True)
class Track:
    """A stream in use; times in seconds on the container's own clock."""

    index: int
    time_base: float
    start: float
    declared_end: float | None
    """Where the container says the stream ends; a hint that shows whether a file was cut short."""
    info: StreamInfo


def video_track(container: InputContainer, without: Collection[int] = ()) -> Track | None:
    """The default video: never cover art; among several defaults the largest picture.

    Streams ``without`` are passed over.
    """

    def rank(stream: VideoStream) -> tuple[bool, bool, int, int]:
        default = bool(stream.disposition & Disposition.default)
        return default, not stream.disposition & _NOT_MAIN, stream.width * stream.height, -stream.index

    usable = [s for s in container.streams.video if _usable(s, without) and not s.disposition & _NOT_A_MOVIE]
    if not usable:
        return None
    stream = max(usable, key=rank)
    rate = stream.average_rate or stream.guessed_rate
    codec = stream.codec_context
    info = _info(stream, "video", width=codec.width, height=codec.height, rate=float(rate) if rate else None)
    return _track(container, stream, info)


def audio_track(container: InputContainer, without: Collection[int] = ()) -> Track | None:
    """The default audio track; among several defaults the first, as players do.

    Streams ``without`` are passed over.
    """

    def rank(stream: AudioStream) -> tuple[bool, bool, int]:
        default = bool(stream.disposition & Disposition.default)
        return default, not stream.disposition & _NOT_MAIN, -stream.index

    usable = [s for s in container.streams.audio if _usable(s, without)]
    if not usable:
        return None
    stream = max(usable, key=rank)
    codec = stream.codec_context
    info = _info(stream, "audio", sample_rate=codec.sample_rate, channels=codec.layout.nb_channels)
    return _track(container, stream, info)


def _usable(stream: Stream, without: Collection[int]) -> bool:
    # PyAV's types do not say that both may be missing: no decoder for the codec, a clock without a rate.
    known = bool(stream.codec_context) and bool(stream.time_base)
    return known and stream.index not in without


def _start(stream: Stream) -> float:
    base = stream.time_base
    return float(stream.start_time * base) if base and stream.start_time is not None else 0.0


def _info(
    stream: Stream,
    kind: Literal["video", "audio"],
    *,
    width: int | None = None,
    height: int | None = None,
    rate: float | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
) -> StreamInfo:
    codec = stream.codec_context.codec.canonical_name
    return StreamInfo(kind, codec, _start(stream), width, height, rate, sample_rate, channels)


def container_end(container: InputContainer) -> float | None:
    """Where the header says the whole file ends, in seconds on its own clock."""
    if container.duration is None or container.duration <= 0:
        return None
    if "matroska" in container.format.name.split(","):
        return container.duration / 1e6  # the one format whose header gives the end, not the length
    start: int | None = container.start_time  # None where it is unknown, whatever PyAV's types say
    return ((start or 0) + container.duration) / 1e6


def _track(container: InputContainer, stream: Stream, info: StreamInfo) -> Track:
    base = stream.time_base
    assert base is not None  # _usable saw to it
    end = None
    if stream.duration is not None and stream.duration > 0:
        end = float(stream.duration * base)
        # Of an MP4 in fragments, which counts no frames, it is the end already.
        if stream.frames or "mov" not in container.format.name.split(","):
            end += info.start
    elif len(container.streams) == 1:
        end = container_end(container)
    return Track(stream.index, float(base), info.start, end, info)
