"""Probes, averaged classifiers and what is chosen among them, on embeddings drawn at random."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.frozen.synthetic import embeddings, several
from training.config import Config, ModelConfig, SkimConfig
from training.frozen.averaged import fit_averaged
from training.frozen.choose import Row, Tried, choose_head, decide, factor_for, labels_of
from training.frozen.folds import grouped_folds
from training.frozen.heads import of_probe
from training.frozen.judging import confusions, unsure_below
from training.frozen.logistic import Reduced, choose_strength, fit, predict
from training.frozen.pooling import interpolated, moment_weights
from training.frozen.probe import Material, fit_probes

CLASSES = ("red", "green", "blue")
CONFIG = Config(
    work="none", plan="none", model=ModelConfig(features=8, fusion=12), skim=SkimConfig(preset="auto")
)


def material(videos, count=3):
    labels = labels_of(videos, CLASSES)
    return Material(videos, labels, grouped_folds(labels, [v.video.name for v in videos], count))


def accuracy(head, videos):
    labels = labels_of(videos, CLASSES).int().argmax(dim=1)
    return float((head.scores(videos).argmax(dim=1) == labels).float().mean())


def test_a_group_is_never_parted_and_classes_are_spread():
    labels = torch.eye(3).bool().repeat(10, 1)
    groups = [f"g{number // 2}" for number in range(30)]
    folds = grouped_folds(labels, groups, 5)
    assert all(folds[number] == folds[number + 1] for number in range(0, 30, 2))
    assert torch.equal(folds, grouped_folds(labels, groups, 5))
    counts = torch.stack([labels[folds == fold].sum(dim=0) for fold in range(5)])
    assert counts.sum(dim=1).tolist() == [6] * 5
    assert int(counts.min()) >= 1


def test_the_regression_is_the_minimum_and_the_same_in_its_span():
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(20, 50, generator=generator, dtype=torch.float64)
    labels = torch.eye(4).bool().repeat(5, 1)
    every = torch.ones(1, 20, dtype=torch.float64)
    reduced = Reduced.of(inputs)
    assert reduced.rows.shape == (20, 20)
    small, large = fit(reduced.rows, labels, every, 1e-2), fit(inputs, labels, every, 1e-2)
    torch.testing.assert_close(predict(reduced.rows, small), predict(inputs, large), rtol=1e-4, atol=1e-4)
    weights = large.clone().requires_grad_()
    logits = predict(inputs, weights)[0]
    loss = torch.nn.functional.cross_entropy(logits, labels.int().argmax(dim=1))
    loss = loss + 0.5e-2 * weights[:, :-1].square().sum()
    (gradient,) = torch.autograd.grad(loss, weights)
    assert float(gradient.abs().max()) < 1e-4


def test_folds_at_once_are_what_each_is_alone():
    generator = torch.Generator().manual_seed(4)
    rows = torch.randn(24, 6, generator=generator, dtype=torch.float64)
    labels = torch.eye(3).bool().repeat(8, 1)
    folds = torch.arange(24) % 4
    chosen = choose_strength(rows, labels, folds, strengths=(1e-2,))
    for fold in range(4):
        alone = fit(rows, labels, (folds != fold)[None].double(), 1e-2)
        expected = predict(rows[folds == fold], alone)[0]
        torch.testing.assert_close(chosen.held_out[folds == fold], expected, rtol=1e-3, atol=1e-3)


def test_moments_count_as_a_plan_interpolates_them():
    valid = torch.ones(11, dtype=torch.bool)
    valid[4] = False
    features = torch.randn(11, 3, dtype=torch.float64)
    for factor in (1, 2, 5):
        weights = moment_weights(valid, 0.5, factor)
        assert float(weights.sum()) == pytest.approx(1)
        expected = interpolated(features, valid, 0.5, factor).mean(dim=0)
        torch.testing.assert_close(weights @ features, expected)
    assert not moment_weights(torch.zeros(5, dtype=torch.bool), 0.5, 1).any()


def test_a_probe_of_what_tells_is_right_and_one_of_noise_is_not():
    learnt, tested = several(60, CLASSES, told=(0.6, 0.0)), several(240, CLASSES, told=(0.6, 0.0))[60:]
    probes = fit_probes(material(learnt))
    assert accuracy(probes["image",], tested) > 0.8
    assert accuracy(probes["audio",], tested) < 0.6
    assert probes["image", "audio"].loss < probes["audio",].loss
    assert accuracy(probes["image", "audio"], tested) > 0.75
    absent = [replace_absent(video) for video in tested[:5]]
    assert probes["image", "audio"].scores(absent).isfinite().all()


def replace_absent(video):
    return replace(
        video, audio=torch.zeros_like(video.audio), audio_valid=torch.zeros_like(video.audio_valid)
    )


def test_a_probe_of_several_labels_tells_each_from_the_rest():
    names = [("red",), ("green",), ("blue",), ("red", "blue"), ("green", "blue")]
    videos = [embeddings(number, names[number % 5], told=(1.0, 1.0)) for number in range(50)]
    labels = labels_of(videos, CLASSES)
    folds = grouped_folds(labels, [v.video.name for v in videos], 5)
    probe = fit_probes(Material(videos, labels, folds, several=True))["image", "audio"]
    said = probe.held_out > 0
    assert float((said == labels).float().mean()) > 0.85


def test_the_averaged_classifier_learns_and_is_the_same_again():
    learnt, tested = several(60, CLASSES, told=(0.8, 0.8)), several(150, CLASSES, told=(0.8, 0.8))[60:]
    found = fit_averaged(material(learnt, 2), ("image", "audio"), CONFIG)
    assert accuracy(found.head, tested) > 0.5  # by chance 0.33
    assert len(found.fold_heads) == 2
    assert found.held_out.shape == (60, 3)
    silent = found.head.scores([replace_absent(video) for video in tested[:5]])
    assert silent.isfinite().all()
    again = fit_averaged(material(learnt, 2), ("image", "audio"), CONFIG)
    assert torch.equal(again.held_out, found.held_out)


def test_the_choice_is_reasoned_and_the_same_again():
    videos = several(45, CLASSES, told=(0.6, 0.1))
    choice = choose_head(CONFIG, videos, CLASSES)
    assert choice.preset == "clip"
    assert choice.factor == 1
    assert {row.name for row in choice.rows} == {"probe", "averaged", "ensemble", "paper", "paired"}
    assert "skimming was not tried" in choice.reason
    record = json.loads(json.dumps(choice.record(), allow_nan=False))
    assert record["rows"][0]["score"]["videos"] == 45
    again = choose_head(CONFIG, videos, CLASSES)
    assert torch.equal(again.held_out, choice.held_out)
    assert again.record()["reason"] == choice.record()["reason"]


@pytest.mark.nightly
def test_skimmers_are_tried_on_long_videos():
    skim = SkimConfig(preset="auto", updates=6, batch=4, steps=3)
    config = replace(CONFIG, skim=skim, model=replace(CONFIG.model, keys=4, hidden=8))
    videos = several(20, CLASSES, moments=44, views=1)
    tried = {row.name: row for row in choose_head(config, videos, CLASSES).rows}
    assert tried["paper"].score["videos"] == tried["paired"].score["videos"] == 20


def tried(name, top1, loss, points, low, preset="clip"):
    head = of_probe(fit_probes(material(several(9, CLASSES, views=1)))["image",])
    row = Row(name, ("image",), {"top1": top1}, loss, {"points": points, "low": low}, 0.0, {})
    return Tried(row, preset, head, torch.zeros(0))


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([("averaged", 0.80, 0.5, 10, 2)], "averaged"),
        ([("averaged", 0.69, 0.5, -1, -4)], "probe"),
        ([("averaged", 0.70, 0.9, 0, -2)], "probe"),
        ([("averaged", 0.75, 0.6, 5, 0), ("ensemble", 0.76, 0.5, 6, 2)], "ensemble"),
        ([("paper", 0.72, 0.5, 2, -4, "paper")], "probe"),
        ([("paper", 0.80, 0.9, 10, 4, "paper")], "paper"),
    ],
)
def test_another_head_must_be_better_than_the_probe(others, expected):
    probe = tried("probe", 0.70, 0.7, 0, 0)
    best, reason = decide([probe, *(tried(*other) for other in others)])
    assert best.row.name == expected
    assert reason.startswith(expected)


def test_confidence_from_which_answers_are_right_often_enough():
    confidence = torch.linspace(0.99, 0.40, 60)
    right = torch.tensor([True] * 30 + [True, False] * 15)
    found = unsure_below(confidence, right, level=0.9)
    assert found.reached
    assert found.confidence is not None
    sure = confidence >= found.confidence
    assert float(right[sure].float().mean()) == pytest.approx(found.right)
    assert found.right >= 0.9
    assert float(sure.float().mean()) == pytest.approx(found.known)
    assert unsure_below(confidence, torch.ones(60, dtype=torch.bool)).confidence is None
    never = unsure_below(confidence, torch.zeros(60, dtype=torch.bool))
    assert never.confidence is None
    assert not never.reached


def test_classes_that_are_taken_for_one_another_are_named():
    said = ["red", "green"] * 5 + ["blue"] * 10 + ["red", "green"] * 5
    truth = ["red"] * 10 + ["blue"] * 10 + ["green"] * 10
    logits = torch.tensor([[float(name == label) for name in CLASSES] for label in said])
    labels = torch.tensor([[name == label for name in CLASSES] for label in truth])
    (pair,) = confusions(logits, labels, CLASSES)
    assert pair.classes == ("red", "green")
    assert (pair.videos, pair.swapped) == (20, 10)
    assert pair.indistinct


@pytest.mark.parametrize(("moments", "factor"), [(5, 1), (19, 1), (56, 2), (225, 9)])
def test_short_videos_are_seen_at_every_moment(moments, factor):
    assert factor_for([embeddings(1, ["red"], moments=moments, views=1)]) == factor


def test_it_is_numbers_that_are_kept():
    assert np.isfinite(fit_probes(material(several(12, CLASSES)))["image",].loss)
