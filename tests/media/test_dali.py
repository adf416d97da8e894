"""DALI's pipeline on the CPU: the definition that a GPU would run, on the codecs that need none."""

from __future__ import annotations

import ctypes
import dataclasses
import sys

import numpy as np
import pytest

from l2l_engine.errors import DeviceError
from l2l_engine.media import open_media
from l2l_engine.media.dali import DaliDecoder, load_dali, unsuitable

from .makers import media
from .test_clips import cut

VIDEOS = {
    "vp8": {"container": "webm", "video": "libvpx", "audio": "libopus"},
    "vp9": {"container": "webm", "video": "libvpx-vp9", "audio": "libopus"},
    "vp9-wide": {"container": "webm", "video": "libvpx-vp9", "audio": None, "size": (320, 180)},
    "vp9-late": {"container": "webm", "video": "libvpx-vp9", "video_start": 2.5, "audio_start": 2.5},
    "mjpeg": {"container": "matroska", "video": "mjpeg", "pix_fmt": "yuvj420p", "audio": None},
}
VIDEOS["vp9-late"]["audio"] = "libopus"
BATCH = 4


def decoder() -> DaliDecoder:
    pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed")
    return DaliDecoder(short_side=128, crop=112, device="cpu", batch=BATCH)


@pytest.mark.parametrize("name", VIDEOS)
def test_the_frames_of_pyav(name: str) -> None:
    content = media(frames=75, **VIDEOS[name])  # type: ignore[arg-type]
    moments = np.linspace(0, 2.9, 17)
    with open_media(content) as source:
        expected = source.frames(moments, short_side=128, crop=112)
    start = 2.5 if name == "vp9-late" else 0.0
    clips = cut(content, moments + start)
    dali = decoder()
    for begin in range(0, len(clips), BATCH):
        part = clips[begin : begin + BATCH]
        rows = [row for clip in part for row in clip.rows]
        got = dali.decode(part)
        assert np.abs(got.astype(int) - expected.images[rows]).mean() < 2
        shown = [time - start for clip in part for time in clip.times]
        np.testing.assert_allclose(shown, expected.shown_at[rows], atol=1e-6)


def test_frames_can_be_left_where_they_were_decoded() -> None:
    """In as few clips as there are, and as long as somebody holds them."""
    clips = cut(media(frames=75, **VIDEOS["vp9"]), np.linspace(0, 2.9, 17))  # type: ignore[arg-type]
    dali = decoder()
    kept = [(dali.decode_in_place(some, stream=77), dali.decode(some)) for some in (clips[:2], clips[2:3])]
    for left, expected in kept:
        assert len(left.pointers) == len(expected)
        for pointer, frame in zip(left.pointers, expected, strict=True):
            found = np.ctypeslib.as_array((ctypes.c_uint8 * frame.size).from_address(pointer))
            np.testing.assert_array_equal(found.reshape(frame.shape), frame)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"rotation": 90}, "turned"),
        ({"rotation": 180}, "turned"),
        ({"pix_fmt": "yuv444p"}, "pixels are yuv444p"),
        ({"size": (2048, 16)}, "2048 x 16"),
        ({"size": (200, 200)}, "200 x 200"),
    ],
)
def test_what_is_left_to_the_other_decoder(options: dict[str, object], reason: str | None) -> None:
    (clip, *_) = cut(media("matroska", frames=5, **options), np.array([0.0]))  # type: ignore[arg-type]
    found = unsuitable(clip, most_pixels=38_000)
    assert found is None if reason is None else reason in str(found)
    damaged = dataclasses.replace(clip, data=clip.data[: len(clip.data) // 4])
    assert "first frame" in str(unsuitable(damaged, most_pixels=1 << 20))


def test_a_video_it_cannot_decode_is_an_error_that_leaves_it_usable() -> None:
    dali = decoder()
    with pytest.raises(DeviceError, match=r"DALI cannot decode this video: .*decoder"):
        dali.decode(cut(media("mp4"), np.array([0.0])))
    assert dali.decode(cut(media(frames=5, **VIDEOS["vp9"]), np.array([0.0]))).shape == (1, 112, 112, 3)  # type: ignore[arg-type]


def test_the_number_of_clips_is_checked() -> None:
    with pytest.raises(ValueError, match="clips must be 1 to 4, not 0"):
        decoder().decode([])


def test_without_dali_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    with pytest.raises(DeviceError, match="install nvidia-dali-cuda130"):
        load_dali()


def test_without_a_gpu_the_error_says_so() -> None:
    pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed")
    import ctypes

    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        with pytest.raises(DeviceError, match="CUDA is not available"):
            DaliDecoder(short_side=128, crop=112)
    else:
        pytest.skip("there is a driver here")
