"""What becomes of the device's memory, streams and graphs, also where something fails."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from l2l_engine import Classifier, ClosedError, DeviceError, DeviceMemoryError, PredictionTimeoutError
from tests.gpu.conftest import BIG
from tests.gpu.host import HostDevice, HostNetwork, broken
from tests.gpu.videos import VP9
from tests.media.makers import media

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Same = Callable[..., None]


def test_memory_is_flat_and_all_of_it_comes_back(
    networks: dict[str, HostNetwork], plan_file: Path, device: HostDevice, module: Any, video: Path
) -> None:
    gc.collect()
    before = module.pretended.in_use
    with Classifier(plan_file, device="cuda") as classifier:
        sizes = []
        for i in range(12):
            for file in (video, VP9):
                classifier.predict(file, sampling="exact")
            with pytest.raises(KeyboardInterrupt):
                classifier.predict(video, progress=_interrupt)
            with pytest.raises(PredictionTimeoutError):
                classifier.predict(video, timeout_s=1e-9)
            gc.collect()
            if i >= 4:
                sizes.append((len(device.blocks), len(device.events), module.pretended.in_use))
        assert len(set(sizes)) == 1, sizes
    gc.collect()
    assert (len(device.blocks), len(device.events), len(device.streams)) == (0, 0, 0)
    del classifier
    gc.collect()
    assert module.pretended.in_use == before


def _interrupt(stage: str, done: float) -> None:
    if stage == "encode" and done > 0:
        raise KeyboardInterrupt


@pytest.mark.parametrize("call", ["allocate", "pin", "upload", "enqueue", "synchronize", "launch"])
def test_a_failing_device_is_an_error_that_leaves_the_classifier_usable(
    classifier: Classifier, device: HostDevice, video: Path, call: str, same: Same
) -> None:
    longer = media("mp4", frames=300)
    if call == "launch":
        classifier.predict(video)  # the next of its length is a graph
    device.fail = broken(call)
    with pytest.raises(DeviceError, match=f"{call} was made to fail"):
        classifier.predict(video)
    for after in (1, 2, 3):
        device.fail = lambda _: None
        expected = classifier.predict(video)
        device.fail = broken(call, after=after)
        with contextlib.suppress(DeviceError):  # what it is for may have been done already
            classifier.predict(longer)
        device.fail = lambda _: None
        same(classifier.predict(video), expected)


def test_without_graphs_it_runs_all_the_same(
    classifier: Classifier, device: HostDevice, video: Path, same: Same, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "l2l_engine")
    device.fail = broken("capture")
    expected = classifier.predict(video)
    for _ in range(3):
        same(classifier.predict(video), expected, tolerance=0)
    assert (device.captures, device.launches) == (0, 0)
    assert caplog.text.count("without CUDA graphs") == 1


def test_a_capture_of_the_skimmers_that_fails_is_tried_again(
    classifier: Classifier, device: HostDevice, video: Path, same: Same
) -> None:
    tries: list[str] = []

    def fail(call: str) -> None:
        if call == "capture":
            tries.append(call)
            if len(tries) < 3:
                raise DeviceError("somebody waited for the whole device")

    device.fail = fail
    expected = classifier.predict(video)
    for _ in range(4):
        same(classifier.predict(video), expected, tolerance=0)
    assert (len(tries), device.captures, device.launches) == (3, 1, 2)


def test_out_of_memory_is_an_error_that_leaves_the_classifier_usable(
    classifier: Classifier, module: Any, video: Path, same: Same
) -> None:
    expected = classifier.predict(video)
    module.pretended.most_bytes = module.pretended.in_use + 1000
    with pytest.raises(DeviceMemoryError, match="device memory"):
        classifier.predict(media("mp4", frames=3000, size=(32, 32)), sampling="exact", max_image_gap_s=0.01)
    module.pretended.most_bytes = BIG
    same(classifier.predict(video), expected)


def test_closing_under_way_lets_predictions_end(
    networks: dict[str, HostNetwork], plan_file: Path, device: HostDevice, video: Path
) -> None:
    classifier = Classifier(plan_file, device="cuda")
    begun, closed = threading.Event(), threading.Event()

    def progress(stage: str, done: float) -> None:
        if stage == "encode":
            begun.set()
            closed.wait(20)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(classifier.predict, video, progress=progress)
        assert begun.wait(60)
        classifier.close()
        closed.set()
        assert running.result().label
    assert not device.streams
    with pytest.raises(ClosedError):
        classifier.predict(video)


def test_a_forgotten_classifier_gives_its_memory_back(
    networks: dict[str, HostNetwork], plan_file: Path, device: HostDevice, video: Path
) -> None:
    classifier = Classifier(plan_file, device="cuda")
    classifier.predict(video)
    del classifier
    gc.collect()
    assert not device.streams
    assert not device.blocks


def test_a_forked_child_leaves_the_device_alone(
    classifier: Classifier, device: HostDevice, video: Path
) -> None:
    expected = classifier.predict(video).label
    child = os.fork()
    if not child:
        left = len(device.streams)
        try:
            classifier.predict(video)
        except ClosedError:
            os._exit(0 if len(device.streams) == left else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert classifier.predict(video).label == expected
