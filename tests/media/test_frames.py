from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.typing import NDArray

from l2l_engine.errors import LimitError
from l2l_engine.media import Frames, Limits, open_media

from .makers import board, media, read_index
from .reference import decode_all, start_of

CONTAINERS = {
    "mp4": {"container": "mp4"},
    "mp4-fragmented": {"container": "mp4", "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "mov": {"container": "mov"},
    "mkv": {"container": "matroska"},
    "webm": {"container": "webm", "video": "libvpx-vp9", "audio": "libopus"},
    "ts": {"container": "mpegts"},
    "flv": {"container": "flv"},
    "avi": {"container": "avi", "video": "mpeg4", "audio": "libmp3lame"},
    "ps": {"container": "mpeg", "video": "mpeg2video", "audio": "mp2"},
    "asf": {"container": "asf", "video": "msmpeg4", "audio": "libmp3lame"},
}
SHAPES = [(320, 180), (180, 320), (640, 128), (2, 2), (16, 400), (130, 128), (2048, 16)]
LONG_GOP = {"preset": "veryfast", "g": "250", "bf": "3", "sc_threshold": "0"}
OPEN_GOP = {"preset": "veryfast", "g": "20", "bf": "3", "sc_threshold": "0", "x264-params": "open-gop=1"}


@functools.cache
def in_container(name: str) -> bytes:
    return media(frames=150, **CONTAINERS[name])


def frames_at(content: bytes, times: object, **options: object) -> Frames:
    with open_media(content, **options) as source:
        return source.frames(np.asarray(times, float), short_side=128, crop=112)


def check_against_reference(content: bytes, times: NDArray[np.float64]) -> Frames:
    """Every picture equals, bit for bit, the one that decoding everything gives for its moment."""
    got = frames_at(content, times)
    reference, zero = decode_all(content), start_of(content)
    assert got.valid.all()
    for row, time in enumerate(times):
        expected = reference.at(time + zero)
        assert got.shown_at[row] == pytest.approx(reference.times[expected] - zero, abs=1e-5)
        np.testing.assert_array_equal(got.images[row], reference.images[expected])
    return got


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("step", [0.04, 0.5, 1.7])
def test_every_container_gives_the_frame_shown(name: str, step: float) -> None:
    content = in_container(name)
    with open_media(content) as source:
        times = np.arange(0, source.duration, step)
    check_against_reference(content, times)


def test_frames_are_numbered_as_made() -> None:
    times = np.array([0.0, 0.0399, 0.04, 0.39, 0.4, 1.0, 2.96, 2.999])
    got = frames_at(media("mp4"), times)
    assert [read_index(image) for image in got.images] == [0, 0, 1, 9, 10, 25, 74, 74]
    np.testing.assert_allclose(got.shown_at, [0, 0, 0.04, 0.36, 0.4, 1.0, 2.96, 2.96], atol=1e-9)


@pytest.mark.parametrize("options", [LONG_GOP, OPEN_GOP], ids=["long", "open"])
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_exact_in_any_group_of_pictures(container: str, options: dict[str, str]) -> None:
    content = media(container, audio=None, frames=400, video_options=options)
    rng = np.random.default_rng(3)
    check_against_reference(content, np.sort(rng.uniform(0, 16, 23)))


def test_far_moments_are_sought() -> None:
    """Eleven key frames apart: what lies between is neither decoded nor read."""
    content = media("mp4", audio=None, frames=25 * 40, size=(32, 32))
    times = np.array([0.5, 15.5, 38.02])
    got = check_against_reference(content, times)
    assert got.frames_decoded < 25 * 3 + 20


def test_only_the_groups_needed_are_decoded() -> None:
    content = media("mp4", audio=None, frames=250, video_options={"g": "25", "bf": "0"})
    got = frames_at(content, np.arange(10) + 0.1)
    assert [read_index(image) for image in got.images] == [25 * i + 2 for i in range(10)]
    # From each key frame to the third frame of its second, and one more to see that it is the last before.
    assert got.frames_decoded <= 10 * 4


def test_moments_in_one_frame_share_it() -> None:
    got = frames_at(media("mp4"), [0.4, 0.4, 0.41, 0.42])
    assert [read_index(image) for image in got.images] == [10] * 4


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_variable_frame_rate(container: str) -> None:
    shown = [0.0, 0.02, 0.5, 0.53, 0.9, 2.4, 2.41, 2.5]
    content = media(container, audio=None, times=shown, video_options={"bf": "0"})
    times = [0.01, 0.03, 0.49, 0.51, 0.6, 0.95, 2.3, 2.405, 2.45, 2.5]
    got = frames_at(content, times)
    assert [read_index(image) for image in got.images] == [0, 1, 1, 2, 3, 4, 4, 5, 6, 7]
    assert got.valid.all()


def test_before_the_first_frame_stands_the_first() -> None:
    got = frames_at(media("mp4", video_start=1.0, audio_start=0.0), [0.0, 0.5, 1.1])
    assert got.valid.all()
    assert [read_index(image) for image in got.images[:2]] == [0, 0]


def test_a_video_that_ends_before_the_sound_holds_its_last_frame() -> None:
    for container in ("mp4", "matroska"):
        got = frames_at(media(container, frames=25, seconds=4.0), [0.5, 0.99, 3.5])
        assert got.valid.all()
        assert [read_index(image) for image in got.images] == [12, 24, 24]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied(rotation: int) -> None:
    """Stored turned, with metadata that says how to turn it back (counterclockwise)."""
    content = media("mp4", audio=None, frames=3, rotation=rotation)
    stored = frames_at(media("mp4", audio=None, frames=3), [0.0, 0.08]).images
    upright = frames_at(content, [0.0, 0.08]).images
    np.testing.assert_array_equal(upright, np.rot90(stored, rotation // 90, axes=(1, 2)))


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("size", SHAPES)
def test_any_shape_is_cropped_from_its_centre(size: tuple[int, int], rotation: int) -> None:
    content = media("mp4", audio=None, frames=2, size=size, rotation=rotation)
    got = frames_at(content, [0.0])
    assert got.images.shape == (1, 112, 112, 3)
    assert got.valid.all()
    if min(size) >= 100:
        expected = board(0, *size)
        assert abs(float(got.images[0, 8:-8, 8:-8].mean()) - float(expected.min())) < 12


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "yuv420p10le", "yuvj420p", "gray"])
def test_unusual_pixel_formats(pix_fmt: str) -> None:
    got = frames_at(media("matroska", audio=None, frames=10, pix_fmt=pix_fmt), [0.2])
    assert read_index(got.images[0]) == 5


def test_colours_come_out_as_rgb() -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]

    def flat(frame: int) -> NDArray[np.uint8]:
        return np.broadcast_to(np.array(colours[frame], np.uint8), (128, 128, 3)).copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(media.__module__ + ".board", lambda index, width, height: flat(index), raising=True)
        content = media("mp4", audio=None, frames=3)
    got = frames_at(content, [0.0, 0.04, 0.08]).images
    np.testing.assert_allclose(got.mean(axis=(1, 2)), colours, atol=6)


def test_resizing_does_not_alias() -> None:
    """Stripes one pixel wide are finer than the small picture can show; they must become grey."""
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(media.__module__ + ".board", lambda index, width, height: stripes)
        content = media("matroska", video="ffv1", pix_fmt="bgr0", audio=None, frames=1, size=(512, 512))
    image = frames_at(content, [0.0]).images[0].astype(int)
    assert abs(image - 128).max() <= 3


def test_resizing_is_the_usual_antialiased_one() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (36, 64, 3))
    picture = np.kron(noise, np.ones((10, 10, 1))).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(media.__module__ + ".board", lambda index, width, height: picture)
        content = media("matroska", video="ffv1", pix_fmt="bgr0", audio=None, frames=1, size=(640, 360))
    ours = frames_at(content, [0.0]).images[0].astype(float)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(
        tensor, (128, 228), mode="bilinear", antialias=True, align_corners=False
    )
    theirs = small[0, :, 8:120, 58:170].permute(1, 2, 0).numpy()
    assert abs(ours - theirs).mean() < 1.0
    assert abs(ours - theirs).max() < 20.0  # FFmpeg rounds the filter's position


def test_cover_art_is_no_video() -> None:
    from .makers import with_cover

    with open_media(with_cover()) as source:
        assert source.has_audio
        assert not source.has_video
        with pytest.raises(ValueError, match="no video"):
            source.frames(np.zeros(1), short_side=128, crop=112)


def test_no_moments_is_an_empty_answer() -> None:
    got = frames_at(media("mp4"), [])
    assert got.images.shape == (0, 112, 112, 3)
    assert got.frames_decoded == 0


@pytest.mark.parametrize("times", [[1.0, 0.5], [np.nan], [[0.0]]])
def test_moments_must_be_in_order(times: object) -> None:
    with pytest.raises(ValueError, match="moments"):
        frames_at(media("mp4"), times)


def test_decoder_threads_change_nothing() -> None:
    content = media("mp4", frames=150, video_options=LONG_GOP)
    times = np.arange(0, 6, 0.37)
    one, four = frames_at(content, times), frames_at(content, times, threads=4)
    np.testing.assert_array_equal(one.images, four.images)
    np.testing.assert_array_equal(one.shown_at, four.shown_at)


def test_frame_limits() -> None:
    content = media("mp4", audio=None, frames=100, size=(128, 128), video_options=LONG_GOP)
    with pytest.raises(LimitError, match=r"128x128.*16383 pixels"):
        frames_at(content, [0.0], limits=Limits(pixels=128 * 128 - 1))
    assert frames_at(content, [0.0], limits=Limits(pixels=128 * 128)).valid.all()
    with pytest.raises(LimitError, match="50 frames"):
        frames_at(content, [3.9], limits=Limits(frames=50))


def test_reference_reads_what_was_made() -> None:
    """The comparison itself: the plain decoder sees every frame, and its numbers."""
    content = media("mp4", frames=30)
    reference = decode_all(content)
    assert [read_index(image) for image in reference.images] == list(range(30))


@pytest.mark.timeout(60)
def test_a_group_that_gives_no_frame_is_given_up_once() -> None:
    """Its key frame is wanted, the next moment lies in another group, and the decoder gives nothing."""
    content = bytearray(media("mp4", audio=None, frames=75, video_options={"bf": "0"}))
    packet = content.index(b"mdat") + 4
    content[packet : packet + 700] = bytes(700)
    got = frames_at(bytes(content), [0.0, 1.0, 2.0])
    assert got.valid.tolist() == [False, True, True]
    assert [read_index(image) for image in got.images[1:]] == [25, 50]
