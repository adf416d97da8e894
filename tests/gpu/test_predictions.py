"""Whole predictions by the GPU's pipeline over the host's late streams, beside those of the CPU's path."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2l_engine import Classifier, Prediction
from l2l_engine.plan import RecogniserSettings, SkimSettings, write_plan
from tests.api.graphs import audio_graph, image_graph, recogniser_graph
from tests.api.plans import DOCUMENT, random_pairing, random_skim
from tests.api.test_sound_alone import write as write_sound_alone
from tests.api.test_when import GRAPHS, knowing
from tests.api.test_when import WITH as TELLING
from tests.api.videos import write_video
from tests.gpu.host import HostDevice, HostNetwork
from tests.gpu.videos import VP9

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Same = Callable[..., None]


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


def test_what_ends_a_prediction_goes_before_what_encoders_queued(
    classifier: Classifier, device: HostDevice, video: Path
) -> None:
    classifier.predict(video)
    pipeline = classifier._pipeline
    compute: Any = pipeline._compute
    with compute._skimming.streams.use() as stream:
        assert stream.handle in device.urgent
    for encoder in compute._encoders.values():
        assert encoder.stream in device.streams
        assert encoder.stream not in device.urgent


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


@pytest.mark.parametrize("preset", ["clip", "paper"])
def test_a_plan_of_sound_alone(
    networks: dict[str, HostNetwork],
    tmp_path: Path,
    video: Path,
    sound_file: bytes,
    same: Same,
    preset: str,
) -> None:
    path = write_sound_alone(tmp_path / "sound.plan", preset).path
    with Classifier(path, device="cuda") as ours, Classifier(path, precision="fp32") as theirs:
        ours.warmup()
        for file in (video, sound_file):
            same(ours.predict(file), theirs.predict(file))


def test_a_plan_that_pairs(
    networks: dict[str, HostNetwork],
    device: HostDevice,
    tmp_path: Path,
    video: Path,
    silent_video: bytes,
    sound_file: bytes,
    same: Same,
) -> None:
    path = tmp_path / "paired.plan"
    document = replace(DOCUMENT, skim=SkimSettings(preset="paired", steps=4))
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(path, document, graphs=graphs, skim=random_skim() | random_pairing())
    with Classifier(path, device="cuda") as ours, Classifier(path, precision="fp32") as theirs:
        # The third time of a length is the first that a graph is launched.
        for file in (video, video, video, silent_video, VP9, video, sound_file):
            got, expected = (each.predict(file, sampling="exact") for each in (ours, theirs))
            # DALI's frames differ a little.
            same(got, expected, tolerance=2e-2 if file is VP9 else 1e-5)
    assert device.launches


def test_a_plan_that_tells_when(networks: dict[str, HostNetwork], tmp_path: Path, same: Same) -> None:
    path, film = tmp_path / "when.plan", tmp_path / "film.mp4"
    write_plan(path, TELLING, graphs=GRAPHS, skim=knowing())
    write_video(film, seconds=12, event=(4.2, 9.1), size=(96, 72), gop=8)

    def spans(found: Prediction) -> list[list[float]]:
        assert found.segments is not None
        return [[segment.start_s, segment.end_s, segment.score] for segment in found.segments]

    with Classifier(path, device="cuda") as ours, Classifier(path, precision="fp32") as theirs:
        for refine in (True, False):
            got, expected = (each.predict(film, refine=refine) for each in (ours, theirs))
            same(got, expected)
            assert len(spans(got)) == 1
            np.testing.assert_allclose(spans(got), spans(expected), atol=1e-4)
        kept = ours.features(film)
        times = {"image_times": kept.image_times, "audio_times": kept.audio_times}
        again = ours.predict_features(kept.image_bank, kept.audio_bank, **times, timestamps=kept.timestamps)
        np.testing.assert_allclose(
            [row[0] for row in spans(again)], [row[0] for row in spans(got)], atol=1e-6
        )


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
