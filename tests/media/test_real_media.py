"""Files from the world outside, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from l2l_engine.errors import MediaError
from l2l_engine.media import open_media, timestamps
from tests.shared import shared_files

from .judging import judged
from .reference import Walk, decode_all, walk

FILES = shared_files("media")

pytestmark = pytest.mark.skipif(not FILES, reason="the shared media files are not here")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_gives_frames_and_sound_or_a_typed_error(path: Path) -> None:
    try:
        with open_media(path) as source:
            times = timestamps(source.duration, 16 / 30)
            assert source.has_video or source.has_audio
            if source.has_video:
                frames = source.frames(times, short_side=128, crop=112)
                assert frames.valid.all() == (path.name != "corrupted_noaudio.mp4")
                assert frames.valid.any()
            assert source.has_audio == ("noaudio" not in path.name)
            if source.has_audio:
                assert source.audio_windows(times, window=16000, sample_rate=16000).valid.all()
    except MediaError as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize("path", [p for p in FILES if "corrupted" not in p.name], ids=lambda path: path.name)
def test_frames_are_those_of_a_plain_decoder(path: Path) -> None:
    stream = 3 if path.name == "nasa_13013.mp4" else None  # of its two videos, the larger
    reference = decode_all(path.read_bytes(), stream)
    with open_media(path) as source:
        rng = np.random.default_rng(0)
        times = np.sort(rng.uniform(0, source.duration, 12))
        got = source.frames(times, short_side=128, crop=112)
        zero = min(info.start for info in source.streams)
    assert got.valid.all()
    for row, time in enumerate(times):
        expected = reference.at(time + zero)
        assert got.shown_at[row] == pytest.approx(reference.times[expected] - zero, abs=1e-5)
        np.testing.assert_array_equal(got.images[row], reference.images[expected])


FAILING = shared_files("failing")


def walked(path: Path) -> list[Walk]:
    """The walks that a file may be held against: of several programmes any will do."""
    content = path.read_bytes()
    by_order = path.suffix == ".avi"  # there no stamp says when a frame is shown
    streams = (0, 1) if "program" in path.name else (1,) if path.name == "nasa_13013.mp4" else (0,)
    several = "program" in path.name
    return [walk(content, by_order=by_order, video=n, audio=n if several else 0) for n in streams]


@pytest.mark.parametrize("path", FAILING, ids=lambda path: path.name)
def test_what_once_failed_is_what_a_walk_gives(path: Path) -> None:
    found = [judged(path.read_bytes(), truth) for truth in walked(path)]
    assert [] in found, found


@pytest.mark.nightly
@pytest.mark.parametrize("path", [p for p in FILES if "corrupted" not in p.name], ids=lambda path: path.name)
def test_real_files_are_what_a_walk_gives(path: Path) -> None:
    found = [judged(path.read_bytes(), truth) for truth in walked(path)]
    assert [] in found, found


@pytest.mark.parametrize("path", FILES[:1], ids=lambda path: path.name)
def test_the_files_were_found(path: Path) -> None:
    assert len(FILES) >= 12
