"""Each container on the list gives the pictures and the sound it was made of; others say what they are."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from l2l_engine.media.containers import CONTAINERS
from l2l_engine.media.folders import SUFFIXES
from l2l_engine.media.picture import PictureMaker
from l2l_engine.media.refusal import KINDS

from .formats import AV1, EXAMPLES, FRAMES, READ, REFUSED, SECONDS, example, page
from .judging import POLICIES, moments
from .makers import RATE, media, read_index
from .plain_sound import differs, listen

RAW = {"h264", "hevc", "mpegvideo"}


def plain_pictures(content: bytes, *, counted: bool) -> tuple[NDArray[np.float64], list[int]]:
    """When frames are shown (container seconds) and which they are, decoded from the first to the last.

    The decoder shows them in order, whatever it or the container says of their times. Of raw streams FFmpeg
    says nothing, or something odd of the first few: there one comes after the other (``counted``).
    """
    times, numbers = [], []
    with av.open(io.BytesIO(content)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            times.append(number / RATE if counted else float(frame.pts * frame.time_base))
            numbers.append(read_index(PictureMaker(128, 112)(frame)))
    return np.sort(times), numbers


@pytest.mark.parametrize("name", EXAMPLES)
def test_pictures_and_sound_are_those_that_were_made(name: str) -> None:
    content = example(name)
    made = EXAMPLES[name][1]
    with open_media(content) as source:
        assert (source.has_video, source.has_audio) == (made.video is not None, made.audio is not None)
        assert source.duration == pytest.approx(SECONDS, abs=0.1)
        zero = min(stream.start for stream in source.streams)
        shown, numbers = (
            plain_pictures(content, counted=EXAMPLES[name][0] in RAW) if made.video else (np.zeros(0), [])
        )
        assert len(set(numbers)) >= FRAMES - 12 or not made.video  # an encoder drops some for a key frame
        for policy in POLICIES if made.video else ():
            times = np.append(moments(source, policy), [2.5, SECONDS - 0.02])
            times.sort()
            frames = source.frames(times, short_side=128, crop=112)
            assert frames.valid.all(), policy
            seen = [read_index(image) for image in frames.images]
            rows = (
                np.searchsorted(shown, times + zero * (EXAMPLES[name][0] not in RAW) + 1e-6, side="right") - 1
            )
            expected = [numbers[row] for row in np.maximum(rows, 0)]
            np.testing.assert_array_equal(seen, expected, err_msg=policy)
        if made.audio:
            sound, starts = listen(content), np.array([0.0, 2.2, 4.8])
            got = source.audio_windows(starts, window=16000, sample_rate=16000)
            assert got.valid.all()
            for start, samples in zip(starts, got.samples, strict=True):
                assert differs(samples, sound.window(start + zero, 16000, 16000), lag=32) < 0.02


def test_all_that_is_read_is_on_the_list() -> None:
    assert set(READ) == set(CONTAINERS)
    without = {name for name, kind in READ.items() if not kind.examples}
    assert without == {"dts", "ape", "amrnb", "amrwb"}  # of which nothing can be made here
    assert set(REFUSED) == set(KINDS)
    named = {suffix for kind in READ.values() for suffix in kind.suffixes.split()}
    assert named >= SUFFIXES


@pytest.mark.parametrize("name", REFUSED)
def test_the_others_say_what_they_are(name: str) -> None:
    with pytest.raises(MediaError, match=re.escape(KINDS[name].words)):
        open_media(REFUSED[name]())


@pytest.mark.parametrize("container", ["mp4", "mov"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_index_that_was_cut_off(container: str, share: float) -> None:
    content = media(container, frames=50)
    at = content.index(b"moov") - 4
    cut = content[: int(at * share)]
    with pytest.raises(MediaError, match=f"cut short: {len(cut)} of {at} bytes are here"):
        open_media(cut)


def test_the_page_is_up_to_date() -> None:
    assert (Path(__file__).parents[2] / "docs" / "formats.md").read_text() == page()


KEYS = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


def scrambled() -> bytes:
    """A transport stream whose pictures and sound only a subscriber's receiver shows."""
    data = bytearray(media("mpegts", frames=50))
    rng = np.random.default_rng(1)
    for at in range(0, len(data), 188):
        if data[at + 1] & 1 and data[at + 2] < 2:  # the streams, not the tables
            data[at + 3] |= 0x80
            begin = at + 4 + (data[at + 4] + 1 if data[at + 3] & 0x20 else 0)
            data[begin : at + 188] = rng.bytes(at + 188 - begin)
    return bytes(data)


def protected() -> bytes:
    """A Windows Media file with the header's word for it."""
    data = media("asf", frames=50)
    word = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e") + (40).to_bytes(8, "little") + bytes(16)
    size, count = int.from_bytes(data[16:24], "little"), int.from_bytes(data[24:28], "little")
    lengths = (size + len(word)).to_bytes(8, "little") + (count + 1).to_bytes(4, "little")
    return data[:16] + lengths + data[28:30] + word + data[30:]


@pytest.mark.parametrize(
    "make", [lambda: media("mp4", frames=50, container_options=KEYS), scrambled, protected]
)
def test_what_is_encrypted_is_called_so(make: object) -> None:
    with pytest.raises(MediaError, match="it is encrypted"):
        open_media(make())  # type: ignore[operator]


def test_8k() -> None:
    content = media("matroska", video="mjpeg", audio=None, frames=1, size=(7680, 4320), pix_fmt="yuvj420p")
    with open_media(content) as source:
        frames = source.frames(np.zeros(1), short_side=128, crop=112)
    assert frames.valid.all()
    assert read_index(frames.images[0]) == 0


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no policies of scheduling to ask for")
def test_making_media_leaves_the_thread_as_it_was() -> None:
    """An encoder that makes it a real-time one starves whatever runs beside the tests."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    media("obu", video="libsvtav1", audio=None, frames=2, **AV1)
    assert (os.sched_getscheduler(0), os.sched_getparam(0)) == before
