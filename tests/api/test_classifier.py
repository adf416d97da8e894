from __future__ import annotations

import contextlib
import io
import itertools
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import l2l_engine
from l2l_engine import Classifier, Limits, Prediction, pipeline
from l2l_engine.plan import MediaSettings, PlanDocument, write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim
from tests.api.videos import write_video
from tests.kernels.skim_reference import skim as reference_skim

HOP = 16 / 30


def same_answer(one: Prediction, other: Prediction) -> bool:
    """Bit-identical but for the clock and the file's name."""
    plain = [p.to_dict() | {"timings": None, "path": None} for p in (one, other)]
    return plain[0] == plain[1]


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
    assert spent.total >= spent.probe + spent.audio + spent.frames + spent.encode + spent.skim
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


def test_chunks_change_nothing(classifier: Classifier, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = classifier.predict(video, max_image_gap_s=HOP, sampling="exact")
    monkeypatch.setattr(pipeline, "CHUNK", 2)
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


def test_bad_constructor_arguments(plan_file: Path) -> None:
    with pytest.raises(ValueError, match="device"):
        Classifier(plan_file, device="abacus")  # type: ignore[arg-type]
    with pytest.raises(l2l_engine.DeviceError, match="cuda"):
        Classifier(plan_file, device="cuda")
    with pytest.raises(ValueError, match="threads"):
        Classifier(plan_file, threads=0)
    with pytest.raises(TypeError, match="limits"):
        Classifier(plan_file, limits=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="wall_clock_s"):
        Limits(wall_clock_s=0)


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
    heard = classifier.predict(sound_file)
    assert heard.media is not None
    assert (heard.media.video, heard.media.audio) == ("absent", "present")
    assert all(m.look_at is None and m.listen_to is not None for m in heard.moments)
    assert all(m.modality_scores == (0.0, 1.0) for m in heard.moments)


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


def test_predict_features(classifier: Classifier) -> None:
    rng = np.random.default_rng(3)
    image, audio = rng.standard_normal((4, 12)), rng.standard_normal((7, 12)).astype(np.float32)
    answer = classifier.predict_features(image, audio)
    assert answer.media is None
    assert (answer.decoder, answer.precision) == (None, None)
    np.testing.assert_allclose(answer.timestamps, np.arange(7) * HOP)
    times = np.array([0.0, 1.0, 4.0, 9.0])
    weights = {name: weight.astype(np.float64) for name, weight in random_skim().items()}
    axis = np.linspace(0, 10, 15)
    answer = classifier.predict_features(image, audio, image_times=times, timestamps=axis, steps=4)
    expected = reference_skim(weights, (image, times), (audio, np.arange(7) * HOP), axis, 4).logits
    np.testing.assert_allclose(answer.probabilities, np.exp(expected) / np.exp(expected).sum(), atol=1e-5)
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


def test_closing(plan_file: Path, video: Path) -> None:
    classifier = Classifier(plan_file)
    classifier.warmup()
    names = classifier.class_names
    classifier.close()
    classifier.close()
    assert classifier.class_names == names
    for call in (lambda: classifier.predict(video), lambda: classifier.predict_many([]), classifier.warmup):
        with pytest.raises(l2l_engine.ClosedError):
            call()


def test_pickled_by_its_plan(
    plan_file: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plan_file.parent)
    with Classifier(plan_file.name) as classifier:
        pickled, answer = pickle.dumps(classifier), classifier.predict(video)
    monkeypatch.chdir(tmp_path)
    with pickle.loads(pickled) as copy:
        assert same_answer(copy.predict(video), answer)


def test_another_plan_is_not_taken_for_the_pickled_one(tmp_path: Path) -> None:
    path = tmp_path / "changing.plan"
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(path, DOCUMENT, graphs=graphs, skim=random_skim(0))
    with Classifier(path) as classifier:
        pickled = pickle.dumps(classifier)
    write_plan(path, DOCUMENT, graphs=graphs, skim=random_skim(1))
    with pytest.raises(l2l_engine.PlanError, match="another plan"):
        pickle.loads(pickled)


FORKING = """
import os, sys
from l2l_engine import Classifier, ClosedError

with Classifier(sys.argv[1], threads=int(sys.argv[3])) as classifier:
    label = classifier.predict(sys.argv[2]).label
    child = os.fork()
    if child == 0:
        try:
            classifier.predict(sys.argv[2])
        except ClosedError as error:
            print(error, flush=True)
        classifier.close()
        sys.exit(7)  # leaves the with block and tears the interpreter down, as any child may
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert classifier.predict(sys.argv[2]).label == label
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_a_forked_child_is_told_and_can_end(plan_file: Path, video: Path, threads: int) -> None:
    command = [sys.executable, "-c", FORKING, str(plan_file), str(video), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "forked child" in done.stdout


def test_a_plan_whose_graphs_do_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.plan"
    good = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    no_audio = PlanDocument(classes=DOCUMENT.classes, media=MediaSettings(window=8000))
    cases: list[tuple[dict[str, bytes], PlanDocument, str]] = [
        ({"image.fp32": b"no graph"}, DOCUMENT, "cannot be compiled"),
        ({"image.fp32": image_graph(feature=13)}, DOCUMENT, "13 features"),
        ({"image.fp32": image_graph(crop=96)}, DOCUMENT, "96"),
        ({"image.fp32": audio_graph()}, DOCUMENT, "float32"),
        ({"image.fp32": image_graph() + b"location"}, DOCUMENT, "outside the plan"),
        ({}, no_audio, "16000"),
    ]
    for change, document, message in cases:
        write_plan(path, document, graphs=good | change, skim=random_skim())
        with pytest.raises(l2l_engine.PlanError, match=message) as caught:
            Classifier(path)
        assert str(path) in str(caught.value)


@contextlib.contextmanager
def ticking() -> Iterator[list[float]]:
    """Another thread that notes the time whenever it gets to run."""
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield ticks
    finally:
        done.set()
        thread.join()


def longest_hole(ticks: list[float], begin: float, end: float) -> float:
    inside = [t for t in ticks if begin < t < end]
    return float(max(np.diff([begin, *inside, end])))


def test_the_gil_is_released(plan_file: Path, tmp_path: Path) -> None:
    """Another thread keeps running while this one loads and predicts; closing is over in no time."""
    long = tmp_path / "long.mp4"
    write_video(long, seconds=120)
    Classifier(plan_file).close()  # imports are Python's own business
    with ticking() as ticks:
        times = [time.perf_counter()]
        classifier = Classifier(plan_file)
        times.append(time.perf_counter())
        classifier.predict(long, max_image_gap_s=HOP, sampling="exact")
        times.append(time.perf_counter())
        classifier.close()
        times.append(time.perf_counter())
    load, predict, close = (
        (longest_hole(ticks, begin, end), end - begin) for begin, end in itertools.pairwise(times)
    )
    # Native work that held the GIL would be one long hole in its phase.
    assert load[0] < 0.6 * load[1]
    assert predict[0] < 0.3 * predict[1]
    assert close[0] < 0.1 * (load[1] + predict[1])


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
