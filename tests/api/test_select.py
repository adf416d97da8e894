"""The frames and sounds that matter most: what is handed over, and how it is chosen."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2l_engine import Classifier, ClosedError, MediaError, Selection
from l2l_engine.call import selecting
from l2l_engine.call.choosing import ALIKE, LATER, SAME, at, choose, shares
from l2l_engine.call.selecting import Wanted
from l2l_engine.media import open_media
from l2l_engine.run import kept
from l2l_engine.skim import SkimResult
from tests.api.plans import DOCUMENT
from tests.api.videos import write_video
from tests.media.makers import media

HOP = DOCUMENT.media.hop


def made(**options: object) -> bytes:
    content = io.BytesIO()
    write_video(content, **options)  # type: ignore[arg-type]
    return content.getvalue()


@pytest.fixture(scope="module")
def content() -> bytes:
    """12 s in which every frame shows its number, and the sound grows; a key frame every 2.4 s."""
    return media(
        frames=300,
        rate=25,
        video_options={"g": "60"},
        sound=lambda times: 0.05 * times * np.sin(2 * np.pi * 440 * times),
    )


@pytest.fixture(scope="module")
def selection(classifier: Classifier, content: bytes) -> Selection:
    return classifier.select(content, frames=4)


def shown(content: bytes, second: float) -> np.ndarray:
    """The frame shown at a moment, by PyAV alone, as it is stored."""
    with av.open(io.BytesIO(content)) as container:
        frames = [frame for frame in container.decode(video=0) if frame.time <= second + 1e-6]
        return frames[-1].to_ndarray(format="rgb24")


def test_frames_are_those_shown_then_at_their_own_size(selection: Selection, content: bytes) -> None:
    assert len(selection.frames) == 4
    for frame in selection.frames:
        assert (frame.image.dtype, frame.image.shape) == (np.uint8, (128, 128, 3))
        off = np.abs(frame.image.astype(int) - shown(content, frame.seconds))
        assert off.mean() < 3
    seconds = [frame.seconds for frame in selection.frames]
    assert min(np.diff(seconds)) >= HOP * (1 - 1e-9)
    assert all(0 <= second < 12 for second in seconds)


def test_sounds_are_the_plans_windows_and_none_overlaps_another(selection: Selection, content: bytes) -> None:
    assert (len(selection.sounds), selection.sample_rate) == (4, 16000)
    starts = np.array([sound.seconds for sound in selection.sounds])
    assert np.diff(starts).min() >= 1.0 - 1e-9
    with open_media(content) as source:
        expected = source.audio_windows(starts, window=16000, sample_rate=16000)
    np.testing.assert_array_equal([sound.samples for sound in selection.sounds], expected.samples)


def test_what_it_rests_on_is_told(selection: Selection) -> None:
    assert (selection.stopped_by, selection.decoder, selection.media.coverage) == ("done", "pyav", 1.0)
    assert selection.media.image_knots >= 4
    assert selection.timings.total > 0
    weights = [part.weight for part in (*selection.frames, *selection.sounds)]
    assert all(0 <= weight <= 1 for weight in weights)


def test_nothing_is_decoded_twice(
    classifier: Classifier, content: bytes, selection: Selection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room for what was decoded it has to be, and is the same."""
    monkeypatch.setattr(kept, "MAX_BYTES", 0)
    again = classifier.select(content, frames=4)
    assert again.media.frames_decoded > selection.media.frames_decoded
    for one, other in zip(selection.frames, again.frames, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    for here, there in zip(selection.sounds, again.sounds, strict=True):
        np.testing.assert_array_equal(here.samples, there.samples)


def test_a_turned_video_is_upright(classifier: Classifier) -> None:
    turned = classifier.select(media(rotation=90, size=(160, 96)), frames=2)
    assert {frame.image.shape for frame in turned.frames} == {(160, 96, 3)}


def test_one_modality(classifier: Classifier, sound_file: bytes, silent_video: bytes) -> None:
    heard, seen = classifier.select(sound_file, frames=2), classifier.select(silent_video, frames=2)
    assert (len(heard.frames), len(heard.sounds)) == (0, 2)
    assert (len(seen.frames), len(seen.sounds)) == (2, 0)
    assert len(classifier.select(silent_video, frames=0, seconds=1.0).frames) == 0


def test_short_files_give_what_there_is(classifier: Classifier) -> None:
    """0.8 s have two timestamps, and room for one window."""
    short = classifier.select(made(seconds=0.8, event=(0.0, 0.4)), frames=8)
    assert 1 <= len(short.frames) <= 2
    assert len(short.sounds) == 1


def test_a_picture_that_stands_still_is_chosen_once(classifier: Classifier) -> None:
    """Two pictures in five seconds, seen at every moment of them."""
    shown = classifier.select(media(times=[0.0, 5.0], indices=[0, 255], audio=None), frames=6)
    assert shown.media.image_knots > 2
    assert [frame.seconds >= 5.0 for frame in shown.frames] in ([False], [False, True])


@pytest.mark.parametrize(
    ("frames", "seconds", "expected"), [(3, None, (3, 3)), (0, 2.5, (0, 2)), (5, 0, (5, 0))]
)
def test_how_much_is_wanted(frames: int, seconds: float | None, expected: tuple[int, int]) -> None:
    wanted = Wanted.of(DOCUMENT, frames, seconds)
    assert (wanted.frames, wanted.sounds) == expected


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"frames": -1}, ValueError, "frames"),
        ({"frames": 2.5}, TypeError, "frames"),
        ({"frames": True}, TypeError, "frames"),
        ({"seconds": 0.5}, ValueError, "at least 1"),
        ({"seconds": float("nan")}, ValueError, "seconds"),
        ({"seconds": False}, TypeError, "seconds"),
        ({"frames": 0, "seconds": 0}, ValueError, "nothing is left"),
        ({"frames": 0}, ValueError, "nothing is left"),
        ({"budget_ms": 0}, ValueError, "budget_ms"),
        ({"max_knots": 0}, ValueError, "max_knots"),
    ],
)
def test_arguments_out_of_range(
    classifier: Classifier, content: bytes, options: dict[str, float], error: type[Exception], word: str
) -> None:
    with pytest.raises(error, match=word):
        classifier.select(content, **options)  # type: ignore[arg-type]


def test_files_that_are_none(classifier: Classifier, plan_file: Path) -> None:
    with pytest.raises(MediaError):
        classifier.select(b"no video at all" * 100)
    with pytest.raises(FileNotFoundError):
        classifier.select("gone.mp4")
    closed = Classifier(plan_file)
    closed.close()
    with pytest.raises(ClosedError):
        closed.select(b"")


def test_a_budget_too_small_still_gives_something(classifier: Classifier, content: bytes) -> None:
    hurried = classifier.select(content, frames=4, budget_ms=0.001)
    assert hurried.stopped_by == "budget"
    assert len(hurried.frames) == len(hurried.sounds) == 1


def test_max_knots_bounds_what_is_seen(classifier: Classifier, content: bytes) -> None:
    few = classifier.select(content, frames=4, max_knots=6)
    assert few.media.image_knots <= 6
    assert few.media.audio_knots <= 6
    assert 1 <= len(few.frames) <= 4


def test_the_attention_leads_to_what_nothing_else_shows(
    classifier: Classifier, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were all sound heard at one moment, the frames are those around it."""
    loud = 7 * HOP

    def heard(result: SkimResult) -> tuple[np.ndarray, np.ndarray]:
        near = np.exp(-np.abs(np.arange(result.image_attention.shape[2]) * HOP - loud))
        return np.zeros_like(near), near / near.sum()

    monkeypatch.setattr(selecting, "shares", heard)
    monkeypatch.setattr(selecting, "WAY", 10.0)
    found = classifier.select(content, frames=3)
    assert max(abs(frame.seconds - loud) for frame in found.frames) <= 2 * HOP


def test_shares_are_those_of_the_mixture() -> None:
    image, audio = (np.random.default_rng(n).dirichlet(np.ones(5), (1, 3)).astype(np.float32) for n in (1, 2))
    scores = np.array([[[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]]], np.float32)
    nothing = np.zeros((1, 3, 1), np.float32)
    looked, listened = shares(SkimResult(nothing[:, 0], image, audio, scores, nothing, nothing))
    np.testing.assert_allclose(looked, (0.25 * image[0, 0] + 0.5 * image[0, 1]) / 2, rtol=1e-6)
    np.testing.assert_allclose(looked.sum() + listened.sum(), 1.0, rtol=1e-6)


def test_a_moments_weight_is_that_of_the_timestamp_next_to_it() -> None:
    weight = at(np.array([0.0, 0.4, 0.6, 5.0]), np.array([0.0, 1.0, 2.0]), np.array([3.0, 2.0, 1.0]))
    assert weight.tolist() == [3.0, 3.0, 2.0, 1.0]
    assert at(np.zeros(0), np.array([0.0]), np.array([1.0])).tolist() == []


def plainly(
    weight: list[float], moments: list[float], features: np.ndarray, count: int, apart: float
) -> list[int]:
    """The same choice, moment by moment."""
    middle = features.mean(axis=0)
    reach = max(apart, (moments[-1] - moments[0]) / max(count, 1))

    def likeness(i: int, j: int) -> float:
        a, b = features[i] - middle, features[j] - middle
        return max(0.0, float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))))

    def worth(i: int) -> float:
        alike = max((likeness(i, j) for j in chosen), default=0.0)
        near = max((np.exp(-abs(moments[i] - moments[j]) / reach) for j in chosen), default=0.0)
        return weight[i] / max(weight) * (1 - ALIKE * alike) - LATER * near

    def is_free(i: int, j: int) -> bool:
        differ = np.abs(features[i] - features[j]).max() > SAME * np.abs(features[j]).max()
        return bool(differ) and abs(moments[i] - moments[j]) >= apart

    chosen: list[int] = []
    while len(chosen) < count:
        free = [i for i in range(len(moments)) if all(is_free(i, j) for j in chosen)]
        if not free:
            break
        chosen.append(max(free, key=worth))
    return chosen


@given(
    st.integers(0, 10_000),
    st.lists(st.integers(0, 8), min_size=2, max_size=12),
    st.integers(0, 8),
    st.floats(0.1, 3.0),
)
def test_choosing_is_greedy(seed: int, shown_at: list[int], count: int, apart: float) -> None:
    """Moments that show the same picture have the same features."""
    rng = np.random.default_rng(seed)
    moments = np.cumsum(rng.uniform(0.1, 1.0, len(shown_at)))
    weight = rng.uniform(0.0, 1.0, len(shown_at))
    features = rng.standard_normal((9, 4))[shown_at] + rng.standard_normal(4)
    chosen = choose(weight, moments, features.astype(np.float32), count=count, apart=apart)
    wanted = plainly(
        weight.tolist(), moments.tolist(), features.astype(np.float32).astype(float), count, apart
    )
    if len(set(shown_at)) > 1:  # else none differs from the mean of all
        assert chosen.tolist() == wanted


def test_where_all_matters_alike_it_spreads() -> None:
    moments = np.arange(20.0)
    chosen = choose(np.ones(20), moments, None, count=3, apart=1.0)
    assert min(np.diff(np.sort(moments[chosen]))) >= 5
    assert choose(np.zeros(0), np.zeros(0), None, count=3, apart=1.0).tolist() == []
