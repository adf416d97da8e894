"""Plans with a recogniser, end to end: it sees the mean colour, so that its scores are known by hand."""

from __future__ import annotations

import dataclasses
import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import l2l_engine
from l2l_engine import Classifier, Prediction
from l2l_engine.call import Ask, recognising
from l2l_engine.call.pace import Pace
from l2l_engine.cli import show, tell
from l2l_engine.plan import PlanDocument, RecogniserSettings, SkimSettings, write_plan
from l2l_engine.run import recognise
from l2l_engine.run.collector import ClipAssembly, Collector
from l2l_engine.run.compute import Bank
from l2l_engine.run.host import HostStore
from l2l_engine.run.recognise import FrameCache, Recogniser
from l2l_engine.run.watch import Stage
from tests.api.answers import HOP, same_answer
from tests.api.fakes import FakeClock, FakeVideo
from tests.api.graphs import audio_graph, image_graph, recogniser_graph
from tests.api.plans import DOCUMENT, random_skim
from tests.api.videos import write_video

RED, GREY = np.array([230, 10, 10]) / 255, np.full(3, 128 / 255)
FPS = 10
FRAME = RecogniserSettings(temperature=0.5)
CLIP = RecogniserSettings(kind="clip", frames=16, seconds=16 / 30)
COLOUR = 3 * np.eye(3)
# Every place in a clip counts differently, and grey gives nothing.
PLACES = np.arange(16)[:, None, None] * np.array([[[1, 0, -1], [-0.5, 0, 0.5], [-0.5, 0, 0.5]]]) / 60


def write(path: Path, settings: RecogniserSettings, **changes: object) -> Path:
    weight = COLOUR if settings.kind == "frame" else PLACES
    graphs = {
        "image.fp32": image_graph(),
        "audio.fp32": audio_graph(),
        "recogniser.fp32": recogniser_graph(weight, settings.crop),
    }
    # Every step looks elsewhere.
    skim = SkimSettings(steps=7, exclude_previous_argmax=True)
    document = dataclasses.replace(DOCUMENT, skim=skim, recogniser=settings, **changes)
    write_plan(path, document, graphs=graphs, skim=random_skim())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recogniser")


@pytest.fixture(scope="module")
def frames(folder: Path) -> Iterator[Classifier]:
    with Classifier(write(folder / "frame.plan", FRAME), precision="fp32") as classifier:
        yield classifier


@pytest.fixture(scope="module")
def clips(folder: Path) -> Iterator[Classifier]:
    with Classifier(write(folder / "clip.plan", CLIP), precision="fp32") as classifier:
        yield classifier


def shown(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours [..., 3] of the pictures of ``write_video`` shown at ``times``."""
    at = np.floor(times * FPS + 1e-6) / FPS
    return np.where(((at >= 2) & (at < 4))[..., None], RED, GREY)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def seen_by(answer: Prediction) -> NDArray[np.float64]:
    assert answer.recognition is not None
    assert answer.recognition.done == "yes"
    looked = sorted({moment.look_at for moment in answer.moments if moment.look_at is not None})
    assert answer.recognition.moments == tuple(looked)
    assert len(looked) > 3
    return np.array(looked)


@pytest.mark.parametrize("sampling", ["exact", "auto", "listen"])
def test_a_frame_network_answers_by_what_was_looked_at(
    frames: Classifier, video: Path, sampling: str
) -> None:
    answer = frames.predict(video, sampling=sampling)  # type: ignore[arg-type]
    colours = shown(seen_by(answer))
    assert len(np.unique(colours, axis=0)) == 2
    expected = softmax(colours @ COLOUR / 0.5).mean(axis=0)
    np.testing.assert_allclose(answer.probabilities, expected, atol=0.01)
    assert answer.label == DOCUMENT.classes[int(expected.argmax())]


def test_a_clip_network_sees_frames_in_their_order(clips: Classifier, video: Path) -> None:
    answer = clips.predict(video)
    times = seen_by(answer)[:, None] + np.arange(16) / 30
    colours = shown(times)
    assert any(0 < (row[:, 0] > 0.8).sum() < 16 for row in colours), "no clip crosses the event's border"
    expected = softmax(np.einsum("mfc,fck->mk", colours, PLACES)).mean(axis=0)
    np.testing.assert_allclose(answer.probabilities, expected, atol=0.003)
    backwards = softmax(np.einsum("mfc,fck->mk", colours[:, ::-1], PLACES)).mean(axis=0)
    assert np.abs(backwards - expected).max() > 0.01


def test_the_skimmer_says_what_it_says_without(frames: Classifier, video: Path, folder: Path) -> None:
    plain = folder / "plain.plan"
    graphs = {name: graph for name, graph in frames.plan.graphs.items() if "recogniser" not in name}
    document = dataclasses.replace(frames.plan.document, recogniser=None)
    write_plan(plain, document, graphs=graphs, skim=random_skim())
    with Classifier(plain, precision="fp32") as without:
        own = without.predict(video)
    answer = frames.predict(video)
    assert own.recognition is None
    assert answer.recognition is not None
    assert answer.moments == own.moments
    np.testing.assert_array_equal(answer.recognition.skimmer_probabilities, own.probabilities)


def test_frames_that_are_there_are_not_decoded_again(
    frames: Classifier, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"sampling": "exact", "max_image_gap_s": HOP}
    kept = frames.predict(video, **options)  # type: ignore[arg-type]
    monkeypatch.setattr(recognise, "MAX_CACHE_BYTES", 3 * 112 * 112 * 3)
    some = frames.predict(video, **options)  # type: ignore[arg-type]
    assert kept.media is not None
    assert some.media is not None
    assert kept.media.frames_decoded < some.media.frames_decoded
    np.testing.assert_array_equal(kept.probabilities, some.probabilities)
    assert kept.recognition == some.recognition


def test_another_crop_is_decoded_for_it(folder: Path, video: Path) -> None:
    path = write(folder / "small.plan", RecogniserSettings(short_side=64, crop=48))
    with Classifier(path, precision="fp32") as classifier:
        answer = classifier.predict(video, sampling="exact", max_image_gap_s=HOP)
    expected = softmax(shown(seen_by(answer)) @ COLOUR).mean(axis=0)
    np.testing.assert_allclose(answer.probabilities, expected, atol=0.01)


def test_several_labels_are_averaged_one_by_one(folder: Path, video: Path) -> None:
    path = write(folder / "labels.plan", RecogniserSettings(), output="sigmoid")
    with Classifier(path, precision="fp32") as classifier:
        answer = classifier.predict(video)
    expected = (1 / (1 + np.exp(-(shown(seen_by(answer)) @ COLOUR)))).mean(axis=0)
    np.testing.assert_allclose(answer.probabilities, expected, atol=0.01)


@pytest.mark.parametrize("name", ["frame.plan", "clip.plan"])
def test_threads_and_file_objects_give_the_same_bits(
    frames: Classifier, clips: Classifier, folder: Path, video: Path, name: str
) -> None:
    one = {"frame.plan": frames, "clip.plan": clips}[name].predict(video)
    for threads in (1, 3):
        with Classifier(folder / name, precision="fp32", threads=threads) as classifier:
            for answer in classifier.predict_many([video] * 4, workers=2):
                assert isinstance(answer, Prediction)
                assert same_answer(answer, one)
            with video.open("rb") as file:
                np.testing.assert_array_equal(classifier.predict(file).probabilities, one.probabilities)


def test_silent_films_are_recognised_and_sound_alone_is_not(
    frames: Classifier, silent_video: bytes, sound_file: bytes
) -> None:
    seen_by(frames.predict(silent_video))
    heard = frames.predict(sound_file)
    assert heard.recognition is not None
    assert (heard.recognition.done, heard.recognition.moments) == ("no_pictures", ())
    np.testing.assert_array_equal(heard.recognition.skimmer_probabilities, heard.probabilities)


def test_one_step_looks_at_nothing(frames: Classifier, video: Path) -> None:
    answer = frames.predict(video, steps=1)
    assert answer.recognition is not None
    assert answer.recognition.done == "no_moments"


def test_features_alone_have_nothing_to_see(frames: Classifier) -> None:
    rows = np.random.default_rng(0).standard_normal((6, 12)).astype(np.float32)
    answer = frames.predict_features(rows, rows)
    assert answer.recognition is not None
    assert answer.recognition.done == "no_file"
    np.testing.assert_array_equal(answer.recognition.skimmer_probabilities, answer.probabilities)


def test_a_budget_too_small_leaves_the_skimmers_answer(clips: Classifier, video: Path) -> None:
    clips.warmup()
    hasty, patient = clips.predict(video, budget_ms=0.1), clips.predict(video, budget_ms=60_000)
    assert hasty.recognition is not None
    assert hasty.recognition.done == "no_time"
    np.testing.assert_array_equal(hasty.recognition.skimmer_probabilities, hasty.probabilities)
    seen_by(patient)


def test_it_is_timed_counted_and_reported(clips: Classifier, video: Path) -> None:
    reports: list[tuple[str, float]] = []
    answer = clips.predict(video, progress=lambda stage, done: reports.append((stage, done)))
    after = reports[reports.index(("skim", 1.0)) + 1 :]
    assert {stage for stage, _ in after} == {"frames", "encode"}
    assert max(done for _, done in after) == after[-1][1] == 1.0
    assert answer.media is not None
    assert answer.media.frames_decoded > 30
    with pytest.raises(l2l_engine.PredictionTimeoutError):
        clips.predict(video, timeout_s=1e-6)

    def stop(stage: str, done: float) -> None:
        del done
        if stage == "skim":
            raise_next.append(stage)
        elif raise_next and stage == "frames":
            raise KeyboardInterrupt

    raise_next: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        clips.predict(video, progress=stop)
    seen_by(clips.predict(video))


def test_round_trips(frames: Classifier, video: Path) -> None:
    answer = frames.predict(video)
    assert Prediction.from_json(answer.to_json()) == answer
    assert pickle.loads(pickle.dumps(answer)) == answer
    plain = answer.to_dict()
    del plain["recognition"]  # as written before there were recognisers
    assert Prediction.from_dict(plain).recognition is None
    other = dataclasses.replace(answer.recognition, done="no_time")  # type: ignore[type-var]
    assert dataclasses.replace(answer, recognition=other) != answer


def test_people_are_told(frames: Classifier, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell.prediction(show.console(), frames.predict(video))
    assert "the mean of what was seen at" in capsys.readouterr().out
    tell.prediction(show.console(), frames.predict(video, steps=1))
    assert "the skimmer's own answer: one step looks at no moment" in capsys.readouterr().out
    assert "the recogniser sees the moments looked at, 6 at most" in frames.explain(video).reasons[-1]


def test_a_video_that_ends_within_a_clip(clips: Classifier) -> None:
    data = io.BytesIO()
    write_video(data, seconds=0.3, event=(0.0, 1.0))
    answer = clips.predict(data.getvalue())
    assert answer.recognition is not None
    assert answer.recognition.moments == (0.0,)
    expected = softmax(np.einsum("fc,fck->k", np.tile(RED, (16, 1)), PLACES))
    np.testing.assert_allclose(answer.probabilities, expected, atol=0.003)


class Counting:
    """An encoder whose logits are the brightness of a moment's first frame, for units of this room."""

    precision = "fp32"
    input_shape = (2, 4, 4, 3)
    features = 1

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return batch[:, :, 0, 0, 0].astype(np.float32)


SMALL = RecogniserSettings(kind="clip", short_side=4, crop=4, frames=2, seconds=2.0)
SMALL_DOCUMENT: PlanDocument = dataclasses.replace(DOCUMENT, recogniser=SMALL)


def seeing(recogniser: Recogniser, *moments: float) -> tuple[Collector, ClipAssembly, HostStore]:
    """What a session makes to have a recogniser of clips see some moments."""
    store = HostStore(recogniser.encode, recogniser.most)
    at = np.array(moments)
    clips = ClipAssembly(at, recogniser.times(at), stacked=True)
    return Collector(Stage.FRAMES, store, clips=clips), clips, store


def test_a_frame_may_belong_to_several_clips() -> None:
    recogniser = Recogniser(SMALL_DOCUMENT, Counting())
    collector, clips, store = seeing(recogniser, 0.0, 1.0, 2.0)  # frames at 0 1, 1 2, 2 3
    np.testing.assert_array_equal(clips.wanted, [0, 1, 2, 3])
    for time in (3.0, 1.0, 2.0):
        collector.add(time, np.full((4, 4, 3), 10 * time, np.uint8))
    while batch := collector.batch(1):
        assert len(batch) == 1
        collector.encode(batch)
    bank = store.bank(collector.collected())  # the first clip lacks a frame
    assert bank is not None
    np.testing.assert_array_equal(bank.times, [1, 2])
    np.testing.assert_array_equal(bank.features, [[10, 20], [20, 30]])


def test_kept_frames_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "MAX_CACHE_BYTES", 100)
    kept = FrameCache()
    for moment in range(4):
        kept.add(float(moment), np.zeros((4, 4, 3), np.uint8))
    assert [kept.get(float(moment)) is not None for moment in range(4)] == [True, True, False, False]


def test_the_quickest_run_tells_what_a_moment_takes() -> None:
    recogniser = Recogniser(SMALL_DOCUMENT, Counting())
    recogniser.seconds = 1.0
    collector, _, _ = seeing(recogniser, 0.0)
    for time in (0.0, 1.0):
        collector.add(time, np.zeros((4, 4, 3), np.uint8))
    collector.encode(collector.batch(1))
    assert recogniser.seconds < 1.0
    quick = recogniser.seconds
    recogniser.took(5.0)
    assert recogniser.seconds == quick


class Watched(FakeVideo):
    threads = 2
    seconds = 0.0

    def recognise(self, recogniser: Recogniser, moments: NDArray[np.float64]) -> Bank | None:
        del recogniser
        self._work(Stage.FRAMES, self.seconds)
        return Bank(np.zeros((len(moments), 3), np.float32), moments)


def watched(budget_ms: float, claimed: float, real: float) -> tuple[str, float]:
    """What is said of a recogniser that claims a number of seconds a moment and takes others; and when."""
    clock = FakeClock()
    video = Watched(clock, skim=0.01, frame=0.001)
    pace = Pace(Ask.of(DOCUMENT, budget_ms=budget_ms), clock)
    video.check, video.seconds = pace.check, real
    recogniser = Recogniser(SMALL_DOCUMENT, Counting())
    recogniser.seconds = claimed
    skimmed = video.skim(4)
    pace._knots = 1  # something was decoded
    begin = clock.now
    return recognising.recognise(video, skimmed, recogniser, pace)[0], clock.now - begin


def test_it_is_begun_only_if_it_can_end_in_time() -> None:
    assert watched(1000, 0.1, 0.1) == ("yes", pytest.approx(0.1, abs=0.01))
    assert watched(100, 1.0, 0.1) == ("no_time", 0.0)
    said, after = watched(1000, 0.1, 5.0)  # it takes longer than it should: it is broken off
    assert said == "no_time"
    assert after == pytest.approx(0.99, abs=0.01)
