"""The head of moments and its settings on features that are made up: what is planted is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from l2l_engine.plan import PlanDocument, SegmentSettings
from training.learning.detection import Stretch, edge_errors, mean_precision
from training.segments.banks import Banks, merged
from training.segments.beside import by_attention, by_whole
from training.segments.head import Head, Sample, choose_head, fit_head, moments_loss, sampled
from training.segments.material import Said, found_in, names
from training.segments.settings import best_thresholds, fit_settings, shifted, usual
from training.segments.truth import moments_of, says_when, stretches_of
from training.videos.manifest import Video

CLASSES = ("ball", "box", "ring")
HOP = 16 / 30


def video(name="a", labels=("ball",), duration=40.0, stretches=((10.0, 14.0),), **more):
    return Video(Path(f"{name}.mp4"), name, labels, duration, stretches, **more)


def test_what_is_known_of_moments_follows_from_what_the_manifest_says():
    times = np.arange(0, 40, 1.0)
    inside = (times >= 10) & (times < 14)
    told = moments_of(video(), times, CLASSES)
    assert told.known.all()
    assert (told.happens[:, 0] == inside).all()
    assert not told.happens[:, 1:].any()
    # Nobody says when: the label may happen anywhere, and nothing else does.
    weak = video(stretches=((0.0, 40.0),))
    assert not says_when(weak)
    open_ = moments_of(weak, times, CLASSES)
    assert not open_.known[:, 0].any()
    assert open_.known[:, 1:].all()
    assert not open_.happens.any()
    # Two labels share the stretches: either may happen there, neither elsewhere.
    both = moments_of(video(labels=("ball", "ring")), times, CLASSES)
    assert (both.known[:, 0] == ~inside).all()
    assert (both.known[:, 2] == ~inside).all()
    # A clip is its action.
    clip = moments_of(video(duration=3.0, stretches=((0.0, 3.0),)), np.arange(3.0), CLASSES)
    assert clip.known.all()
    assert clip.happens[:, 0].all()


def test_only_what_says_when_is_to_be_found():
    found = stretches_of([video("a"), video("b", stretches=((0.0, 40.0),)), video("c", ("ball", "box"))])
    assert found == [Stretch("a", "ball", 10.0, 14.0)]


def dense(count=30, size=4, sound=True):
    times = HOP * np.arange(count)
    rows = np.arange(count * size, dtype=np.float32).reshape(count, size)
    return Banks(rows, times, rows + 0.5 if sound else None, times if sound else None, times)


def test_sampling_takes_knots_and_now_and_then_a_modality_and_never_all():
    rng = np.random.default_rng(0)
    views = [sampled(dense(), rng) for _ in range(300)]
    for view in views:
        kinds = [view.rows(kind) for kind in ("image", "audio")]
        assert any(kinds)
        for kind, shift in zip(kinds, (0.0, 0.5), strict=True):
            if kind is not None:
                assert np.array_equal(kind[0][:, 0], 4 * np.round(kind[1] / HOP) + shift)
                assert (np.diff(kind[1]) > 0).all()
    lost = [sum(view.rows(kind) is None for view in views) for kind in ("image", "audio")]
    assert 3 < lost[0] < 40
    assert 3 < lost[1] < 40
    silent = [sampled(dense(sound=False), rng) for _ in range(100)]
    assert all(view.rows("image") is not None and view.rows("audio") is None for view in silent)


def test_merging_adds_knots_where_they_are_asked_for():
    whole = dense()
    sparse = whole.take("image", np.arange(0, 30, 5)).take("audio", np.arange(0, 30, 5))
    at = np.zeros(30, np.bool_)
    at[11:14] = True
    found = merged(sparse, whole, at)
    wanted = sorted({*range(0, 30, 5), 11, 12, 13})
    for kind in ("image", "audio"):
        rows, times = found.rows(kind)
        assert np.allclose(times, HOP * np.array(wanted))
        assert np.array_equal(rows, whole.rows(kind)[0][wanted])
    segment = video(start=4.0, end=8.0)
    assert (whole.within(segment).timestamps >= 4.0).all()
    assert (whole.within(segment).rows("audio")[1] < 8.0).all()


def sample(seed, weak=False, videos=40, moments=20):
    """Videos whose first three numbers tell the class of four moments, among noise."""
    rng = np.random.default_rng(seed)
    rows, happens, known, view, labels = [], [], [], [], []
    for number in range(videos):
        label = number % 3
        inside = np.zeros(moments, bool)
        first = int(rng.integers(moments - 4))
        inside[first : first + 4] = True
        hidden = np.abs(rng.normal(0, 0.3, (moments, 8)))
        hidden[inside, label] += 2
        truth, sure = np.zeros((moments, 3), bool), np.ones((moments, 3), bool)
        if weak:
            sure[:, label] = False
        else:
            truth[inside, label] = True
        rows.append(hidden)
        happens.append(truth)
        known.append(sure)
        view.append(np.full(moments, number))
        labels.append([label == own for own in range(3)])
    return Sample(
        torch.tensor(np.concatenate(rows), dtype=torch.float32),
        torch.tensor(np.concatenate(happens)),
        torch.tensor(np.concatenate(known)),
        torch.tensor(np.concatenate(view)),
        torch.tensor(labels),
    )


@pytest.mark.parametrize("weak", [False, True])
def test_the_head_finds_what_tells_the_classes(weak):
    told, (head, losses) = sample(1), choose_head(sample(0, weak), sample(2, weak))
    logits = head.logits(told.rows.numpy())
    happens = told.happens.numpy()
    assert len(losses) > 1
    # Whoever is told when is right about nearly every moment; by labels alone the order is right.
    if not weak:
        assert ((logits > 0) == happens).mean() > 0.99
    for column in range(3):
        least, most = logits[happens[:, column], column].min(), np.sort(logits[~happens[:, column], column])
        assert (most < least).mean() > 0.97


def test_labels_alone_teach_through_a_soft_maximum():
    told = sample(0, weak=True)
    rows = told.rows.double().requires_grad_()
    loss = moments_loss(rows[:, :3] * 3 - 3, told)
    loss.backward()
    # Of the moments at which the label may happen, the likeliest ones are pushed the most.
    push = -rows.grad[told.view == 0][:, 0]
    inside = rows.detach()[told.view == 0][:, 0] > 1.5
    assert push[inside].min() > push[~inside].max() > 0
    # A video of no label, or one of which all is known, has no part in it.
    known = sample(0)
    assert float(moments_loss(torch.full((len(known.rows), 3), -20.0), known)) == pytest.approx(
        20 * float(known.happens.float().mean()), rel=1e-3
    )


def document(classes=CLASSES):
    return PlanDocument(classes=classes)


def said(count=18, late=0.0, seed=0):
    """Videos of which it is said, a little late and with some noise, what happens when."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        label, start = number % 3, float(rng.uniform(4, 24))
        end = start + float(rng.uniform(3, 6))
        times = HOP * np.arange(75)
        logits = rng.normal(-4, 0.5, (75, 3))
        middle = np.minimum(times - start - late, end + late - times)
        logits[:, label] = np.clip(4 * middle, -4, 4) + rng.normal(0, 0.2, 75)
        attention = np.where((times >= start) & (times < end), 1.0, 0.02)
        probabilities = np.full(3, 0.05, np.float32)
        probabilities[label] = 0.9
        own = video(f"v{number:02d}", (CLASSES[label],), 40.0, ((start, end),))
        found.append(Said(own, times, logits, attention / attention.sum(), probabilities, 40.0))
    return found


def test_settings_find_the_stretches_and_their_edges():
    learn, other = said(late=0.7), said(late=0.7, seed=1)
    settings = fit_settings(learn, document())
    assert settings.shift_s != (0.0, 0.0)
    found = found_in(other, document(), settings)
    truth = stretches_of([one.video for one in other])
    assert mean_precision(found, truth, names(other), 0.7) > 0.9
    assert np.abs(np.median(edge_errors(found, truth, 0.3), axis=0)).max() < 0.15


def test_edges_that_are_late_are_moved_by_the_median():
    truth = [Stretch(f"v{n}", "ball", 10.0, 14.0) for n in range(12)]
    found = [replace(one, start=10.5, end=14.25) for one in truth]
    settings = shifted(usual(3), found, truth)
    assert settings.shift_s == (-0.5, -0.25)
    assert shifted(settings, found[:3], truth) == settings  # too few to tell


def test_without_a_word_of_when_thresholds_follow_the_labels():
    weak = [replace(one, video=replace(one.video, stretches=((0.0, 40.0),))) for one in said()]
    settings = fit_settings(weak, document())
    assert replace(settings, thresholds=usual(3).thresholds) == usual(3)
    labels = {(one.video.name, one.video.label) for one in weak}
    assert {(s.video, s.label) for s in found_in(weak, document(), settings)} == labels


def test_thresholds_of_labels_are_those_of_the_best_f1():
    rng = np.random.default_rng(0)
    labels = rng.random((200, 2)) < 0.3
    # The second class is never surer than a third.
    scores = np.where(labels, [0.8, 0.3], [0.3, 0.1]) + rng.uniform(-0.08, 0.08, (200, 2))
    first, second = best_thresholds(scores, labels)
    assert 0.38 < first < 0.72
    assert 0.18 <= second <= 0.25
    assert best_thresholds(scores, labels & False) == (0.5, 0.5)


def test_simpler_ways():
    one = said()[0]
    start, end = one.video.stretches[0]
    (found,) = by_attention(one, document(), 2.0)
    assert (found.label, found.video) == (one.video.label, one.video.name)
    assert found.start == pytest.approx(start, abs=HOP)
    assert found.end == pytest.approx(end, abs=HOP)
    assert by_attention(one, document(), 75.0) == []
    (whole,) = by_whole(one, document())
    assert (whole.start, whole.end, whole.label) == (0.0, 40.0, one.video.label)
    assert whole.score == pytest.approx(0.9)


def test_background_is_never_said_to_happen():
    own = replace(document(), background=("ball",))
    one = said()[0]
    assert by_whole(one, own)[0].label != "ball"
    assert one.found(own, SegmentSettings(thresholds=(0.5,) * 3)) == []


def test_the_same_moments_give_the_same_head():
    one, other = fit_head(sample(0), 1e-4), fit_head(sample(0), 1e-4)
    assert isinstance(one, Head)
    assert np.array_equal(one.weight, other.weight)
    assert np.array_equal(one.bias, other.bias)
