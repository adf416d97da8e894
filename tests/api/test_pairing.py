"""Preset ``paired``: plans of it predict as the formula says, and refuse what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier
from l2l_engine.errors import PlanError
from l2l_engine.plan import SkimSettings, read_plan, write_plan
from l2l_engine.skim import Skimmer
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_pairing, random_skim
from tests.kernels import skim_reference

WEIGHTS = random_skim() | random_pairing()


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
    expected = skim_reference.skim(WEIGHTS, *banks, features.timestamps, 4)
    plain = skim_reference.skim(random_skim(), *banks, features.timestamps, 4)
    for found, close in ((expected, True), (plain, False)):
        probabilities = skim_reference.softmax(found.logits / DOCUMENT.temperature(4))
        assert np.allclose(prediction.probabilities, probabilities, rtol=1e-4) == close


def test_a_plan_of_pictures_alone_is_refused(plan_file: Path) -> None:
    plan = read_plan(plan_file)
    with pytest.raises(PlanError, match="paired needs images and sound"):
        replace(plan.document, modalities=("image",))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pair_image.0.weight", np.zeros((20, 12)), "expected shape"),
        ("pair_image.1.weight", np.zeros((11, 20)), "expected shape"),
        ("pair_audio.1.bias", np.full(12, np.nan), "not finite"),
        ("pair_audio.2.bias", np.zeros(3), "unexpected tensor"),
        ("pair_audio.0.bias", None, "missing tensor"),
    ],
)
def test_weights_that_do_not_fit_are_named(name: str, value: np.ndarray | None, message: str) -> None:
    weights = {n: w.astype(np.float32) for n, w in (WEIGHTS | {name: value}).items() if w is not None}
    with pytest.raises(ValueError, match=rf"^{name}: .*{message}"):
        Skimmer(weights)


def test_joining_that_is_too_large_for_the_precision_is_named() -> None:
    wide = WEIGHTS | {"pair_audio.0.weight": np.full((20, 24), 1e9, np.float32)}
    with pytest.raises(ValueError, match=r"^pair_audio.0.weight: a value is too large"):
        Skimmer(wide, precision="fp16")


@pytest.mark.parametrize("bad", ["image", "audio"])
def test_the_bank_that_is_not_finite_is_named(bad: str) -> None:
    """Though what comes of it is in both."""
    banks = {"image": np.ones((1, 3, 12), np.float32), "audio": np.ones((1, 3, 12), np.float32)}
    banks[bad][0, 1, 5] = np.nan
    times = np.arange(3.0)[None]
    with pytest.raises(ValueError, match=f"^{bad}_bank: contains a value that is not finite"):
        Skimmer(WEIGHTS).run(banks["image"], banks["audio"], times, times, times, 2)
