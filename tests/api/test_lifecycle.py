"""Loading, closing, pickling, forking; what other threads notice of it."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import l2l_engine
from l2l_engine import Classifier, Limits
from l2l_engine.backends import openvino
from l2l_engine.plan import MediaSettings, PlanDocument, write_plan
from l2l_engine.run.cpu import SAMPLES_A_CALL
from l2l_engine.run.watch import Stage
from tests.api.answers import HOP, same_answer
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim
from tests.api.videos import write_video


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


def test_warmup_runs_every_network_of_every_thread(
    plan_file: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: dict[object, set[int]] = {}
    encode = openvino._Replica.encode

    def noted(lane: openvino._Replica, batch: np.ndarray) -> np.ndarray:
        ran.setdefault(lane, set()).add(len(batch))
        return encode(lane, batch)

    monkeypatch.setattr(openvino._Replica, "encode", noted)
    with Classifier(plan_file, threads=3) as classifier:
        classifier.warmup()
        assert (
            sorted(max(sizes) for sizes in ran.values())
            == [SAMPLES_A_CALL[Stage.FRAMES]] * 3 + [SAMPLES_A_CALL[Stage.AUDIO]] * 3
        )
        assert all(sizes == set(range(1, max(sizes) + 1)) for sizes in ran.values())
        warm = set(ran)
        classifier.warmup()
        list(classifier.predict_many([video] * 12, workers=6))
        assert set(ran) == warm


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


def holes(plan_file: Path, video: Path) -> list[tuple[float, float]]:
    """Loading, predicting, closing: the longest time another thread stood still, and how long it took."""
    with ticking() as ticks:
        times = [time.perf_counter()]
        classifier = Classifier(plan_file)
        times.append(time.perf_counter())
        classifier.predict(video, max_image_gap_s=HOP, sampling="exact")
        times.append(time.perf_counter())
        classifier.close()
        times.append(time.perf_counter())
    return [(longest_hole(ticks, begin, end), end - begin) for begin, end in itertools.pairwise(times)]


def test_the_gil_is_released(plan_file: Path, tmp_path: Path) -> None:
    """Another thread keeps running while this one loads and predicts; closing is over in no time.

    Native work that held the GIL would be one long hole in its phase, every time. A busy machine makes holes
    too, now and then.
    """
    long = tmp_path / "long.mp4"
    write_video(long, seconds=120)
    Classifier(plan_file).close()  # imports are Python's own business
    for _ in range(10):
        load, predict, close = holes(plan_file, long)
        worst = (load[0] / load[1], predict[0] / predict[1], close[0] / (load[1] + predict[1]))
        if worst[0] < 0.6 and worst[1] < 0.3 and worst[2] < 0.1:
            return
    pytest.fail(f"the other thread stood still for {worst} of loading, predicting and both")


def test_first_predictions_on_several_threads_end(plan_file: Path, video: Path) -> None:
    """Each in a new process: what a library sets up at its first use, two threads may begin at once."""
    first = "import sys, l2l_engine; l2l_engine.Classifier(sys.argv[1], threads=4).predict(sys.argv[2])"
    for _ in range(6):
        subprocess.run([sys.executable, "-c", first, plan_file, video], check=True, timeout=60)
