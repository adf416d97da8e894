"""The floor decodes what it must and nothing else; the files are what they say."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from benchmarks import floor
from benchmarks.media import encode, files, remux

RECIPE = encode.Recipe(4, 96, 64, gop=30, video_bits=60_000, seed=7)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "short.mp4"
    encode.write(RECIPE, path)
    return path


def test_a_file_is_as_its_recipe_says(short: Path) -> None:
    facts = files.facts(short)
    assert (facts.frames, facts.key_every, facts.width, facts.video) == (120, 1.0, 96, "h264")
    assert facts.seconds == pytest.approx(4, abs=0.1)
    with av.open(str(short)) as container:
        kinds = {PictureType(frame.pict_type).name for frame in container.decode(video=0)}
        assert kinds == {"I", "P", "B"}


def test_looped_and_cut_files_decode_whole(short: Path, tmp_path: Path) -> None:
    remux.loop(short, 4.0, 3, tmp_path / "loop.mp4")
    remux.cut(short, 1.0, 3.0, tmp_path / "cut.mp4")
    for name, frames, seconds in (("loop.mp4", 360, 12), ("cut.mp4", 60, 2)):
        with av.open(str(tmp_path / name)) as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert times == pytest.approx(np.arange(frames) / 30, abs=1e-3)
        with av.open(str(tmp_path / name)) as container:
            stamps = [frame.time for frame in container.decode(audio=0)]
        assert stamps[-1] == pytest.approx(seconds, abs=0.1)
        assert np.diff(stamps).max() < 0.05


@pytest.mark.parametrize(
    ("times", "least", "most"),
    [([0.0, 1.0, 2.0, 3.0], 4, 4), ([0.5], 2, 16), ([0.0, 0.5, 2.9], 2, 50), ([], 0, 0)],
)
def test_frames_sent_to_the_decoder(short: Path, times: list[float], least: int, most: int) -> None:
    decoded = floor.FileFloor(short, floor.Knots(np.array(times), np.zeros(0))).decode_video()
    assert least <= decoded.sent <= most
    wanted = {pts for group in floor._groups(short, np.array(times)) for pts in group.wanted}
    assert len(wanted) == len(times)
    assert wanted <= set(decoded.shown)


@pytest.mark.parametrize(("times", "seconds"), [([0.0, 2.5], 2.0), ([0.0, 0.5, 1.0], 2.0), ([], 0.0)])
def test_sound_sent_to_the_decoder(short: Path, times: list[float], seconds: float) -> None:
    sent = floor.FileFloor(short, floor.Knots(np.zeros(0), np.array(times))).decode_audio()
    assert sent * 1024 / 44100 == pytest.approx(seconds, abs=0.12)


def test_the_wanted_frame_is_the_one_decoded_last(short: Path) -> None:
    """Against a full decode: of the frame's group no packet that comes after it in the file is needed."""
    with av.open(str(short)) as container:
        order = [p.pts for p in container.demux(video=0) if p.size]
        base = float(container.streams.video[0].time_base)
    wanted = round(0.7 / base)
    group = floor._groups(short, np.array([0.7 + 1e-4]))
    assert [(g.key, g.wanted) for g in group] == [(0, {wanted})]
    decoded = floor.FileFloor(short, floor.Knots(np.array([0.7 + 1e-4]), np.zeros(0))).decode_video()
    assert decoded.sent == order.index(wanted) + 1
