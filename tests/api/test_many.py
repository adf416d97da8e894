"""Many at once: threads, many files, features."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier, MediaError, Prediction, UnexpectedError
from l2l_engine.media import ffmpeg
from tests.api.answers import HOP, same_answer
from tests.api.plans import random_skim
from tests.api.videos import write_video
from tests.kernels.skim_reference import skim as reference_skim


def test_eight_threads_give_the_bits_of_one(classifier: Classifier, video: Path, silent_video: bytes) -> None:
    inputs = [video, silent_video] * 12
    alone = [classifier.predict(item) for item in inputs[:2]]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(classifier.predict, inputs))
    for index, answer in enumerate(together):
        assert same_answer(answer, alone[index % 2])


def test_predict_many_keeps_order_and_hands_errors_on(classifier: Classifier, tmp_path: Path) -> None:
    videos = []
    for index in range(4):
        videos.append(tmp_path / f"{index}.mp4")
        write_video(videos[-1], seconds=2 + index)
    paths = [videos[0], tmp_path / "gone.mp4", *videos[1:]]
    results = list(classifier.predict_many(paths, workers=3, on_error="yield", steps=2))
    assert isinstance(results[1], FileNotFoundError)
    good = [r for r in results if isinstance(r, Prediction)]
    assert [r.path for r in good] == [str(v) for v in videos]
    assert all(len(r.moments) == 1 for r in good)
    iterator = classifier.predict_many(paths, workers=2)
    assert isinstance(next(iterator), Prediction)
    with pytest.raises(FileNotFoundError, match="gone"):
        next(iterator)
    with pytest.raises(ValueError, match="on_error"):
        classifier.predict_many(paths, on_error="ignore")  # type: ignore[arg-type]
    assert list(classifier.predict_many([])) == []
    with pytest.raises(TypeError, match="paths"):
        classifier.predict_many("a.mp4")


def test_predict_many_reads_its_input_lazily(classifier: Classifier, video: Path) -> None:
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield video

    iterator = classifier.predict_many(endless(), workers=2)  # type: ignore[arg-type]
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert taken <= 6


def test_predict_features(classifier: Classifier, plan_file: Path) -> None:
    rng = np.random.default_rng(3)
    image, audio = rng.standard_normal((4, 12)), rng.standard_normal((7, 12)).astype(np.float32)
    answer = classifier.predict_features(image, audio)
    assert answer.media is None
    assert (answer.decoder, answer.precision) == (None, None)
    np.testing.assert_allclose(answer.timestamps, np.arange(7) * HOP)
    times = np.array([0.0, 1.0, 4.0, 9.0])
    weights = {name: weight.astype(np.float64) for name, weight in random_skim().items()}
    axis = np.linspace(0, 10, 15)
    expected = reference_skim(weights, (image, times), (audio, np.arange(7) * HOP), axis, 4).logits
    expected = np.exp(expected) / np.exp(expected).sum()
    with Classifier(plan_file, precision="fp32") as exact:
        for skimmer, within in ((exact, 1e-5), (classifier, 2e-3)):  # that may keep its weights as bf16
            answer = skimmer.predict_features(image, audio, image_times=times, timestamps=axis, steps=4)
            np.testing.assert_allclose(answer.probabilities, expected, atol=within)
    assert all(m.listen_to is None for m in classifier.predict_features(image, None).moments)
    assert Prediction.from_json(answer.to_json()) == answer


@pytest.mark.parametrize(
    ("image", "options", "name"),
    [
        (np.zeros((4, 11)), {}, "image_bank"),
        (np.zeros((0, 12)), {}, "image_bank"),
        (np.zeros(12), {}, "image_bank"),
        (np.zeros((4, 12)), {"image_times": [0, 1, 2]}, "image_times"),
        (np.zeros((4, 12)), {"image_times": [0, 1, 2, 2]}, "image_times"),
        (np.zeros((4, 12)), {"timestamps": []}, "timestamps"),
        (np.zeros((4, 12)), {"timestamps": [[0.0]]}, "timestamps"),
        (np.full((4, 12), np.nan), {}, "image_bank"),
        (None, {}, "both None"),
        (np.zeros((4, 12)), {"audio_times": [0, 1]}, "audio_times"),
    ],
)
def test_bad_features_are_named(
    classifier: Classifier, image: np.ndarray | None, options: dict[str, object], name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        classifier.predict_features(image, None, **options)  # type: ignore[arg-type]


class OddError(Exception):
    """What a bug raises, or a caller's own code."""


def _faulty(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Have the opening of b"bad" fail in a way nobody foresaw."""
    opened = ffmpeg.open_media

    def fail(file: object, **options: object) -> object:
        if file == b"bad":
            raise error
        return opened(file, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ffmpeg, "open_media", fail)


def test_a_fault_is_that_files_error(
    classifier: Classifier, video: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fault = ZeroDivisionError("division by zero")
    _faulty(monkeypatch, fault)
    first, second, third = classifier.predict_many([video, b"bad", video], workers=2, on_error="yield")
    assert isinstance(first, Prediction)
    assert isinstance(third, Prediction)
    assert isinstance(second, UnexpectedError)
    assert str(second) == "<3 bytes>: unexpected ZeroDivisionError: division by zero"
    assert second.__cause__ is fault
    assert "Traceback" in caplog.text
    assert "open_media" in caplog.text
    results = classifier.predict_many([video, b"bad", video], workers=1)
    assert isinstance(next(results), Prediction)
    with pytest.raises(UnexpectedError, match="ZeroDivisionError") as caught:
        next(results)
    assert caught.value.__cause__ is fault


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_a_program_ends_it(
    classifier: Classifier, video: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    _faulty(monkeypatch, error)
    with pytest.raises(type(error)):
        list(classifier.predict_many([video, b"bad", video], workers=2, on_error="yield"))


@pytest.mark.parametrize("error", [OddError("mine"), MediaError("mine"), KeyboardInterrupt()])
def test_what_progress_raises_is_the_callers(
    classifier: Classifier, video: Path, error: BaseException
) -> None:
    def progress(stage: str, done: float) -> None:
        if stage == "skim":
            raise error

    with pytest.raises(type(error)) as caught:
        list(classifier.predict_many([video] * 3, on_error="yield", progress=progress))
    assert caught.value is error


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"top_k": "x"}, {"nonsense": 1}, {"progress": 3}, {"timeout_s": -1}]
)
def test_wrong_options_are_no_files_fault(
    classifier: Classifier, video: Path, options: dict[str, object]
) -> None:
    with pytest.raises((ValueError, TypeError)):
        classifier.predict_many([video], on_error="yield", **options)
