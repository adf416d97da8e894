from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.typing import NDArray

from l2l_engine.errors import LimitError
from l2l_engine.media import AudioWindows, Limits, open_media
from l2l_engine.media.resample import Resampler

from .makers import TONE_HZ, bursts, media, tone

RATE = 16000
BURSTS = [0.5, 1.25, 2.0, 3.1]

FORMATS = {
    "mp4": {"container": "mp4"},
    "mkv": {"container": "matroska"},
    "ts": {"container": "mpegts"},
    "flv": {"container": "flv", "sample_rate": 44100},
    "avi": {"container": "avi", "video": "mpeg4", "audio": "libmp3lame", "sample_rate": 44100},
    "ps": {"container": "mpeg", "video": "mpeg2video", "audio": "mp2"},
    "webm": {"container": "webm", "video": "libvpx-vp9", "audio": "libopus"},
    "mov-96k": {"container": "mov", "audio": "pcm_s24le", "sample_rate": 96000},
    "mp4-8k": {"container": "mp4", "sample_rate": 8000},
    "mp4-5.1": {"container": "mp4", "layout": "5.1"},
    "wav": {"container": "wav", "video": None, "audio": "pcm_s16le", "sample_rate": 44100},
    "wav-8bit": {"container": "wav", "video": None, "audio": "pcm_u8", "sample_rate": 22050},
    "wav-float": {"container": "wav", "video": None, "audio": "pcm_f32le", "sample_rate": 11025},
    "flac": {"container": "flac", "video": None, "audio": "flac"},
    "mp3": {"container": "mp3", "video": None, "audio": "libmp3lame", "sample_rate": 44100},
    "opus": {"container": "ogg", "video": None, "audio": "libopus"},
    "adts": {"container": "adts", "video": None, "audio": "aac"},
}
PRIMING = {"ts": 1024 / 48000, "flv": 1024 / 44100, "adts": 1024 / 48000, "avi": 0.026, "ps": 481 / 48000}
"""Encoder delay that the container cannot take back: the sound comes that much later than it was made."""

ROUNDED = {"mkv", "webm", "flv"}
"""Their timestamps are milliseconds, which is all that is known of where a sound lies after a jump."""
DITHERED = {"mp4-5.1": 2e-3, "ps": 1e-4}
"""Decoders that add noise from a generator which goes on from whatever was decoded before."""


@functools.cache
def beeping(name: str) -> bytes:
    return media(**{"frames": 100, "seconds": 4.0, "sound": bursts(BURSTS)} | FORMATS[name])


def windows(content: bytes, starts: object, *, window: int = RATE, **options: object) -> AudioWindows:
    with open_media(content, **options) as source:
        return source.audio_windows(np.asarray(starts, float), window=window, sample_rate=RATE)


def whole(content: bytes) -> NDArray[np.float32]:
    with open_media(content) as source:
        length = int(source.duration * RATE)
        return source.audio_windows(np.zeros(1), window=length, sample_rate=RATE).samples[0]


def onsets(samples: NDArray[np.float32]) -> list[float]:
    """Seconds at which it becomes loud."""
    block = 16  # one period of the tone
    loud = np.abs(samples[: len(samples) // block * block]).reshape(-1, block).max(axis=1) > 0.2
    return [i * block / RATE for i in np.flatnonzero(loud[1:] & ~loud[:-1]) + 1]


@pytest.mark.parametrize("name", FORMATS)
def test_sound_is_where_it_was_made(name: str) -> None:
    found = onsets(whole(beeping(name)))
    np.testing.assert_allclose(found, np.array(BURSTS) + PRIMING.get(name, 0.0), atol=0.004)


@pytest.mark.parametrize("name", FORMATS)
def test_a_window_holds_the_same_samples_whoever_asks(name: str) -> None:
    """One by one, overlapping, all at once: the same sound, bit for bit where the container allows it."""
    content = beeping(name)
    all_of_it = whole(content)
    starts = np.array([0.0, 0.2, 0.2, 0.3125, 1.1, 2.9])
    together = windows(content, starts)
    assert together.valid.all()
    for row, start in enumerate(starts):
        alone = windows(content, [start]).samples[0]
        first = round(start * RATE)
        expected = all_of_it[first : first + RATE]
        np.testing.assert_array_equal(together.samples[0], windows(content, [0.0]).samples[0])
        if name in ROUNDED:
            np.testing.assert_allclose(onsets(alone), onsets(expected), atol=0.0011)
            np.testing.assert_allclose(onsets(together.samples[row]), onsets(expected), atol=0.0011)
        else:
            np.testing.assert_allclose(together.samples[row], expected, atol=DITHERED.get(name, 0.0))
            np.testing.assert_allclose(alone, expected, atol=DITHERED.get(name, 0.0))


@pytest.mark.parametrize(("name", "exact"), [("mp4", True), ("wav", True), ("flac", True), ("mkv", False)])
def test_far_windows_are_sought_and_stay_the_same(name: str, exact: bool) -> None:
    content = media(
        **{"frames": 40, "rate": 1, "size": (32, 32), "seconds": 40.0, "sound": bursts(np.arange(40) + 0.25)}
        | FORMATS[name]
    )
    starts = np.array([0.0, 20.0, 39.5])
    got = windows(content, starts)
    assert got.valid.all()
    all_of_it = np.concatenate([whole(content), np.zeros(RATE, np.float32)])
    for row, start in enumerate(starts):
        expected = all_of_it[round(start * RATE) :][:RATE]
        if exact:
            np.testing.assert_array_equal(got.samples[row][:8000], expected[:8000])
        else:  # Matroska rounds to milliseconds, so after a jump the sound may shift by half of one
            np.testing.assert_allclose(onsets(got.samples[row]), onsets(expected), atol=0.001)


def test_the_far_windows_test_does_seek(monkeypatch: pytest.MonkeyPatch) -> None:
    from l2l_engine.media.demux import Demuxer, Track

    goals = []
    seek = Demuxer.seek

    def noting(demuxer: Demuxer, track: Track, to: float, **options: bool) -> bool:
        goals.append(to)
        return seek(demuxer, track, to, **options)

    monkeypatch.setattr(Demuxer, "seek", noting)
    content = media("wav", video=None, audio="pcm_s16le", seconds=40.0)
    with open_media(content) as source:
        goals.clear()
        source.audio_windows(np.array([0.0, 20.0]), window=RATE, sample_rate=RATE)
    assert len(goals) == 1


def test_past_the_end_is_silence() -> None:
    got = windows(media("wav", video=None, audio="pcm_s16le", seconds=1.5), [0.0, 1.0, 1.49, 3.0])
    assert got.valid.all()
    assert np.abs(got.samples[0]).max() > 0.4
    assert np.abs(got.samples[1][7900:8000]).max() > 0.4
    assert not got.samples[1][8030:].any()
    assert not got.samples[3].any()


def test_before_the_sound_is_silence() -> None:
    got = windows(media("mp4", audio_start=2.0, video_start=0.0), [0.0, 1.5])
    assert got.valid.all()
    assert not got.samples[0].any()
    assert not got.samples[1][:7500].any()
    assert np.abs(got.samples[1][8500:]).max() > 0.4


@pytest.mark.parametrize(
    ("codec", "level"), [("pcm_u8", 8), ("pcm_s16le", 16), ("pcm_s32le", 32), ("pcm_f64le", 53)]
)
def test_levels_do_not_depend_on_the_sample_format(codec: str, level: int) -> None:
    content = media("wav", video=None, audio=codec, sample_rate=RATE, layout="mono", seconds=1.0)
    samples = windows(content, [0.0]).samples[0]
    expected = tone(np.arange(RATE) / RATE)
    assert np.abs(samples - expected).max() < 2.0**-level * 2 + 1e-6


def test_channels_are_averaged_without_the_subwoofer() -> None:
    import io

    import av

    target = io.BytesIO()
    levels = np.array([0.1, 0.2, 0.3, 0.9, 0.4, 0.5], np.float32)  # FL FR FC LFE BL BR
    with av.open(target, "w", format="wav") as out:
        track = out.add_stream("pcm_f32le", rate=RATE, layout="5.1")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(np.repeat(levels[None], RATE, axis=0).reshape(1, -1)), "flt", "5.1"
        )
        frame.sample_rate, frame.pts = RATE, 0
        for packet in [*track.encode(frame), *track.encode(None)]:
            out.mux(packet)
    samples = windows(target.getvalue(), [0.0]).samples[0]
    np.testing.assert_allclose(samples, 0.3, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 48000, 96000, 44101])
def test_resampling_keeps_tones_and_removes_what_does_not_fit(rate: int) -> None:
    resampler = Resampler(rate, RATE)
    first, count = 1234, 4000

    def through(hertz: float) -> NDArray[np.float64]:
        start, stop = resampler.span(first, count)
        samples = np.sin(2 * np.pi * hertz * np.arange(start, stop) / rate).astype(np.float32)
        return resampler(samples, first, count).astype(float)

    moments = np.arange(first, first + count) / RATE
    exact_phases = rate != 44101
    for hertz in (100.0, 1000.0, 0.4 * min(rate, RATE)):
        error = through(hertz) - np.sin(2 * np.pi * hertz * moments)
        assert np.abs(error).max() < (2e-4 if exact_phases else 1e-2)
    if rate > RATE:
        for hertz in np.arange(0.56 * RATE, rate / 2, 1500.0):
            assert np.abs(through(hertz)).max() < 2e-3, hertz


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 44101])
def test_a_part_is_resampled_like_the_whole(rate: int) -> None:
    rng = np.random.default_rng(1)
    resampler = Resampler(rate, RATE)
    start, stop = resampler.span(-50, 9000)
    samples = rng.standard_normal(stop - start).astype(np.float32)
    all_of_it = resampler(samples, -50, 9000)
    for first, count in ((-50, 1), (-3, 700), (0, 1), (161, 5000), (8949, 1)):
        low, high = resampler.span(first, count)
        part = resampler(samples[low - start : high - start], first, count)
        np.testing.assert_array_equal(part, all_of_it[first + 50 : first + 50 + count])


def test_a_constant_stays_constant() -> None:
    for rate in (8000, 44100, 44101, 96000):
        resampler = Resampler(rate, RATE)
        start, stop = resampler.span(0, 1000)
        out = resampler(np.full(stop - start, 0.25, np.float32), 0, 1000)
        np.testing.assert_allclose(out, 0.25, atol=1e-6)


def test_the_limit_counts_decoded_sound() -> None:
    content = media("wav", video=None, audio="pcm_s16le", seconds=10.0)
    starts = np.arange(9.0)
    assert windows(content, starts, limits=Limits(audio_bytes=400_000)).valid.all()
    with pytest.raises(LimitError, match="400000 bytes"):
        windows(content, [0.0], window=9 * RATE, limits=Limits(audio_bytes=400_000))


def test_without_sound_there_are_no_windows() -> None:
    with open_media(media("mp4", audio=None, frames=5)) as source:
        assert not source.has_audio
        with pytest.raises(ValueError, match="no audio"):
            source.audio_windows(np.zeros(1), window=RATE, sample_rate=RATE)


def test_the_tone_is_the_tone() -> None:
    """The makers' own sound, so that the tests above compare with something real."""
    spectrum = np.abs(np.fft.rfft(tone(np.arange(RATE) / RATE)))
    assert spectrum.argmax() == TONE_HZ
