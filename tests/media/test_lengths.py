"""How long a file is where FFmpeg only estimates it by a bit rate, and what is said of one cut short."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2l_engine import Classifier
from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from tests.robustness.plans import tiny_plan

from .makers import bursts, media, tone

RATE = 16000
RATE_OF_FRAMES = 25
ESTIMATED: dict[str, dict[str, object]] = {
    "adts": {"audio": "aac"},
    "mp3": {"audio": "libmp3lame", "container_options": {"write_xing": "0"}},
    "ac3": {"audio": "ac3"},
    "eac3": {"audio": "eac3"},
    "amr": {"audio": "libopencore_amrnb", "sample_rate": 8000, "layout": "mono"},
    "wav": {"audio": "adpcm_ima_wav"},
}
MODES = ("auto", "exact", "keyframes", "listen")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier(tiny_plan(tmp_path_factory.mktemp("plan")), threads=1)


def quiet_then_loud(times: np.ndarray) -> np.ndarray:
    """Almost nothing, and then noise: a coder that adapts spends its bits at the end."""
    noise = np.random.default_rng(0).uniform(-0.7, 0.7, len(times))
    return np.where(times < 16.0, 0.0, noise)


@pytest.mark.parametrize("container", ESTIMATED)
@pytest.mark.parametrize("loud_first", [False, True])
def test_an_estimated_length_is_not_believed(
    container: str, loud_first: bool, classifier: Classifier
) -> None:
    sound = (lambda t: quiet_then_loud(20.0 - t)) if loud_first else quiet_then_loud
    content = media(container, video=None, seconds=20.0, sound=sound, **ESTIMATED[container])  # type: ignore[arg-type]
    with open_media(content) as source:
        assert source.duration == pytest.approx(20.0, abs=0.15)
        heard = source.audio_windows(np.arange(0.0, 19.5, 1.5), window=RATE, sample_rate=RATE)
    assert heard.valid.all()
    loud = np.abs(heard.samples).mean(axis=1) > 0.1
    assert loud[:2].all() == loud_first
    assert loud[-2:].all() != loud_first
    for mode in MODES:
        found = classifier.predict(content, sampling=mode).media
        assert found is not None
        assert found.coverage == 1.0


TAGS = b"TAG" + b"artist".ljust(125, b"\0")


@settings(max_examples=25, deadline=None)
@given(
    container=st.sampled_from(["adts", "mp3", "mpegts", "mpeg", "ac3", "flv"]),
    garbage=st.sampled_from([b"\0", b"\xaa", TAGS, b"the end of it\n"]),
    count=st.integers(1, 400_000),
)
def test_what_hangs_on_behind_makes_nothing_longer(container: str, garbage: bytes, count: int) -> None:
    options: dict[str, object] = ESTIMATED.get(
        container, {"audio": "aac"} if container != "mpeg" else {"audio": "mp2"}
    )
    content = media(container, video=None, seconds=5.0, **options)  # type: ignore[arg-type]
    with open_media(content) as source:
        expected = source.duration
    assert expected == pytest.approx(5.0, abs=0.15)
    with open_media(content + (garbage * (count // len(garbage) + 1))[:count]) as source:
        assert source.duration == pytest.approx(expected, abs=0.1)


def test_an_mp3_that_counts_its_frames_says_when_it_was_cut() -> None:
    content = media("mp3", video=None, audio="libmp3lame", seconds=20.0)
    assert b"Info" in content[:1000]
    tagged = b"ID3\x04\0\0\0\0\x0f\x76" + bytes(15 * 128 + 0x76) + content
    for whole in (content, tagged):
        with open_media(whole[: len(whole) * 6 // 10]) as source:
            assert source.duration == pytest.approx(20.0, abs=0.1)
            assert source.readable == pytest.approx(12.0, abs=0.5)


@pytest.mark.parametrize("counts", ["0", "1"])
@pytest.mark.parametrize("lengths", [(4.0, 9.0), (9.0, 4.0), (3.0, 3.0, 3.0)])
def test_mp3_files_one_behind_the_other(
    counts: str, lengths: tuple[float, ...], classifier: Classifier
) -> None:
    """The first one's count of frames is not that of all."""
    options = {"write_xing": counts}
    parts = [
        media("mp3", video=None, audio="libmp3lame", seconds=length, container_options=options)
        for length in lengths
    ]
    with open_media(b"".join(parts)) as source:
        assert source.duration == pytest.approx(sum(lengths), abs=0.1 * len(lengths))
    for mode in MODES:
        assert classifier.predict(b"".join(parts), sampling=mode).media.coverage == 1.0


@pytest.mark.parametrize("start", [0.0, 0.7, 4.0])
@pytest.mark.parametrize("seconds", [3.0, 8.0])
@pytest.mark.parametrize("codec", ["libopus", "flac"])
def test_late_sound_in_ogg_ends_where_its_packets_do(
    codec: str, seconds: float, start: float, classifier: Classifier
) -> None:
    content = media(
        "ogg", video="libvpx", audio=codec, frames=12 * RATE_OF_FRAMES, seconds=seconds, audio_start=start
    )
    with open_media(content) as source:
        assert source.duration == pytest.approx(12.0, abs=0.1)
        heard = source.audio_windows(np.arange(0.0, 11.5, 0.5), window=RATE // 2, sample_rate=RATE)
    assert heard.valid.all()
    for mode in MODES:
        assert classifier.predict(content, sampling=mode).media.coverage == 1.0


def test_noise_behind_raw_aac_makes_it_hardly_longer() -> None:
    """Here and there noise looks like a header."""
    content = media("adts", video=None, audio="aac", seconds=10.0)
    noise = np.random.default_rng(0).bytes(300_000)
    with open_media(content + noise) as source:
        assert source.duration == pytest.approx(10.0, abs=1.5)


@pytest.mark.parametrize("rates", [(44100, 22050), (16000, 48000), (48000, 44100), (48000, 8000, 96000)])
def test_the_rate_of_a_raw_stream_changes(rates: tuple[int, ...]) -> None:
    """FFmpeg stamps AAC by the rate that it begins with."""
    beeps = [0.5, 2.1, 3.4]
    parts = [
        media("adts", video=None, audio="aac", seconds=4.0, sample_rate=rate, sound=bursts(beeps))
        for rate in rates
    ]
    with open_media(b"".join(parts)) as source:
        length = 4.0 * len(rates)
        assert source.duration == pytest.approx(length, abs=0.3 * len(rates))
        starts = np.arange(0.0, length - 0.05, 0.05)
        heard = source.audio_windows(starts, window=RATE // 20, sample_rate=RATE)
    assert heard.valid.all()
    loud = starts[np.abs(heard.samples).mean(axis=1) > 0.05]
    begins = loud[np.diff(loud, prepend=-1.0) > 0.3]
    expected = [4.0 * part + beep for part in range(len(rates)) for beep in beeps]
    assert begins == pytest.approx(expected, abs=0.3 * len(rates))


CUT: dict[str, dict[str, object]] = {
    "mp4": {"container_options": {"movflags": "faststart"}},
    "matroska": {},
    "webm": {"video": "libvpx-vp9", "audio": "libopus"},
    "flv": {},
    "mp3": {"video": None, "audio": "libmp3lame"},
    "flac": {"video": None, "audio": "flac"},
    "aiff": {"video": None, "audio": "pcm_s16be"},
    "mxf": {"video": "mpeg2video", "audio": "pcm_s16le"},
}


@pytest.mark.parametrize("share", [0.3, 0.75])
@pytest.mark.parametrize("container", CUT)
def test_a_partial_download_is_treated_alike_in_all_modes(
    container: str, share: float, classifier: Classifier
) -> None:
    content = media(container, **{"frames": 500, "size": (64, 64), "seconds": 20.0} | CUT[container])  # type: ignore[arg-type]
    part = content[: int(len(content) * share)]
    with open_media(part) as source:
        there, duration = source.readable, source.duration
    assert duration == pytest.approx(20.0, abs=0.2)
    assert there < 0.9 * duration
    coverages = []
    for mode in MODES:
        if there < 0.5 * duration:
            with pytest.raises(MediaError, match=rf"cut short, {there:.1f} of {duration:.1f} s are there"):
                classifier.predict(part, sampling=mode)
        else:
            found = classifier.predict(part, sampling=mode).media
            assert found is not None
            coverages.append(found.coverage)
    np.testing.assert_allclose(coverages, there / duration, atol=0.05)


def test_flash_video_counts_its_length_from_the_clocks_zero() -> None:
    # The encoder waits for three frames, one of which stays for long, so that the first is shown late.
    times = [0.0, 0.02, *(0.92 + 0.04 * n for n in range(40))]
    content = media("flv", audio=None, times=times, video_options={"bf": "3"})
    with open_media(content) as source:
        assert source.duration == pytest.approx(times[-1] + 0.04, abs=0.05)
        assert source.frames(np.array([0.5, times[-1]]), short_side=64, crop=64).valid.all()


@pytest.mark.parametrize(("first", "second"), [("stereo", "mono"), ("mono", "stereo"), ("5.1", "stereo")])
def test_a_chain_of_ogg_that_goes_on_in_another_format_is_not_taken_for_whole(
    first: str, second: str, classifier: Classifier
) -> None:
    # FFmpeg cannot go on to such a part; what it can read is read, and the rest counts as lost.
    content = b"".join(
        media("ogg", video=None, audio="libopus", layout=layout, seconds=seconds, sound=tone)
        for layout, seconds in ((first, 6.0), (second, 3.0))
    )
    with open_media(content) as source:
        assert source.duration > 7.0
        assert source.readable == pytest.approx(6.0, abs=0.1)
    for mode in MODES:
        found = classifier.predict(content, sampling=mode).media
        assert found is not None
        assert 0.5 < found.coverage < 0.9
