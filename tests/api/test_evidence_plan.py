"""Plans of preset evidence: read, refused, and run from features."""

from dataclasses import replace

import numpy as np
import pytest

from l2l_engine import Classifier
from l2l_engine.errors import PlanError
from l2l_engine.loading import load_skimmer
from l2l_engine.plan import Dimensions, SkimSettings, read_plan, skim_shapes, write_plan
from l2l_engine.skim import EvidencePooler
from tests.api.graphs import audio_graph
from tests.api.plans import DOCUMENT

SIZES = Dimensions(feature=12, fusion=20, key=0, hidden=0, classes=3, scales=2)
SOUND = replace(
    DOCUMENT, modalities=("audio",), skim=SkimSettings(preset="evidence", steps=2), calibration=(2.0, 1.0)
)


def weights_of(document=SOUND):
    rng = np.random.default_rng(0)
    found = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in skim_shapes(document, SIZES).items()
    }
    pool = {"seconds": [0.0, 2.5], "sharpness": [1.0, 3.0], "weight": [0.5, 1.0]}
    return found | {f"pool.{name}": np.array(values, np.float32) for name, values in pool.items()}


@pytest.fixture
def plan(tmp_path):
    graphs = {"audio.fp32": audio_graph()}
    return write_plan(tmp_path / "sound.plan", SOUND, graphs=graphs, skim=weights_of())


def test_a_plan_keeps_what_it_was_given_and_runs_it(plan):
    again = read_plan(plan.path)
    assert again.document.skim == SOUND.skim
    assert again.dimensions == SIZES
    bank = np.random.default_rng(1).standard_normal((1, 9, 12)).astype(np.float32)
    times = np.arange(9)[None] * 8 / 15
    weights = weights_of()
    expected = EvidencePooler(
        weights | {"fusion.0.weight": np.hstack([0 * weights["fusion.0.weight"], weights["fusion.0.weight"]])}
    ).run(None, bank, None, times, times, modality="audio")
    found = load_skimmer(again, 1).run(None, bank, None, times, times, 2, modality="audio")
    assert np.array_equal(found.logits, expected.logits)
    assert np.isfinite(found.logits).all()


def test_the_one_moment_is_where_the_attention_peaks(plan):
    bank = np.random.default_rng(1).standard_normal((30, 12)).astype(np.float32)
    with Classifier(plan.path, device="cpu", threads=1) as classifier:
        found = classifier.predict_features(None, bank)
        average = classifier.predict_features(None, bank, steps=1)
        with pytest.raises(ValueError, match="steps must be at most 2, not 3"):
            classifier.predict_features(None, bank, steps=3)
    (moment,) = found.moments
    assert moment.listen_to == found.timestamps[moment.audio_attention.argmax()]
    assert moment.audio_attention.sum() == pytest.approx(1, abs=1e-5)
    assert not average.moments
    assert not np.array_equal(found.probabilities, average.probabilities)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"steps": 3}, "evidence knows at most 2 steps"),
        ({"steps": 2, "key_activation": "relu"}, "evidence knows at most 2 steps"),
    ],
)
def test_settings_that_there_cannot_be(settings, complaint):
    with pytest.raises(PlanError, match=complaint):
        SkimSettings(preset="evidence", **settings)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("pool.seconds", None, "skim.pool.seconds is missing"),
        ("pool.weight", np.ones(3, np.float32), "skim.pool.weight has shape"),
        ("pool.seconds", np.ones((2, 2), np.float32), "skim.pool.seconds has shape"),
    ],
)
def test_tensors_that_do_not_add_up(tmp_path, name, value, complaint):
    weights = {key: array for key, array in weights_of().items() if key != name}
    weights |= {} if value is None else {name: value}
    with pytest.raises(PlanError, match=complaint):
        write_plan(tmp_path / "sound.plan", SOUND, graphs={"audio.fp32": audio_graph()}, skim=weights)
