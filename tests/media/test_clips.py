"""Clips cut at key frames, decoded by FFmpeg: the frame that decoding everything gives, for every moment."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from l2l_engine.errors import LimitError, MediaError
from l2l_engine.media import Limits, open_media
from l2l_engine.media import clips as clips_room
from l2l_engine.media.clips import Clip, ClipCutter
from l2l_engine.media.demux import Demuxer
from l2l_engine.media.ffmpeg import FFmpegSource
from l2l_engine.media.limits import DEFAULT_LIMITS
from l2l_engine.media.opening import open_reader

from .makers import media
from .reference import decode_all
from .test_frames import CONTAINERS, LONG_GOP, OPEN_GOP

# Containers without a presentation time a packet, or with two packets a frame, are left to the CPU's decoder.
CUT = {name: options for name, options in CONTAINERS.items() if name not in {"asf"}}


@contextmanager
def cutter(content: bytes) -> Iterator[tuple[ClipCutter, Demuxer]]:
    reader, name = open_reader(content)
    reader.begin(None)
    demuxer = Demuxer(reader, name, DEFAULT_LIMITS)
    assert demuxer.video is not None
    yield ClipCutter(demuxer, demuxer.video), demuxer
    demuxer.close()


def cut(content: bytes, moments: NDArray[np.float64]) -> list[Clip]:
    with cutter(content) as (made, _):
        return list(made.cut(moments.tolist()))


def check(content: bytes, moments: NDArray[np.float64]) -> list[Clip]:
    """Each moment has its frame: the same pts and, decoded from the clip, the same picture, bit for bit."""
    reference = decode_all(content)
    got = cut(content, moments)
    assert sorted(row for clip in got for row in clip.rows) == list(range(len(moments)))
    for clip in got:
        images = decode_all(clip.data).images
        assert len(images) == clip.packets
        for row, number, time in zip(clip.rows, clip.frames, clip.times, strict=True):
            expected = reference.at(moments[row])
            assert time == pytest.approx(reference.times[expected], abs=1e-6)
            np.testing.assert_array_equal(images[number], reference.images[expected])
    return got


def spread(content: bytes, count: int, seed: int = 0) -> NDArray[np.float64]:
    times = decode_all(content).times
    rng = np.random.default_rng(seed)
    return np.sort(rng.uniform(times[0] - 0.2, times[-1] + 0.5, count))


@functools.cache
def in_container(name: str) -> bytes:
    return media(frames=150, **CUT[name])


@pytest.mark.parametrize("name", CUT)
def test_every_container(name: str) -> None:
    content = in_container(name)
    check(content, spread(content, 19))


@pytest.mark.parametrize("options", [LONG_GOP, OPEN_GOP], ids=["long", "open"])
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_any_group_of_pictures(container: str, options: dict[str, str]) -> None:
    content = media(container, audio=None, frames=400, video_options=options)
    check(content, spread(content, 23))


def test_a_variable_frame_rate_and_a_start_that_is_not_zero() -> None:
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.uniform(0.01, 0.2, 80)).tolist()
    content = media("matroska", times=times, frames=80, video_start=3.7, audio_start=3.5)
    check(content, spread(content, 31))


def test_moments_of_one_group_share_a_clip_and_far_groups_are_sought() -> None:
    content = media("mp4", audio=None, frames=25 * 40, size=(32, 32))
    with cutter(content) as (made, demuxer):
        read = 0
        packets = demuxer.packets

        def counting(*arguments: object) -> Iterator[object]:
            nonlocal read
            for packet in packets(*arguments):  # type: ignore[arg-type]
                read += 1
                yield packet

        demuxer.packets = counting  # type: ignore[method-assign, assignment]
        got = list(made.cut([0.1, 0.5, 0.9, 20.3, 20.4, 39.99]))
    assert [clip.rows for clip in got] == [(0, 1, 2), (3, 4), (5,)]
    assert [clip.packets <= 25 for clip in got] == [True] * 3
    assert read < 120


def test_a_clip_ends_with_the_last_frame_that_is_needed() -> None:
    content = media("mp4", audio=None, frames=100, video_options=LONG_GOP)
    (clip,) = cut(content, np.array([0.4]))
    assert 11 <= clip.packets <= 15  # frame 10 and what it was predicted from
    assert len(clip.data) < len(content) / 3


def test_a_group_larger_than_can_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips_room, "MAX_CLIP_BYTES", 2000)
    content = media("mp4", audio=None, frames=100, video_options=LONG_GOP)
    with pytest.raises(MediaError, match="between two key frames"):
        cut(content, np.array([3.0]))


def test_a_clip_is_a_file_with_one_stream() -> None:
    (clip, *_) = cut(media("mp4"), np.array([0.4]))
    with av.open(io.BytesIO(clip.data)) as container:
        assert container.format.name.startswith("matroska")
        assert [stream.type for stream in container.streams] == ["video"]


def test_clips_of_an_opened_file_are_on_its_clock_and_within_its_limits() -> None:
    content = media("matroska", frames=100, video_start=3.5, audio_start=3.7)
    moments = np.array([0.1, 1.5, 3.2])
    with open_media(content) as source:
        assert isinstance(source, FFmpegSource)
        expected = source.frames(moments, short_side=128, crop=112)
        got = {
            row: time
            for clip in source.clips(moments)
            for row, time in zip(clip.rows, clip.times, strict=True)
        }
        assert [got[row] for row in range(3)] == pytest.approx(expected.shown_at.tolist(), abs=1e-6)
        with pytest.raises(ValueError, match="not decrease"):
            list(source.clips(moments[::-1]))
    with open_media(content, limits=Limits(frames=5)) as source:
        assert isinstance(source, FFmpegSource)
        with pytest.raises(LimitError, match="more than 5 frames"):
            list(source.clips(moments))
