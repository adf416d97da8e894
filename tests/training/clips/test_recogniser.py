"""The recogniser, trained on random pictures for a few updates, and as a plan says what PyTorch says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from l2l_engine import Classifier
from l2l_engine.media import open_media
from l2l_engine.plan import write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim
from training.clips import recogniser
from training.clips.pairs import Pairs, PairSets
from training.clips.recogniser import load_recogniser, pair_logits, train_recogniser
from training.config import Config, RecogniserConfig, TeacherConfig
from training.errors import InputError
from training.export import recogniser as exported
from training.models.recogniser import ClipRecogniser
from training.models.teacher import Teacher
from training.runs.checkpoint import Checkpoint

CLASSES = DOCUMENT.classes
ENCODERS = {"image": image_graph(), "audio": audio_graph()}


def pairs(count: int) -> Pairs:
    """Dark pictures are of the first class, bright ones of the last; every fifth pair has none."""
    rng = np.random.default_rng(count)
    numbers = np.arange(count) % 3
    level = (100 * numbers)[:, None, None, None]
    images = (level + rng.integers(0, 40, (count, 128, 128, 3))).astype(np.uint8)
    clips = (level[..., None] + rng.integers(0, 40, (count, 16, 36, 36, 3))).astype(np.uint8)
    has_image = np.arange(count) % 5 > 0
    images[~has_image] = 0
    return Pairs(
        images,
        np.zeros((count, 17600), np.int16),
        np.zeros(count, np.bool_),
        np.eye(3, dtype=np.bool_)[numbers],
        CLASSES,
        np.arange(count),
        clips,
        has_image,
    )


@pytest.fixture
def config(tmp_path, monkeypatch) -> Config:
    for room in (recogniser, exported):
        monkeypatch.setattr(room, "recogniser_pairs", lambda _: PairSets(pairs(24), pairs(9)))
    monkeypatch.setattr(recogniser, "describe_set", lambda _config, name: {"name": name})
    settings = RecogniserConfig(kind="frame", width=0.125, side=48, epochs=2, batch=8)
    teacher = TeacherConfig(width=0.125, side=32)
    plan = str(tmp_path / "x.plan")
    return Config(work=str(tmp_path), plan=plan, threads=1, recogniser=settings, teacher=teacher)


def clips(config: Config, **changes: object) -> Config:
    return replace(config, recogniser=replace(config.recogniser, kind="clip", **changes))


def test_none_is_the_default(tmp_path):
    config = Config(work=str(tmp_path), plan="x.plan")
    assert train_recogniser(config) == {}
    assert load_recogniser(config) is None
    assert exported.export_recogniser(config, CLASSES) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["frame", "clip"])
def test_it_is_what_was_trained_and_measured(config, kind):
    config = config if kind == "frame" else clips(config)
    metrics = train_recogniser(config)
    assert metrics == json.loads(config.folder("recogniser", "metrics.json").read_text())
    found = load_recogniser(config)
    assert found is not None
    assert found.classes == CLASSES
    assert (found.settings.kind, found.settings.temperature) == (kind, metrics["temperature"])
    assert (found.settings.short_side, found.settings.crop) == ((55, 48) if kind == "frame" else (37, 32))
    logits = pair_logits(found.network, pairs(9), found.settings)
    assert metrics["accuracy"] == np.mean(logits.argmax(dim=1).numpy() == np.arange(9) % 3)
    again = train_recogniser(config)  # it is finished
    assert again == metrics
    weights = found.network.state_dict()
    for name, value in load_recogniser(config).network.state_dict().items():
        assert torch.equal(value, weights[name]), name


class KilledError(Exception):
    pass


def test_a_killed_one_continues_to_the_same_weights(config, tmp_path, monkeypatch):
    straight = replace(config, work=str(tmp_path / "straight"))
    train_recogniser(straight)
    save = Checkpoint.save

    def save_and_die(self, state):
        save(self, state)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_die)
        with pytest.raises(KilledError):
            train_recogniser(config)
    train_recogniser(config)
    weights = load_recogniser(straight).network.state_dict()
    for name, value in load_recogniser(config).network.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_pairs_without_a_picture_teach_nothing():
    assert recogniser._seen(pairs(7)).tolist() == [1, 2, 3, 4, 6]
    assert recogniser._seen(replace(pairs(3), has_image=None)).tolist() == [0, 1, 2]


def test_the_teacher_goes_on_from_what_it_knows(config):
    config = replace(config, teacher=replace(config.teacher, train=("source",)))
    config = clips(config, rate=1e-12)
    teacher = Teacher(5, config.teacher.width)
    recogniser.train_teacher(
        replace(config, teacher=replace(config.teacher, epochs=1)),
        config.folder("teacher"),
        PairSets(pairs(9), pairs(9)),
        start=lambda new: new.load_state_dict(
            {k: v for k, v in teacher.state_dict().items() if not k.startswith("fc.")}, strict=False
        ),
    )
    train_recogniser(config)
    network = load_recogniser(config).network
    assert isinstance(network, ClipRecogniser)
    torch.testing.assert_close(network.teacher.stem[0].weight, teacher.stem[0].weight, rtol=0, atol=2e-3)


def test_a_teacher_of_other_classes_is_refused(config, tmp_path, monkeypatch):
    trained = clips(config)
    train_recogniser(trained)
    given = clips(config, folder=str(tmp_path / "recogniser"))
    given = replace(given, work=str(tmp_path / "other"))
    assert train_recogniser(given)["accuracy"] >= 0
    assert load_recogniser(given) is not None
    other = replace(pairs(9), classes=("a", "b", "c"))
    monkeypatch.setattr(recogniser, "recogniser_pairs", lambda _: PairSets(other, other))
    with pytest.raises(InputError, match="other classes"):
        train_recogniser(given)
    with pytest.raises(ValueError, match="other classes"):
        exported.export_recogniser(trained, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("kind", "precisions"),
    [
        ("frame", ("fp32",)),
        pytest.param("clip", ("fp32", "fp16", "int8"), marks=pytest.mark.nightly),
    ],
)
def test_a_plan_answers_as_pytorch_does(config, kind, precisions, video):
    config = replace(config if kind == "frame" else clips(config), precisions=precisions)
    train_recogniser(config)
    export = exported.export_recogniser(config, CLASSES)
    assert export.graphs.keys() == {f"recogniser.{precision}" for precision in precisions}
    graphs = {f"{name}.fp32": graph for name, graph in ENCODERS.items()}
    graphs |= {f"{name}.int8": graph for name, graph in ENCODERS.items()}
    document = replace(DOCUMENT, recogniser=export.settings)
    plan = write_plan(config.plan, document, graphs=graphs | dict(export.graphs), skim=random_skim())
    assert exported.check_plan(plan, export) < 1e-3
    expected = says(load_recogniser(config), answer(config.plan, "fp32", video).recognition.moments, video)
    np.testing.assert_allclose(answer(config.plan, "fp32", video).probabilities, expected, atol=1e-3)
    if "int8" in precisions:
        assert export.record["precisions"]["int8"]["calibration"]["recogniser"] == 16
        np.testing.assert_allclose(answer(config.plan, "int8", video).probabilities, expected, atol=0.05)
    with torch.no_grad():
        list(export.recogniser.network.parameters())[-1][0] += 1.0
    with pytest.raises(RuntimeError, match="differs from PyTorch"):
        exported.check_plan(plan, export)


def answer(plan, precision, video):
    with Classifier(plan, precision=precision, threads=1) as classifier:
        found = classifier.predict(video)
    assert found.recognition.done == "yes"
    return found


@torch.no_grad()
def says(found, moments, video):
    """The mean of PyTorch's probabilities of some moments, decoded by themselves."""
    settings = found.settings
    times = np.array(moments)[:, None] + np.arange(settings.frames) / 30
    with open_media(video) as source:
        frames = source.frames(times.ravel(), short_side=settings.short_side, crop=settings.crop)
    inputs = torch.from_numpy(frames.images).reshape(-1, *settings.input_shape)
    return (found.network(inputs) / settings.temperature).softmax(dim=1).mean(dim=0)
