"""Bounds on the work of a prediction, on real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2l_engine import Classifier, MediaError, Prediction
from l2l_engine.result import MediaInfo
from tests.api.commands import inside
from tests.api.deadlines import timed
from tests.api.videos import write_video


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 s at 10 frames a second, a key frame every 8 s; red and loud from 21 s to 25 s."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    write_video(path, seconds=40, gop=80, event=(21.0, 25.0), size=(64, 48))
    return path


def read(answer: Prediction) -> MediaInfo:
    assert answer.media is not None
    return answer.media


def test_the_result_says_how_much_was_used(classifier: Classifier, long_video: Path) -> None:
    answer = classifier.predict(long_video)
    media = read(answer)
    assert (answer.steps, answer.stopped_by, media.sampling, media.rounds) == (4, "done", "auto", 1)
    assert (media.image_planned, media.audio_planned) == (media.image_knots, media.audio_knots)
    bounded = classifier.predict(long_video, max_knots=3, steps=2)
    assert (bounded.steps, read(bounded).image_knots, read(bounded).audio_knots) == (2, 3, 3)
    assert Prediction.from_json(bounded.to_json()) == bounded
    assert json.loads(bounded.to_json())["media"]["sampling"] == "auto"


def test_a_generous_budget_sees_everything(classifier: Classifier, long_video: Path) -> None:
    answer = classifier.predict(long_video, budget_ms=600_000)
    media = read(answer)
    assert answer.stopped_by == "done"
    assert media.rounds > 1
    assert media.image_knots == media.image_planned == read(classifier.predict(long_video)).image_planned
    assert media.audio_knots == media.audio_planned


def test_no_budget_is_too_small(classifier: Classifier, long_video: Path) -> None:
    for options in ({}, {"sampling": "listen"}, {"sampling": "exact", "stop_when": 1.0}):
        answer = classifier.predict(long_video, budget_ms=1e-3, **options)  # type: ignore[arg-type]
        media = read(answer)
        assert answer.stopped_by == "budget"
        assert (media.image_knots, media.audio_knots, media.rounds) == (1, 1, 1)
        assert media.image_planned > 1


def test_a_round_is_broken_off_when_its_time_is_up(classifier: Classifier, long_video: Path) -> None:
    """Whatever the machine is at: between the least and the whole, and the answer stands."""
    whole = read(classifier.predict(long_video, sampling="exact"))
    for result in timed(classifier, [long_video] * 6, [5, 10, 20, 40, 80, 160], sampling="exact"):
        media = read(result.prediction)
        assert 1 <= media.image_knots <= whole.image_knots
        assert media.coverage == 1.0
        assert result.prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_sure_enough_is_enough(classifier: Classifier, long_video: Path) -> None:
    """Any confidence is above a third of three classes: the first round and the first step will do."""
    answer = classifier.predict(long_video, stop_when=0.3)
    assert (answer.stopped_by, answer.steps, answer.moments) == ("confidence", 1, ())
    assert answer.confidence >= 0.3
    assert read(answer).rounds == 1
    unsure = classifier.predict(long_video, stop_when=1.0)
    assert unsure.stopped_by == "done"
    assert unsure.steps == 4


def test_fewer_steps_say_what_as_many_steps_say(classifier: Classifier, video: Path) -> None:
    """The beginning of a run is the run of fewer steps, calibrated as such."""
    whole = [classifier.predict(video, steps=steps, sampling="exact") for steps in (1, 2, 3, 4)]
    best = max(answer.confidence for answer in whole)
    first = next(answer for answer in whole if answer.confidence >= best - 1e-4)
    stopped = classifier.predict(video, stop_when=best - 1e-4, sampling="exact")
    assert (stopped.stopped_by, stopped.steps) == ("confidence", first.steps)
    np.testing.assert_allclose(stopped.probabilities, first.probabilities, atol=1e-6)
    for mine, other in zip(stopped.moments, first.moments, strict=True):
        np.testing.assert_allclose(mine.image_attention, other.image_attention, atol=1e-6)


def test_listening_looks_at_a_few_moments(classifier: Classifier, long_video: Path) -> None:
    answer = classifier.predict(long_video, sampling="listen")
    media = read(answer)
    assert media.sampling == "listen"
    assert media.image_knots > 5  # the key frames, and then some
    assert media.rounds > 1
    for moment in answer.moments:
        assert moment.image_attention.sum() == pytest.approx(1, abs=1e-5)
        assert (moment.image_attention == 0).any()  # where nobody looked


def test_listening_falls_back(classifier: Classifier, silent_video: bytes, sound_file: bytes) -> None:
    assert read(classifier.predict(silent_video, sampling="listen")).sampling == "auto"
    heard = read(classifier.predict(sound_file, sampling="listen"))
    assert (heard.image_knots, heard.audio_knots) == (0, 3)
    hasty = read(classifier.predict(sound_file, budget_ms=1e-3, stop_when=0.9))
    assert (hasty.image_knots, hasty.audio_knots) == (0, 1)


@pytest.mark.parametrize("sampling", ["exact", "auto", "keyframes", "listen"])
def test_what_is_explained_is_what_is_decoded(
    classifier: Classifier, long_video: Path, sampling: Any
) -> None:
    told = classifier.explain(long_video, sampling=sampling)
    done = read(classifier.predict(long_video, sampling=sampling))
    assert told.asked == told.sampling == done.sampling == sampling
    if sampling != "listen":
        assert (len(told.image_knots), len(told.audio_knots)) == (done.image_planned, done.audio_planned)
        assert told.frames_to_decode == pytest.approx(done.frames_decoded, rel=0.2, abs=15)
    assert told.frames == 400
    assert (told.key_frames, told.timestamps) == (5, 75)
    assert told.knots_at_key_frames == 5  # 8 s are 15 timestamps: every fifth of them meets every key frame
    if sampling in {"keyframes", "listen"}:
        assert (told.walked_s, told.groups, told.widest_gap_s) == (0, 5, pytest.approx(8, abs=0.1))
        assert any("gap" in reason for reason in told.reasons)


def test_explanations_know_the_bounds(classifier: Classifier, long_video: Path, silent_video: bytes) -> None:
    told = classifier.explain(long_video, max_knots=4, budget_ms=250, stop_when=0.8)
    assert len(told.image_knots) <= 4
    text = " ".join(told.reasons)
    for expected in ("max_knots", "250 ms", "80%"):
        assert expected in text
    silent = classifier.explain(silent_video, sampling="listen")
    assert silent.sampling == "auto"
    assert "no sound" in " ".join(silent.reasons)
    with pytest.raises(ValueError, match="sampling"):
        classifier.explain(long_video, sampling="psychic")
    with pytest.raises(MediaError):
        classifier.explain(b"no video")


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"max_knots": 0}, ValueError, "max_knots"),
        ({"max_knots": 2.5}, TypeError, "max_knots"),
        ({"budget_ms": 0}, ValueError, "budget_ms"),
        ({"budget_ms": float("nan")}, ValueError, "budget_ms"),
        ({"budget_ms": "10"}, TypeError, "budget_ms"),
        ({"stop_when": 0}, ValueError, "stop_when"),
        ({"stop_when": 1.01}, ValueError, "stop_when"),
        ({"stop_when": True}, TypeError, "stop_when"),
    ],
)
def test_bad_bounds_are_named(
    classifier: Classifier, video: Path, options: dict[str, Any], error: type[Exception], name: str
) -> None:
    with pytest.raises(error, match=name):
        classifier.predict(video, **options)


def test_many_files_pass_it_through(classifier: Classifier, video: Path, long_video: Path) -> None:
    files = [video, long_video]
    answers = list(classifier.predict_many(files, sampling="listen", max_knots=8, stop_when=0.3))
    for file, answer in zip(files, answers, strict=True):
        assert isinstance(answer, Prediction)
        alone = classifier.predict(file, sampling="listen", max_knots=8, stop_when=0.3)
        np.testing.assert_array_equal(answer.probabilities, alone.probabilities)
        assert answer.stopped_by == alone.stopped_by


def test_on_the_command_line(plan_file: Path, long_video: Path) -> None:
    bounds = ("--max-knots", 4, "--max-image-gap", 5, "--budget-ms", 60_000, "--stop-when", 1.0)
    code, out, _ = inside("predict", long_video, "--plan", plan_file, *bounds)
    assert code == 0
    assert "how:  auto sampling" in out
    code, out, _ = inside("predict", long_video, "--plan", plan_file, "--budget-ms", 0.001)
    assert code == 0
    assert "ended by the time budget" in out
    assert "1 frames and 1 sounds used of" in out
    code, out, _ = inside("predict", long_video, "--plan", plan_file, "--stop-when", 0.3)
    assert "sure enough" in out
    assert "1 step," in out
    code, _, err = inside("predict", long_video, "--plan", plan_file, "--stop-when", 3)
    assert code == 2
    assert "stop_when" in err


def test_explaining_on_the_command_line(plan_file: Path, long_video: Path) -> None:
    code, out, err = inside("predict", long_video, "gone.mp4", "--plan", plan_file, "--explain")
    assert code == 1
    assert "gone.mp4" in err
    for expected in (
        str(long_video),
        "auto: key frames where",
        "5 of 5 key frames",
        "of 400 frames",
        "groups",
    ):
        assert expected in out
    assert "%" not in out  # nothing was predicted
    code, _, err = inside("predict", long_video, "--plan", plan_file, "--explain", "--json")
    assert code == 2
    assert "--explain" in err
