"""Which of a container's streams are used, and what it says of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from l2l_engine.result import StreamInfo

_NOT_A_MOVIE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_NOT_MAIN = Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.comment


_ONE_END = {"asf", "wtv"}
"""Formats whose header tells the length of the whole; FFmpeg says it of each stream, which may end before."""


@dataclass(frozen=True, slots=True)
class Track:
    """A stream in use; times in seconds on the container's own clock."""

    index: int
    time_base: float
    start: float
    declared_end: float | None
    """Where the container says the stream ends; a hint that shows whether a file was cut short."""
    info: StreamInfo


Programmes = Sequence[frozenset[int]]
"""The identifiers of the streams of each programme; none where all streams are one."""


def choose(
    container: InputContainer, programmes: Callable[[], Programmes], without: Collection[int] = ()
) -> tuple[Track | None, Track | None]:
    """The video and the audio track to use, of one programme.

    Args:
        container: The open file.
        programmes: Says which streams belong together; asked only where there is a choice.
        without: Indices of streams to be passed over.
    """
    found = container.streams.video
    videos = [s for s in found if _usable(s, without) and not s.disposition & _NOT_A_MOVIE]
    audios = [s for s in container.streams.audio if _usable(s, without)]
    several = bool(videos and audios) and len(videos) + len(audios) > _ONE_OF_EACH
    groups = programmes() if several else ()
    video = _best_video(videos, audios, groups)
    if video is not None:
        audios = [s for s in audios if _together(video, s, groups)]
    audio = _best_audio(audios)
    return (
        None if video is None else _video_track(container, video),
        None if audio is None else _audio_track(container, audio),
    )


_ONE_OF_EACH = 2


def _together(one: Stream, other: Stream, programmes: Programmes) -> bool:
    """Whether two streams are of one programme; a stream that no programme names goes with all."""
    of_one = [ids for ids in programmes if one.id in ids]
    of_other = [ids for ids in programmes if other.id in ids]
    return not of_one or not of_other or any(ids in of_other for ids in of_one)


def _best_video(
    usable: Sequence[VideoStream], audios: Sequence[AudioStream], programmes: Programmes
) -> VideoStream | None:
    """The default video; among several defaults the largest picture. One with sound comes first."""

    def rank(stream: VideoStream) -> tuple[bool, bool, bool, int, int]:
        sounds = any(_together(stream, audio, programmes) for audio in audios)
        default = bool(stream.disposition & Disposition.default)
        main = not stream.disposition & _NOT_MAIN
        return sounds, default, main, stream.width * stream.height, -stream.index

    return max(usable, key=rank, default=None)


def _best_audio(usable: Sequence[AudioStream]) -> AudioStream | None:
    """The default audio; among several defaults the first, as players do."""

    def rank(stream: AudioStream) -> tuple[bool, bool, int]:
        default = bool(stream.disposition & Disposition.default)
        return default, not stream.disposition & _NOT_MAIN, -stream.index

    return max(usable, key=rank, default=None)


def _video_track(container: InputContainer, stream: VideoStream) -> Track:
    rate = stream.average_rate or stream.guessed_rate
    codec = stream.codec_context
    info = _info(stream, "video", width=codec.width, height=codec.height, rate=float(rate) if rate else None)
    return _track(container, stream, info)


def _audio_track(container: InputContainer, stream: AudioStream) -> Track:
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
    own = container.format.name not in _ONE_END
    if own and stream.duration is not None and stream.duration > 0:
        end = float(stream.duration * base)
        # Of an MP4 in fragments, which counts no frames, it is the end already.
        if stream.frames or "mov" not in container.format.name.split(","):
            end += info.start
    elif len(container.streams) == 1:
        end = container_end(container)
    return Track(stream.index, float(base), info.start, end, info)
