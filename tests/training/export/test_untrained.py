"""Plans of random weights, which benchmarks time."""

import numpy as np
import pytest
import torch

from l2l_engine import Classifier
from l2l_engine.plan import read_plan
from training.__main__ import main
from training.export.graphs import to_onnx
from training.export.untrained import random_skim

SMALL = [
    f"--set=model.{name}={value}"
    for name, value in {
        "image_width": 0.125,
        "audio_width": 0.125,
        "features": 64,
        "fusion": 24,
        "keys": 16,
        "hidden": 20,
    }.items()
]


def export(path, *extra):
    assert main(["export", "--random", "--classes", "7", "--output", str(path), *SMALL, *extra]) == 0
    return read_plan(path)


@pytest.fixture(scope="module", params=["paper", "paired", "released"])
def plan(request, tmp_path_factory):
    torch.set_num_threads(1)  # sums of several threads differ by rounding
    return export(tmp_path_factory.mktemp("plans") / "random.plan", "--preset", request.param)


def test_it_has_the_sizes_asked_for(plan):
    assert len(plan.document.classes) == plan.dimensions.classes == 7
    sizes = plan.dimensions
    assert (sizes.feature, sizes.fusion, sizes.key, sizes.hidden) == (64, 24, 16, 20)


def test_its_answers_depend_on_what_is_seen(plan, video):
    rng = np.random.default_rng(0)
    with Classifier(plan.path) as classifier:
        assert 0 < classifier.predict(video, steps=3).confidence < 1
        banks = rng.standard_normal((8, 2, 20, 64))
        said = [classifier.predict_features(*bank, steps=3) for bank in banks]
    logits = np.log([prediction.probabilities for prediction in said])
    assert 0.2 < logits.std(axis=0).mean() < 5
    peaks = [moment.image_attention.max() for prediction in said for moment in prediction.moments]
    assert np.median(peaks) > 1.3 / 20  # flatter than that would time an attention that no video gives


def test_the_same_seed_gives_the_same_plan(plan, tmp_path, monkeypatch):
    monkeypatch.setattr("training.export.graphs.to_onnx", to_onnx)  # the exporter gives the same graph too
    if plan.document.skim.preset == "paper":
        assert export(tmp_path / "again.plan").sha256 == plan.sha256
    other = random_skim(plan.document, plan.dimensions, seed=1)
    assert other.keys() == plan.skim.keys()
    assert not np.array_equal(other["fusion.0.weight"], plan.skim["fusion.0.weight"])


def test_the_papers_sizes_are_the_default(monkeypatch, tmp_path):
    asked = {}

    def refuse(*_args, **options):
        asked.update(options)
        raise ValueError("enough")

    monkeypatch.setattr("training.__main__.export_untrained", refuse)
    with pytest.raises(SystemExit):
        main(["export", "--random", "--output", str(tmp_path / "x.plan")])
    model = asked["model"]
    assert (model.image_width, model.audio_width, model.features, model.fusion) == (1, 1, 512, 1024)
    assert (model.hidden, model.keys) == (1024, 512)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export"], "--config"),
        (["export", "--random"], "--output"),
        (["export", "--random", "--output", "x", "--classes", "0"], "--classes"),
        (["export", "--random", "--output", "x", "--set", "student.epochs=3"], "model alone"),
        (["skim"], "--config"),
    ],
)
def test_what_is_missing_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
