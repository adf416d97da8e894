"""Which graphs and which arithmetic the encoders use."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier, DeviceError, PlanError
from l2l_engine.backends.openvino import has_bf16
from l2l_engine.loading import load_encoders
from l2l_engine.plan import read_plan, write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim

FP32 = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
OTHER = {"image.int8": image_graph(seed=5), "audio.int8": audio_graph(seed=6)}
FRAMES = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Its int8 graphs have other weights, so that one sees which graph is used."""
    write_plan(tmp_path / "both.plan", DOCUMENT, graphs=FP32 | OTHER, skim=random_skim())
    return tmp_path / "both.plan"


@pytest.fixture
def without(tmp_path: Path) -> Path:
    graphs = FP32 | {"image.int8": OTHER["image.int8"]}
    write_plan(tmp_path / "part.plan", DOCUMENT, graphs=graphs, skim=random_skim())
    return tmp_path / "part.plan"


def features(path: Path, precision: str) -> np.ndarray:
    return load_encoders(read_plan(path), 1, precision=precision)["image"].encode(FRAMES)  # type: ignore[arg-type]


def expected(seed: int) -> np.ndarray:
    weight = np.random.default_rng(seed).standard_normal((3, 12)).astype(np.float32)
    return FRAMES.mean(axis=(1, 2)) / 255 @ weight


def test_int8_takes_the_int8_graphs_and_nothing_else_does(plan: Path) -> None:
    np.testing.assert_allclose(features(plan, "fp32"), expected(1), rtol=1e-5)
    np.testing.assert_allclose(features(plan, "auto"), expected(1), rtol=2e-2, atol=1e-2)
    np.testing.assert_allclose(features(plan, "int8"), expected(5), rtol=2e-2, atol=1e-2)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_classifier_says_and_hands_on_its_precision(plan: Path, video: Path, precision: str) -> None:
    with Classifier(plan, precision=precision) as classifier:  # type: ignore[arg-type]
        assert classifier.precision == precision
        assert classifier.predict(video).precision == precision
        with pickle.loads(pickle.dumps(classifier)) as copy:
            assert copy.precision == precision


def test_auto_is_the_cpus_best_float(plan: Path) -> None:
    with Classifier(plan) as classifier:
        assert classifier.precision == ("bf16" if has_bf16() else "fp32")


@pytest.mark.skipif(not has_bf16(), reason="this CPU has no bf16 arithmetic")
def test_bf16_is_near_fp32_but_not_it(plan: Path) -> None:
    with Classifier(plan, precision="bf16") as classifier:
        assert classifier.precision == "bf16"
    bf16, fp32 = features(plan, "bf16"), features(plan, "fp32")
    np.testing.assert_allclose(bf16, fp32, rtol=2e-2, atol=1e-2)
    assert not np.array_equal(bf16, fp32)


def test_what_cannot_be_had_is_an_error(plan: Path, without: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match=r"part\.plan: graph\.audio\.int8 is missing"):
        Classifier(without, precision="int8")
    with pytest.raises(ValueError, match="precision must be one of"):
        Classifier(plan, precision="fp8")  # type: ignore[arg-type]
    monkeypatch.setattr("l2l_engine.backends.openvino.has_bf16", lambda: False)
    with pytest.raises(DeviceError, match="no bf16"):
        Classifier(plan, precision="bf16")
