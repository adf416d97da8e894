from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest
from av.packet import Packet
from av.stream import Stream

from l2l_engine.errors import LimitError
from l2l_engine.media import Limits, open_media, timestamps
from l2l_engine.media.demux import Demuxer

from .makers import bursts, media, read_index
from .test_audio import onsets

HOP = 16 / 30
STARTS = [(1.0, 0.4), (0.3, 1.7), (5.0, 5.25), (0.0, 0.0)]


@pytest.mark.parametrize(("video_start", "audio_start"), STARTS)
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv"])
def test_picture_and_sound_agree(container: str, video_start: float, audio_start: float) -> None:
    """A flash and a beep at the same moments, in streams that start at different times."""
    moments = [2.0, 3.04, 4.2]  # seconds after the earlier stream's start
    zero = min(video_start, audio_start)
    in_video = [zero + m - video_start for m in moments]
    in_audio = [zero + m - audio_start for m in moments]
    flashes = [int(any(0 <= i / 25 - m < 0.1 for m in in_video)) for i in range(130)]
    content = media(
        container,
        frames=130,
        indices=flashes,
        seconds=5.2,
        sound=bursts(in_audio),
        video_start=video_start,
        audio_start=audio_start,
        video_options={"bf": "0"},
    )
    with open_media(content) as source:
        times = np.arange(0.0, 5.0, 0.01)
        frames = source.frames(times, short_side=128, crop=112)
        sound = source.audio_windows(np.zeros(1), window=16000 * 6, sample_rate=16000)
    lit = np.array([read_index(image) for image in frames.images])
    seen = times[1:][(lit[1:] == 1) & (lit[:-1] == 0)]
    heard = onsets(sound.samples[0])
    assert len(seen) == len(heard) == 3
    # Far inside the hop that is asked for: a frame and the codec's own delay.
    np.testing.assert_allclose(seen, heard, atol=0.07)
    np.testing.assert_allclose(seen, moments, atol=0.07)


@pytest.mark.parametrize("bf", ["0", "3"])
def test_the_end_of_a_long_group_of_pictures_is_all_that_is_read(
    bf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = media("mp4", frames=1000, size=(64, 64), video_options={"g": "1000", "bf": bf})
    kinds: list[str] = []
    packets = Demuxer.packets

    def noting(demuxer: Demuxer, *args: object) -> Iterator[Packet[Stream]]:
        for packet in packets(demuxer, *args):  # type: ignore[arg-type]
            kinds.append(packet.stream.type)
            yield packet

    monkeypatch.setattr(Demuxer, "packets", noting)
    with open_media(content) as source:
        assert source.duration == pytest.approx(40.0, abs=0.1)
    assert 25 < kinds.count("video") < 75  # two seconds of forty
    assert 0 < kinds.count("audio") < 150


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "avi", "flv"])
def test_durations(container: str) -> None:
    codec = {"video": "mpeg4", "audio": "libmp3lame"} if container == "avi" else {}
    with open_media(media(container, frames=75, **codec)) as source:
        assert source.duration == pytest.approx(3.0, abs=0.1)
        assert [stream.kind for stream in source.streams] == ["video", "audio"]
        assert source.streams[0].frame_rate == pytest.approx(25, rel=0.02)
        assert source.streams[1].sample_rate == 48000
        assert source.streams[1].channels == 2
        assert (source.streams[0].width, source.streams[0].height) == (128, 128)


def test_missing_duration_is_measured() -> None:
    content = media("matroska", frames=75, container_options={"live": "1"})
    with open_media(content) as source:
        assert source.duration == pytest.approx(3.0, abs=0.1)


def patched_duration(milliseconds: float) -> bytes:
    """A Matroska file of 3 s whose header declares another duration."""
    content = media("matroska", frames=75)
    at = content.index(b"\x44\x89\x88") + 3
    return content[:at] + struct.pack(">d", milliseconds) + content[at + 8 :]


@pytest.mark.parametrize(
    "milliseconds", [1.0, 1500.0, 1e7, 1e12, 1e300, 0.0, -5.0, float("nan"), float("inf")]
)
def test_an_absurd_duration_is_not_believed(milliseconds: float) -> None:
    with open_media(patched_duration(milliseconds)) as source:
        assert source.duration == pytest.approx(3.0, abs=0.1)
        frames = source.frames(timestamps(source.duration, HOP), short_side=128, crop=112)
        assert frames.valid.all()


def test_a_damaged_timestamp_does_not_make_hours_of_nothing() -> None:
    content = media("matroska", audio=None, times=[0.0, 0.04, 0.08, 50_000.0], video_options={"bf": "0"})
    with open_media(content) as source:
        assert source.duration == pytest.approx(0.12, abs=0.05)


def test_a_declared_end_beyond_the_packets_is_a_file_cut_short() -> None:
    with open_media(patched_duration(6000.0)) as source:
        assert source.duration == pytest.approx(6.0)
        times = np.array([0.0, 2.9, 4.0, 5.5])
        assert source.frames(times, short_side=128, crop=112).valid.tolist() == [True, True, False, False]
        sound = source.audio_windows(times, window=16000, sample_rate=16000)
        assert sound.valid.tolist() == [True, False, False, False]


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "avi"])
def test_one_frame(container: str) -> None:
    with open_media(media(container, video="mpeg4", audio=None, frames=1)) as source:
        assert 0 < source.duration < 0.2
        frames = source.frames(timestamps(source.duration, HOP), short_side=128, crop=112)
        assert frames.valid.tolist() == [True]
        assert read_index(frames.images[0]) == 0


def test_a_fifth_of_a_second_of_sound() -> None:
    with open_media(media("wav", video=None, audio="pcm_s16le", seconds=0.2)) as source:
        assert source.duration == pytest.approx(0.2)
        sound = source.audio_windows(timestamps(source.duration, HOP), window=16000, sample_rate=16000)
        assert sound.valid.all()
        assert np.abs(sound.samples[0, :3000]).max() > 0.4


def test_the_duration_limit_counts_what_is_there() -> None:
    with pytest.raises(LimitError, match="longer than the limit of 2 s"):
        open_media(media("mp4", frames=75), limits=Limits(duration=2.0))
    with pytest.raises(LimitError, match="limit of 2 s"):
        open_media(media("matroska", frames=75, container_options={"live": "1"}), limits=Limits(duration=2.0))


def test_the_default_tracks_are_used() -> None:
    from .makers import many_tracks

    with open_media(many_tracks()) as source:
        video, audio = source.streams
        assert (video.width, video.height) == (64, 64)
        assert audio.sample_rate == 32000
