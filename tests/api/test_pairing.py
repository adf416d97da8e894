"""Preset ``paired``: the banks are joined as the formula says, and plans of it predict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier
from l2l_engine.errors import PlanError
from l2l_engine.pairing import PairedSkimmer, Pairing
from l2l_engine.plan import SkimSettings, read_plan, write_plan
from l2l_engine.skim import Instructions, Modality, Precision
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_pairing, random_skim
from tests.kernels import skim_reference

STAMPS = 16 / 30 * np.arange(23)
WEIGHTS = random_skim() | random_pairing()


def bank(seed: int, knots: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((knots, 12)).astype(np.float32), np.sort(rng.uniform(0, 12, knots))


@pytest.mark.parametrize("modality", ["both", "image", "audio"])
def test_equals_the_float64_reference(modality: Modality) -> None:
    image, audio = bank(3, 6), bank(4, 9)
    there = (None if modality == "audio" else image, None if modality == "image" else audio)
    expected = skim_reference.skim(WEIGHTS, *skim_reference.paired(WEIGHTS, *there), STAMPS, 7)
    (rows, times), (heard, heard_times) = image, audio
    found = PairedSkimmer(WEIGHTS, threads=1).run(
        rows[None], heard[None], times[None], heard_times[None], STAMPS[None], 7, modality=modality
    )
    for name in ("logits", "image_attention", "audio_attention", "modality_scores", "step_features"):
        np.testing.assert_allclose(
            getattr(found, name)[0], getattr(expected, name), rtol=1e-4, atol=2e-5, err_msg=name
        )


INSTRUCTIONS: tuple[Instructions, ...] = ("portable", "avx2", "avx512", "avx512_bf16")
CLOSE = {"fp32": 1e-5, "bf16": 2e-2, "fp16": 2e-3}


def joining(instructions: Instructions, precision: Precision = "fp32", threads: int = 1) -> Pairing:
    try:
        return Pairing(WEIGHTS, precision=precision, threads=threads, instructions=instructions)
    except ValueError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_joins_as_the_reference_does(instructions: Instructions, precision: Precision) -> None:
    image, audio = bank(3, 41), bank(4, 17)
    expected = skim_reference.paired(WEIGHTS, image, audio)
    for found, (rows, _) in zip(
        joining(instructions, precision)(*batch(image, audio)), expected, strict=True
    ):
        assert found is not None
        np.testing.assert_allclose(found[0], rows, atol=CLOSE[precision])


def batch(*banks: tuple[np.ndarray, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(rows[None], times[None]) for rows, times in banks]


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_the_same_bits_whatever_the_threads_and_the_other_rows(instructions: Instructions) -> None:
    (image, times), (audio, heard) = bank(3, 41), bank(4, 17)
    whole = batch((image, times), (audio, heard))
    looks, sounds = joining(instructions)(*whole)
    for found, expected in zip(joining(instructions, threads=3)(*whole), (looks, sounds), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert looks is not None
    few = joining(instructions)((image[None, 5:8], times[None, 5:8]), (audio[None], heard[None]))[0]
    assert few is not None
    np.testing.assert_array_equal(few, looks[:, 5:8])


def test_weights_that_do_not_fit_are_named() -> None:
    def refused(change: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Pairing(WEIGHTS | change)  # type: ignore[operator]

    refused({"pair_image.0.weight": np.zeros((20, 12), np.float32)}, r"pair_image.0.weight: expected shape")
    refused({"pair_audio.1.bias": np.full(12, np.nan, np.float32)}, r"pair_audio.1.bias: .*not finite")
    refused({"pair_audio.2.bias": np.zeros(3, np.float32)}, r"pair_audio.2.bias: unexpected tensor")
    with pytest.raises(ValueError, match=r"pair_image.1.weight: missing"):
        Pairing(random_skim())
    image, audio = bank(3, 4), (np.zeros((3, 13), np.float32), np.arange(3.0))
    with pytest.raises(ValueError, match=r"audio: expected rows of 12"):
        Pairing(WEIGHTS)(None, batch(audio)[0])
    assert Pairing(WEIGHTS)(None, None) == (None, None)
    assert Pairing(WEIGHTS)(batch(image)[0], None)[1] is None


def test_what_is_missing_is_named() -> None:
    rows, times = bank(3, 6)
    skimmer = PairedSkimmer(WEIGHTS)
    with pytest.raises(TypeError, match="audio_bank"):
        skimmer.run(rows[None], None, times[None], None, STAMPS[None], 2)
    with pytest.raises(ValueError, match="times"):
        skimmer.run(rows[None], rows[None], times[None, ::-1], times[None], STAMPS[None], 2)


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "paired.plan"
    document = replace(DOCUMENT, skim=SkimSettings(preset="paired", steps=4))
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(path, document, graphs=graphs, skim=WEIGHTS)
    return path


def test_a_plan_predicts_and_its_features_say_the_same(plan_file: Path, video: Path) -> None:
    with Classifier(plan_file, precision="fp32") as classifier:
        prediction = classifier.predict(video)
        features = classifier.features(video)
        again = classifier.predict_features(
            features.image_bank,
            features.audio_bank,
            image_times=features.image_times,
            audio_times=features.audio_times,
            timestamps=features.timestamps,
        )
    assert len(prediction.moments) == 3
    np.testing.assert_allclose(again.probabilities, prediction.probabilities, rtol=1e-6)
    banks = (features.image_bank, features.image_times), (features.audio_bank, features.audio_times)
    expected = skim_reference.skim(WEIGHTS, *skim_reference.paired(WEIGHTS, *banks), features.timestamps, 4)
    np.testing.assert_allclose(
        prediction.probabilities, skim_reference.softmax(expected.logits / DOCUMENT.temperature(4)), rtol=1e-4
    )


def test_a_plan_of_pictures_alone_is_refused(plan_file: Path) -> None:
    plan = read_plan(plan_file)
    with pytest.raises(PlanError, match="paired needs images and sound"):
        replace(plan.document, modalities=("image",))
