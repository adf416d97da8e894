from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import l2l_engine
from l2l_engine import Classifier, Limits, Prediction
from l2l_engine.run import cpu
from l2l_engine.run.watch import Stage
from tests.api.answers import HOP, same_answer
from tests.api.plans import random_skim
from tests.api.videos import write_video
from tests.kernels.skim_reference import skim as reference_skim


def test_a_prediction_is_complete(classifier: Classifier, video: Path) -> None:
    answer = classifier.predict(video)
    assert answer.label in classifier.class_names
    assert answer.label == answer.top_k[0][0]
    assert answer.confidence == answer.top_k[0][1] == pytest.approx(answer.probabilities.max())
    assert answer.probabilities.dtype == np.float32
    assert answer.probabilities.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(answer.timestamps, np.arange(12) * HOP)
    assert [moment.step for moment in answer.moments] == [1, 2, 3]
    for moment in answer.moments:
        for attention, chosen in (
            (moment.image_attention, moment.look_at),
            (moment.audio_attention, moment.listen_to),
        ):
            assert attention.shape == (12,)
            assert attention.sum() == pytest.approx(1, abs=1e-5)
            assert chosen == answer.timestamps[np.argmax(attention)]
        assert sum(moment.modality_scores) == pytest.approx(1, abs=1e-6)
    assert answer.media is not None
    assert answer.media.duration == pytest.approx(6, abs=0.1)
    assert (answer.media.video, answer.media.audio, answer.media.coverage) == ("present", "present", 1.0)
    assert (answer.media.image_knots, answer.media.audio_knots) == (3, 3)
    assert answer.media.frames_decoded > 0
    assert (answer.device, answer.decoder) == ("cpu", "pyav")
    assert answer.precision in ("fp32", "bf16")
    spent = answer.timings
    # The stages are summed over threads, which may work at once.
    work = spent.probe + spent.audio + spent.frames + spent.encode + spent.skim
    assert spent.total * len(os.sched_getaffinity(0)) >= work
    assert min(spent.probe, spent.audio, spent.frames, spent.encode, spent.skim) > 0


def test_round_trips(classifier: Classifier, video: Path) -> None:
    answer = classifier.predict(video)
    assert Prediction.from_json(answer.to_json()) == answer
    assert Prediction.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer
    assert pickle.loads(pickle.dumps(answer)) == answer
    with pytest.raises(AttributeError):
        answer.label = "other"  # type: ignore[misc]


def test_the_pipeline_computes_what_the_paper_says(classifier: Classifier, video: Path) -> None:
    """Decode, encode and skim by independent means: features by hand, Eq. 5-9 by the float64 reference."""
    at = np.arange(12)[::5] * HOP
    during = (at >= 2) & (at < 4)
    colour = np.where(during[:, None], np.array([230, 10, 10]) / 255, 128 / 255)
    tenth = at[:, None] + np.arange(10) * 0.1
    overlap = np.clip(np.minimum(tenth + 0.1, 4) - np.maximum(tenth, 2), 0, None) * 10
    image = colour @ np.random.default_rng(1).standard_normal((3, 12))
    audio = (0.32 * overlap) @ np.random.default_rng(2).standard_normal((10, 12))
    weights = {name: weight.astype(np.float64) for name, weight in random_skim().items()}
    expected = reference_skim(weights, (image, at), (audio, at), np.arange(12) * HOP, 4)
    answer = classifier.predict(video, sampling="exact")
    logits = expected.logits
    probabilities = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(answer.probabilities, probabilities, atol=0.02)


def test_path_bytes_and_file_object_are_the_same(classifier: Classifier, video: Path) -> None:
    by_path = classifier.predict(video)
    assert same_answer(by_path, classifier.predict(str(video)))
    assert same_answer(by_path, classifier.predict(video.read_bytes()))
    with video.open("rb") as file:
        file.seek(100)
        assert same_answer(by_path, classifier.predict(file))
        assert not file.closed


def test_options(classifier: Classifier, video: Path) -> None:
    assert len(classifier.predict(video, steps=1).moments) == 0
    assert len(classifier.predict(video, steps=10).moments) == 9
    assert len(classifier.predict(video, top_k=2).top_k) == 2
    assert len(classifier.predict(video, top_k=100).top_k) == 3
    dense = classifier.predict(video, max_image_gap_s=HOP, sampling="exact").media
    assert dense is not None
    assert (dense.image_knots, dense.audio_knots) == (12, 3)


@pytest.mark.parametrize("sampling", ["exact", "auto"])
def test_a_gap_below_the_hop_is_one_hop(classifier: Classifier, video: Path, sampling: str) -> None:
    options = {"sampling": sampling, "timeout_s": 60}
    finest = classifier.predict(video, max_image_gap_s=1e-300, **options)  # type: ignore[arg-type]
    assert same_answer(finest, classifier.predict(video, max_image_gap_s=HOP, **options))  # type: ignore[arg-type]


def test_batches_change_nothing(classifier: Classifier, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = classifier.predict(video, max_image_gap_s=HOP, sampling="exact")
    monkeypatch.setattr(cpu, "SAMPLES_A_CALL", {Stage.FRAMES: 2, Stage.AUDIO: 3})
    parts = classifier.predict(video, max_image_gap_s=HOP, sampling="exact")
    assert parts.moments == whole.moments
    np.testing.assert_array_equal(parts.probabilities, whole.probabilities)


def test_key_frames_cost_one_decode_each(classifier: Classifier, tmp_path: Path) -> None:
    video = tmp_path / "keys.mp4"
    write_video(video, seconds=12, gop=25)
    read = {name: classifier.predict(video, sampling=name).media for name in ("exact", "auto", "keyframes")}  # type: ignore[arg-type]
    exact, auto, keys = (read[name] for name in ("exact", "auto", "keyframes"))
    assert exact is not None
    assert auto is not None
    assert keys is not None
    assert (exact.image_knots, auto.image_knots, keys.image_knots) == (5, 5, 5)
    assert auto.frames_decoded == keys.frames_decoded == 5
    assert exact.frames_decoded > 3 * auto.frames_decoded


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"steps": 0}, ValueError, "steps"),
        ({"steps": 1.5}, TypeError, "steps"),
        ({"top_k": 0}, ValueError, "top_k"),
        ({"sampling": "psychic"}, ValueError, "sampling"),
        ({"max_image_gap_s": 0}, ValueError, "max_image_gap_s"),
        ({"max_image_gap_s": float("nan")}, ValueError, "max_image_gap_s"),
        ({"timeout_s": -1}, ValueError, "timeout_s"),
        ({"timeout_s": "3"}, TypeError, "timeout_s"),
        ({"timeout_s": True}, TypeError, "timeout_s"),
        ({"steps": 1001}, ValueError, "steps"),
        ({"steps": True}, TypeError, "steps"),
    ],
)
def test_bad_options_are_named(
    classifier: Classifier, video: Path, options: dict[str, object], error: type[Exception], name: str
) -> None:
    with pytest.raises(error, match=name):
        classifier.predict(video, **options)  # type: ignore[arg-type]


def test_a_call_cannot_raise_the_services_limit(plan_file: Path, video: Path) -> None:
    with (
        Classifier(plan_file, limits=Limits(wall_clock_s=1e-6)) as hasty,
        pytest.raises(l2l_engine.PredictionTimeoutError),
    ):
        hasty.predict(video, timeout_s=60)


def test_without_sound_it_looks_and_without_pictures_it_listens(
    classifier: Classifier, silent_video: bytes, sound_file: bytes
) -> None:
    looked = classifier.predict(silent_video)
    assert looked.media is not None
    assert (looked.media.video, looked.media.audio) == ("present", "absent")
    assert all(m.listen_to is None and m.look_at is not None for m in looked.moments)
    assert all(m.modality_scores == (1.0, 0.0) for m in looked.moments)
    assert all(m.peaks[0] >= 1 and m.peaks[1] == 0 for m in looked.moments)
    heard = classifier.predict(sound_file)
    assert heard.media is not None
    assert (heard.media.video, heard.media.audio) == ("absent", "present")
    assert all(m.look_at is None and m.listen_to is not None for m in heard.moments)
    assert all(m.modality_scores == (0.0, 1.0) for m in heard.moments)
    assert all(m.peaks[0] == 0 and m.peaks[1] >= 1 for m in heard.moments)


def test_files_that_cannot_be_used(classifier: Classifier, video: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    cases: dict[Path, type[Exception]] = {
        tmp_path / "gone.mp4": FileNotFoundError,
        tmp_path: PermissionError,
        tmp_path / "empty.mp4": ValueError,
        text: ValueError,
    }
    for path, builtin in cases.items():
        with pytest.raises(l2l_engine.MediaError) as caught:
            classifier.predict(path)
        assert isinstance(caught.value, builtin)
        assert str(path) in str(caught.value)
    with pytest.raises(TypeError):
        classifier.predict(42)  # type: ignore[arg-type]
    classifier.predict(video)


def test_timeout_and_progress(classifier: Classifier, video: Path) -> None:
    with pytest.raises(l2l_engine.PredictionTimeoutError, match=r"event\.mp4") as caught:
        classifier.predict(video, timeout_s=1e-6)
    assert isinstance(caught.value, TimeoutError)
    seen: list[tuple[str, float]] = []
    classifier.predict(video, progress=lambda stage, done: seen.append((stage, done)))
    assert {stage for stage, _ in seen} == {"probe", "audio", "frames", "encode", "skim"}
    assert seen[-1] == ("skim", 1.0)

    def stop(stage: str, done: float) -> None:
        if stage == "frames":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classifier.predict(video, progress=stop)
    classifier.predict(video)


def test_wide_input_is_fine(classifier: Classifier) -> None:
    data = io.BytesIO()
    write_video(data, seconds=1, size=(640, 32))
    assert classifier.predict(data).media is not None


def test_a_short_video_has_one_timestamp(classifier: Classifier) -> None:
    data = io.BytesIO()
    write_video(data, seconds=0.1, audio=False)
    answer = classifier.predict(data)
    assert len(answer.timestamps) == 1
    assert answer.moments[0].look_at == 0.0
