"""What is decoded again for a report, and what happens where that fails."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Limits
from l2l_engine.report import write_timeline
from l2l_engine.report.evidence import MOST_PICTURES, Evidence, gather
from l2l_engine.report.jpeg import encode_jpeg
from tests.report.cases import AWKWARD, make


def gathered(**options: object) -> Evidence:
    return gather(**({"timeout_s": 60.0} | options))  # type: ignore[arg-type]


def test_a_path_its_bytes_and_a_file_object_show_the_same(video: Path) -> None:
    data = video.read_bytes()
    file = io.BytesIO(data)
    file.seek(1000)
    ways = [gathered(prediction=make(), file=way) for way in (video, str(video), data, file)]
    assert not file.closed
    for way in ways:
        assert way.notes == []
        assert len(way.pictures) == 3
        assert all(np.array_equal(way.pictures[t], ways[0].pictures[t]) for t in ways[0].pictures)
        assert way.waveform is not None
        assert way.waveform.peaks.max() == 1.0


def test_only_what_is_there_is_shown(silent_video: bytes, sound_file: bytes) -> None:
    look = gathered(prediction=AWKWARD["look-only"], file=silent_video)
    assert look.pictures
    assert look.waveform is None
    assert not look.clips
    listen = gathered(prediction=AWKWARD["listen-only"], file=sound_file)
    assert not listen.pictures
    assert listen.waveform is not None
    assert set(listen.clips) == {moment.listen_to for moment in AWKWARD["listen-only"].moments}
    assert look.notes == listen.notes == []


def test_silence_is_a_flat_line(tmp_path: Path) -> None:
    from tests.api.videos import write_video

    write_video(tmp_path / "silence.wav", video=False, container_format="wav", event=(9.0, 9.0))
    evidence = gathered(prediction=AWKWARD["listen-only"], file=tmp_path / "silence.wav")
    assert evidence.waveform is not None
    assert evidence.waveform.peaks.max() == 0.0


def unreadable(kind: str, video: Path, folder: Path) -> object:
    if kind == "gone":
        return folder / "gone.mp4"
    if kind == "a folder":
        return folder
    if kind == "empty":
        return b""
    if kind == "text":
        return b"no video at all" * 100
    closed = video.open("rb")
    closed.close()
    return closed


@pytest.mark.parametrize("kind", ["gone", "a folder", "empty", "text", "closed"])
def test_an_unreadable_file_costs_pictures_not_the_page(kind: str, video: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.html"
    write_timeline(target, make(), unreadable(kind, video, tmp_path))  # type: ignore[arg-type]
    html = target.read_text(encoding="utf-8")
    assert "could not be read again" in html
    assert "no picture" in html
    assert "<img" not in html
    assert html.count('class="strip plot"') == 3


def test_a_file_cut_short_shows_what_is_left(sound_file: bytes) -> None:
    evidence = gathered(prediction=AWKWARD["listen-only"], file=sound_file[: len(sound_file) // 2])
    assert evidence.waveform is not None
    assert any("has changed" in note for note in evidence.notes)


def test_another_file_by_now_is_said(video: Path) -> None:
    evidence = gathered(prediction=make(duration=90.0), file=video)
    assert any("now 6.0 s long, not 90.0 s" in note for note in evidence.notes)
    assert evidence.waveform is not None
    loud = np.flatnonzero(evidence.waveform.peaks > 0.5) * 90 / len(evidence.waveform.peaks)
    assert 1.5 < loud.min() < loud.max() < 4.5


def test_time_and_limits_are_bounded(video: Path) -> None:
    late = gathered(prediction=make(), file=video, timeout_s=1e-9)
    assert "not done after" in late.notes[0]
    small = gathered(prediction=make(), file=video, limits=Limits(pixels=1000))
    assert small.notes
    assert not small.pictures


def test_the_number_of_pictures_is_bounded(video: Path) -> None:
    assert len(gathered(prediction=AWKWARD["seventy steps"], file=video).pictures) == MOST_PICTURES


def test_jpeg_keeps_the_colours() -> None:
    import av

    image = np.zeros((64, 32, 3), np.uint8)
    image[:32], image[32:, :16], image[32:, 16:] = (255, 255, 255), (250, 10, 10), (10, 10, 250)
    with av.open(io.BytesIO(encode_jpeg(image)), format="mjpeg") as file:
        back = next(file.decode(video=0)).to_ndarray(format="rgb24")
    assert back.shape == image.shape
    for y, x in ((8, 8), (48, 6), (48, 26)):
        assert np.abs(back[y, x].astype(int) - image[y, x]).max() < 12
