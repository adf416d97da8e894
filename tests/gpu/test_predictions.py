"""Whole predictions by the GPU's pipeline over the host's late streams, beside those of the CPU's path."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2l_engine import Classifier, ClosedError, DeviceError, DeviceMemoryError, PredictionTimeoutError
from l2l_engine.gpu import frames
from l2l_engine.plan import RecogniserSettings, SkimSettings, write_plan
from tests.api.graphs import audio_graph, image_graph, recogniser_graph
from tests.api.plans import DOCUMENT, random_skim
from tests.gpu.conftest import BIG
from tests.gpu.host import HostDevice, HostNetwork, broken
from tests.media.makers import media

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Same = Callable[..., None]
VP9 = media("webm", video="libvpx-vp9", audio="libopus", frames=150, video_options={"g": "10"})


@pytest.mark.parametrize("sampling", ["auto", "exact", "keyframes", "listen"])
def test_a_prediction_is_the_cpus(
    classifier: Classifier, on_cpu: Classifier, video: Path, sampling: Any, same: Same
) -> None:
    got = classifier.predict(video, sampling=sampling)
    same(got, on_cpu.predict(video, sampling=sampling))
    assert (got.device, got.decoder, got.precision) == ("cuda", "pyav", "fp32")


def test_one_modality_alone(
    classifier: Classifier, on_cpu: Classifier, silent_video: bytes, sound_file: bytes, same: Same
) -> None:
    for file in (silent_video, sound_file):
        same(classifier.predict(file), on_cpu.predict(file))


@pytest.mark.parametrize("options", [{"stop_when": 0.99}, {"max_knots": 3}, {"steps": 1}])
def test_bounded_calls(
    classifier: Classifier, on_cpu: Classifier, video: Path, options: dict[str, Any], same: Same
) -> None:
    same(classifier.predict(video, **options), on_cpu.predict(video, **options))


def test_a_file_object_and_a_budget(classifier: Classifier, video: Path, same: Same) -> None:
    same(classifier.predict(io.BytesIO(video.read_bytes())), classifier.predict(video))
    assert classifier.predict(video, budget_ms=1).media.image_knots >= 1  # type: ignore[union-attr]


def test_frames_of_the_devices_decoder(classifier: Classifier, on_cpu: Classifier, same: Same) -> None:
    for _ in range(2):
        got = classifier.predict(VP9, sampling="exact")
        assert got.decoder == "dali"
        # Its resize differs a little from FFmpeg's.
        same(got, on_cpu.predict(VP9, sampling="exact"), tolerance=2e-2)


def test_full_batches_go_from_decoder_to_network_where_they_lie(
    plan_file: Path, networks: dict[str, HostNetwork], device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    real = frames.DaliDecoder

    class Watched:
        def __init__(self, **options: Any) -> None:
            self._decoder = real(**options)
            self.batch = self._decoder.batch

        def decode_in_place(self, clips: Any, stream: int) -> Any:
            assert stream in device.streams
            made = self._decoder.decode_in_place(clips, stream)
            decoded.extend(made.pointers)
            return made

    monkeypatch.setattr(frames, "DaliDecoder", Watched)
    video = media("webm", video="libvpx-vp9", audio=None, frames=1200, rate=10, video_options={"g": "300"})
    document = replace(DOCUMENT, sampling=replace(DOCUMENT.sampling, factor=1))
    path = plan_file.with_name("dense.plan")
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(path, document, graphs=graphs, skim=random_skim())
    with Classifier(path, device="cuda", threads=1) as classifier:
        got = classifier.predict(video, sampling="exact")
    assert got.media is not None
    assert got.media.image_knots > 64
    network = networks["image"]
    full = [pointer for pointer, size in zip(network.pointers, network.sizes, strict=True) if size == 32]
    assert full
    assert set(full) <= set(decoded)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: media("mp4", frames=75), id="codec"),
        pytest.param(lambda: media("asf", video="msmpeg4", audio="libmp3lame", frames=75), id="format"),
        pytest.param(
            lambda: media("matroska", video="mjpeg", pix_fmt="yuvj420p", frames=75, rotation=90), id="turned"
        ),
        pytest.param(lambda: media("matroska", video="mjpeg", pix_fmt="yuvj444p", frames=75), id="pixels"),
        pytest.param(
            lambda: media("matroska", video="mjpeg", pix_fmt="yuvj420p", frames=20, size=(2048, 16)),
            id="strip",
        ),
    ],
)
def test_what_the_devices_decoder_does_not_take_is_decoded_on_the_cpu(
    classifier: Classifier, on_cpu: Classifier, content: Callable[[], bytes], same: Same
) -> None:
    file = content()
    got = classifier.predict(file)
    same(got, on_cpu.predict(file))
    assert got.decoder == "pyav"


def test_a_decoder_that_gives_up_half_way(
    networks: dict[str, HostNetwork],
    plan_file: Path,
    on_cpu: Classifier,
    monkeypatch: pytest.MonkeyPatch,
    same: Same,
) -> None:
    calls = []
    real = frames.DaliDecoder

    class GivesUp(real.func):  # type: ignore[misc, name-defined]
        def decode_in_place(self, clips: Any, stream: int) -> Any:
            calls.append(len(clips))
            if len(calls) > 1:
                raise DeviceError("no more")
            return super().decode_in_place(clips, stream)

    monkeypatch.setattr(frames, "DaliDecoder", lambda **options: GivesUp(device="cpu", batch=2, **options))
    with Classifier(plan_file, device="cuda", threads=1) as classifier:
        got = classifier.predict(VP9, sampling="exact")
    assert got.decoder == "dali, pyav"
    assert len(calls) == 2
    same(got, on_cpu.predict(VP9, sampling="exact"), tolerance=2e-2)


def test_without_dali_it_says_so_and_goes_on(
    networks: dict[str, HostNetwork],
    plan_file: Path,
    on_cpu: Classifier,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    same: Same,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    with Classifier(plan_file, device="cuda") as classifier:
        got = classifier.predict(VP9)
    assert "decoded on the CPU" in caplog.text
    assert "install nvidia-dali" in caplog.text
    assert got.decoder == "pyav"
    same(got, on_cpu.predict(VP9))


def test_a_decoder_that_cannot_be_made_is_not_tried_again(
    networks: dict[str, HostNetwork],
    plan_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = []

    def make(**options: Any) -> None:
        tries.append(options)
        raise DeviceError("no NVDEC here")

    monkeypatch.setattr(frames, "DaliDecoder", make)
    with Classifier(plan_file, device="cuda", threads=1) as classifier:
        assert [classifier.predict(VP9).decoder for _ in range(3)] == ["pyav"] * 3
    assert len(tries) == 1
    assert caplog.text.count("no NVDEC here") == 1


def test_it_waits_once_and_runs_a_graph_from_the_third_time_on(
    classifier: Classifier, device: HostDevice, video: Path, same: Same
) -> None:
    seen = [classifier.predict(video, sampling="exact")]
    device.waits = 0
    for launches in (1, 2):
        seen.append(classifier.predict(video, sampling="exact"))
        assert (device.waits, device.captures, device.launches) == (launches, 1, launches)
    for other in seen[1:]:
        same(other, seen[0], tolerance=0)


def test_many_files_at_once_are_each_as_if_alone(
    classifier: Classifier, video: Path, silent_video: bytes, sound_file: bytes, same: Same
) -> None:
    files = [video, silent_video, sound_file, VP9] * 4
    alone = [classifier.predict(file) for file in files[:4]] * 4
    for got, expected in zip(classifier.predict_many(files, workers=4), alone, strict=True):
        same(got, expected)


def test_two_classifiers_in_several_threads(
    networks: dict[str, HostNetwork], plan_file: Path, video: Path, same: Same
) -> None:
    with Classifier(plan_file, device="cuda") as one, Classifier(plan_file, device="cuda") as other:
        expected = one.predict(video)
        with ThreadPoolExecutor(4) as pool:
            for got in pool.map(lambda i: (one, other)[i % 2].predict(video), range(12)):
                same(got, expected)


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


def test_warmup(classifier: Classifier, networks: dict[str, HostNetwork], device: HostDevice) -> None:
    classifier.warmup()
    for network in networks.values():
        assert set(network.sizes) == {1, 2, 4, 8, 16, 32, 64}
    assert device.launches


def test_a_plan_that_averages(
    networks: dict[str, HostNetwork], tmp_path: Path, video: Path, silent_video: bytes, same: Same
) -> None:
    path = tmp_path / "clip.plan"
    document = replace(DOCUMENT, skim=SkimSettings(preset="clip", steps=1), calibration=(1.0,))
    skim = {name: value for name, value in random_skim().items() if name.startswith(("fusion", "classifier"))}
    write_plan(path, document, graphs={"image.fp32": image_graph(), "audio.fp32": audio_graph()}, skim=skim)
    with Classifier(path, device="cuda") as ours, Classifier(path, precision="fp32") as theirs:
        for file in (video, silent_video):
            same(ours.predict(file), theirs.predict(file))


def test_a_plan_with_a_recogniser(
    networks: dict[str, HostNetwork], tmp_path: Path, video: Path, same: Same
) -> None:
    path = tmp_path / "recogniser.plan"
    weight = np.random.default_rng(3).standard_normal((3, 3)).astype(np.float32)
    graphs = {
        "image.fp32": image_graph(),
        "audio.fp32": audio_graph(),
        "recogniser.fp32": recogniser_graph(weight),
    }
    document = replace(DOCUMENT, recogniser=RecogniserSettings(kind="frame"))
    write_plan(path, document, graphs=graphs, skim=random_skim())
    with Classifier(path, device="cuda") as ours, Classifier(path, precision="fp32") as theirs:
        for file in (video, VP9):
            got, expected = ours.predict(file), theirs.predict(file)
            same(got, expected, tolerance=2e-2)
            assert got.recognition is not None
            assert got.recognition.done == "yes"


def test_what_it_loaded_is_told(
    networks: dict[str, HostNetwork], plan_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "l2l_engine")
    with Classifier(plan_file, device="cuda") as classifier:
        assert (classifier.device, classifier.precision) == ("cuda", "fp32")
    assert "networks loaded on the host in" in caplog.text


def test_the_command_line_reaches_it(networks: dict[str, HostNetwork], plan_file: Path, video: Path) -> None:
    from tests.api.commands import inside

    status, out, _ = inside("predict", video, "--plan", plan_file, "--device", "cuda")
    assert status == 0
    assert "by:   cuda, pyav, fp32" in out
    status, out, _ = inside("doctor", "--plan", plan_file, "--device", "cuda")
    assert status == 0
    (line,) = (line for line in out.splitlines() if line.startswith("plan"))
    assert "ms, cuda, fp32, loaded in" in line
    assert "again in" in line
    status, _, err = inside("predict", video, "--plan", plan_file, "--device", "abacus")
    assert status == 2
    assert "device must be one of" in err
