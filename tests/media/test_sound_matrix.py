"""Far windows of every sound coder in every container are what a walk gives, and the length too."""

from __future__ import annotations

import functools
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec import codecs_available
from hypothesis import given, settings
from hypothesis import strategies as st

from l2l_engine.media import open_media
from tests.shared import shared_files

from .makers import bursts, media
from .plain_sound import Sound, differs, listen

SECONDS = 14.0
RATE = 16000
MOMENTS = bursts(np.arange(20) * 0.7 + np.random.default_rng(0).uniform(0, 0.4, 20), 0.13)
SHAPES = ((44100, "stereo"), (48000, "stereo"), (44100, "mono"), (22050, "mono"), (8000, "mono"))
GAP = 0.2
"""Seconds by which FFmpeg's stamps run away from the samples where it interpolates them by another rate."""
SHIFT = 0.02
"""Seconds by which stamps may miss the count of samples at a joint."""
EVERYDAY = [
    ("wav", "adpcm_ima_wav"), ("wav", "adpcm_ms"), ("wav", "g722"), ("wav", "g726"), ("wav", "adpcm_yamaha"),
    ("wav", "pcm_s24le"), ("wav", "pcm_mulaw"), ("wav", "libmp3lame"), ("wav", "ac3"), ("wav", "adpcm_swf"),
    ("wav", "dfpwm"), ("w64", "adpcm_ms"), ("w64", "pcm_s16le"), ("aiff", "adpcm_ima_qt"),
    ("aiff", "pcm_s16be"), ("caf", "adpcm_ima_wav"), ("caf", "alac"), ("caf", "pcm_f32le"), ("au", "g722"),
    ("au", "pcm_alaw"), ("mov", "adpcm_ima_qt"), ("matroska", "pcm_s16le"), ("avi", "adpcm_ms"),
    ("nut", "adpcm_yamaha"), ("nut", "wavpack"),
]  # fmt: skip
CONTAINERS = (
    "wav", "w64", "aiff", "caf", "au", "mov", "mp4", "matroska", "avi", "nut", "ogg", "flac", "mp3", "adts",
    "asf", "mpegts", "mpeg", "wv", "tta", "ac3", "eac3", "amr",
)  # fmt: skip
ROUNDED = {"matroska", "asf", "flv", "mpeg", "avi"}
"""Their clocks are coarser than a sample."""
NOT_MADE_RIGHT = {("wav", "aac"), ("w64", "aac"), ("asf", "flac"), ("asf", "adpcm_ima_wav")} | {
    ("avi", codec) for codec in ("dfpwm", "eac3", "g722", "g726", "libopencore_amrnb")
}
"""Files of FFmpeg's that it does not read as it wrote them."""


@functools.cache
def sound_coders() -> list[str]:
    found = []
    for name in sorted(codecs_available):
        try:
            codec = av.Codec(name, "w")
        except av.codec.codec.UnknownCodecError:
            continue
        if codec.type == "audio" and name not in {"anull", "comfortnoise"}:
            found.append(name)
    return found


def made(container: str, coder: str) -> bytes | None:
    for rate, layout in SHAPES:
        try:
            return media(
                container, video=None, audio=coder, seconds=SECONDS, sample_rate=rate, layout=layout,
                sound=MOMENTS,
            )  # fmt: skip
        except (av.error.FFmpegError, ValueError, OSError):
            continue
    return None


def check(content: bytes, truth: Sound, *, lag: int = 1) -> None:
    with open_media(content) as source:
        zero = source.streams[0].start
        # Containers count whole packets of some coders.
        assert source.duration == pytest.approx(truth.end - truth.start, abs=0.3)
        last = truth.end - truth.start - 1.2
        for starts in ([0.0, 11.3, last], [last], [10.6, 11.1]):
            got = source.audio_windows(np.array(starts), window=RATE, sample_rate=RATE)
            assert got.valid.all(), starts
            for start, samples in zip(starts, got.samples, strict=True):
                want = truth.window(start + zero, RATE, RATE)
                assert differs(samples, want, lag=lag) < 0.05, f"window at {start} of {starts}"


@pytest.mark.parametrize(("container", "coder"), EVERYDAY)
def test_far_windows_are_those_of_a_walk(container: str, coder: str) -> None:
    content = made(container, coder)
    assert content is not None
    check(content, listen(content), lag=24 if container in ROUNDED else 1)


@pytest.mark.parametrize(
    ("container", "coder"),
    [("matroska", "wavpack"), ("nut", "wavpack"), ("matroska", "tta"), ("wv", "wavpack"), ("avi", "flac")],
)
def test_a_far_window_anywhere_in_a_long_packet(container: str, coder: str) -> None:
    """Packets of up to a second, of which some containers do not say how long they last."""
    content = made(container, coder)
    assert content is not None
    truth = listen(content)
    with open_media(content) as source:
        for start in np.arange(10.3, 12.9, 0.07):
            got = source.audio_windows(np.array([start]), window=4000, sample_rate=RATE)
            assert got.valid.all(), start
            assert differs(got.samples[0], truth.window(start, 4000, RATE), lag=24) < 0.05, start


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_coder_in_every_container(container: str) -> None:
    tried = 0
    for coder in sound_coders():
        content = None if (container, coder) in NOT_MADE_RIGHT else made(container, coder)
        if content is None:
            continue
        try:
            truth = listen(content)
        except av.error.FFmpegError:
            continue  # FFmpeg writes some that it does not read
        if not truth.runs:
            continue
        tried += 1
        try:
            check(content, truth, lag=24 if container in ROUNDED else 1)
        except AssertionError as error:
            raise AssertionError(f"{coder} in {container}") from error
    assert tried


def wave(rate: int, byte_rate: int, channels: int, bits: int, seconds: float) -> bytes:
    """A WAV file whose header says another number of bytes a second than there are."""
    count = int(rate * seconds)
    samples = MOMENTS(np.arange(count) / rate).repeat(channels)
    data = (
        (samples * 32767).astype("<i2").tobytes()
        if bits == 16
        else (samples * 127 + 128).astype("u1").tobytes()
    )
    head = b"WAVEfmt " + (16).to_bytes(4, "little") + (1).to_bytes(2, "little")
    head += channels.to_bytes(2, "little") + rate.to_bytes(4, "little") + byte_rate.to_bytes(4, "little")
    head += (channels * bits // 8).to_bytes(2, "little") + bits.to_bytes(2, "little")
    head += b"data" + len(data).to_bytes(4, "little")
    return b"RIFF" + (len(head) + len(data)).to_bytes(4, "little") + head + data


@settings(max_examples=12, deadline=None)
@given(
    rate=st.sampled_from([8000, 11025, 16000, 44100]),
    share=st.sampled_from([0.25, 0.5, 1.0, 1.5, 4.0]),
    channels=st.integers(1, 3),
    bits=st.sampled_from([8, 16]),
    seconds=st.floats(13.0, 16.0),
)
def test_a_header_that_lies_about_the_bytes_a_second(
    rate: int, share: float, channels: int, bits: int, seconds: float
) -> None:
    content = wave(rate, int(rate * channels * bits // 8 * share), channels, bits, seconds)
    check(content, listen(content))


CHANGES = [
    ("mpegts", "aac"), ("mpegts", "mp2"), ("mpegts", "libmp3lame"), ("mpegts", "ac3"), ("mpegts", "eac3"),
]  # fmt: skip


@pytest.mark.parametrize(("container", "coder"), CHANGES)
@pytest.mark.parametrize(
    "shapes",
    [
        [(48000, "stereo"), (32000, "stereo")],
        [(32000, "mono"), (48000, "stereo"), (44100, "mono")],
        [(44100, "stereo"), (44100, "mono"), (44100, "stereo")],
    ],
    ids=["slower", "both", "layout"],
)
def test_a_rate_that_changes_on_the_way(container: str, coder: str, shapes: list[tuple[int, str]]) -> None:
    parts = []
    for number, (rate, layout) in enumerate(shapes):
        part = media(
            container, video=None, audio=coder, seconds=4.0, sample_rate=rate, layout=layout,
            audio_start=4.0 * number, sound=bursts(np.arange(8) * 0.5 + 0.1 + 0.02 * number),
        )  # fmt: skip
        parts.append(part)
    content = b"".join(parts)
    truth = listen(content, gap=GAP if len({rate for rate, _ in shapes}) > 1 else SHIFT)
    assert len({rate for _, rate, _ in truth.runs}) == len({rate for rate, _ in shapes})
    with open_media(content) as source:
        assert source.duration == pytest.approx(4.0 * len(shapes), abs=0.4)
        zero = source.streams[0].start
        starts = np.arange(0.0, 4.0 * len(shapes) - 1, 0.9)
        for some in (starts, starts[4:], starts[-1:]):
            got = source.audio_windows(some, window=8000, sample_rate=RATE)
            assert got.valid.all()
            for start, samples in zip(some, got.samples, strict=True):
                near = any(0.0 <= 4.0 * k + 0.2 - start <= 1.0 for k in range(1, len(shapes)))
                want = truth.window(start + zero, 8000, RATE)
                # The stamps at the joint miss those behind it, by less than is followed.
                assert near or differs(samples, want, lag=round(SHIFT * RATE)) < 0.1, start


FILES = {path.name: path for path in shared_files("failing")}


@pytest.mark.skipif(not FILES, reason="the shared media files are not here")
@pytest.mark.parametrize("name", ["ima-adpcm-44100.wav", "sample-rate-changes.ts", "quiet-then-loud.aac"])
def test_files_that_were_found(name: str) -> None:
    content = Path(FILES[name]).read_bytes()
    truth = listen(content, gap=GAP)
    with open_media(content) as source:
        zero = min(stream.start for stream in source.streams)
        assert source.duration == pytest.approx(truth.end - zero, abs=0.1)
        starts = np.arange(0.0, source.duration - 1.0, 0.8)
        for some in (starts, starts[-2:]):
            got = source.audio_windows(some, window=RATE, sample_rate=RATE)
            assert got.valid.all()
            for start, samples in zip(some, got.samples, strict=True):
                assert differs(samples, truth.window(start + zero, RATE, RATE), lag=round(SHIFT * RATE)) < 0.1
