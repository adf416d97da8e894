"""Curves, gains by class, calibration: of a small skimmer on made-up features."""

import numpy as np
import pytest
import torch

from training.skimming.measure import skim_tracks
from training.tables import analysis, curves, moments
from training.tables.bench import Result
from training.tables.knots import TwoDensities
from training.tables.macs import Cost, skim_macs


def test_sparse_and_early_are_the_skimmer_s_own_answers(bench, skimmer):
    examples = bench.examples
    ours = TwoDensities("ours", skimmer, 3, 2, 2)
    skimmed = skim_tracks(skimmer, examples.tracks, 3, 2)
    right = (skimmed.logits.argmax(dim=2) == skimmed.labels[:, None]).float().mean(dim=0)
    rows = curves.by_step(bench, ours)
    assert [row["steps"] for row in rows] == [1, 2, 3]
    assert [row["top1"] for row in rows] == pytest.approx(right.tolist())
    by_factor = curves.by_factor(bench, ours, factors=(1, 2, 4))
    assert [row["factor"] for row in by_factor] == [1, 2, 4]
    assert by_factor[1]["top1"] == rows[-1]["top1"]


def test_a_curve_s_gmac_by_hand(bench, skimmer):
    ours = TwoDensities("ours", skimmer, 2, 5, 5)
    # 20, 25 ... 45 timestamps: 4, 5 ... 9 knots; the third video has no sound.
    images, windows = 6.5, (4 + 5 + 7 + 8 + 9) / 6
    head = skim_macs(skimmer, 8, 2).of(32.5, images, windows) / 1e9
    row = curves.by_step(bench, ours)[-1]
    assert row["gmac"] == pytest.approx(2 * images + windows + head)
    assert bench.run(ours).row()["gmac"] == pytest.approx(row["gmac"])


def test_the_plot_is_small(bench, skimmer, tmp_path):
    ours = TwoDensities("ours", skimmer, 2, 5, 5)
    steps = {"ours": curves.by_step(bench, ours)}
    lines = [{"method": "UNIFORM", "top1": 0.3}]
    curves.draw(curves.by_factor(bench, ours, factors=(1, 5)), steps, lines, tmp_path / "curves.png")
    assert 5_000 < (tmp_path / "curves.png").stat().st_size < 100_000


def result(right):
    right = np.array(right, bool)
    return Result("", np.zeros((len(right), 3), np.float32), right, 0, 0, Cost(), Cost(), {})


def test_gains_by_class_are_sorted(examples):
    # Videos are ball, box, ring, ball, box, ring.
    ours, uniform = result([1, 1, 1, 1, 1, 0]), result([1, 0, 1, 0, 0, 1])
    found = [(row["class"], row["gain"]) for row in analysis.by_class(examples, ours, uniform)]
    assert found == [("box", 100), ("ball", 50), ("ring", -50)]


def test_differences_are_paired():
    results = {"ours": result([1, 1, 1, 0]), "UNIFORM": result([1, 0, 1, 0])}
    assert analysis.differences(results, "ours")["UNIFORM"]["points"] == 25
    assert analysis.differences(results, "theirs") == {}


def test_the_spread_of_seeds_by_hand():
    found = analysis.spread([{"top1": 0.9}, {"top1": 0.94}, {"top1": 0.92}])
    assert found == pytest.approx({"runs": 3, "mean": 0.92, "least": 0.9, "most": 0.94, "deviation": 0.02})


def test_a_temperature_never_changes_who_is_right(bench, skimmer):
    rows = analysis.calibration(bench, TwoDensities("ours", skimmer, 2, 5, 5), bench.examples.tracks)
    assert [row["steps"] for row in rows] == [1, 2]
    assert all(0.05 <= row["temperature"] <= 20 for row in rows)


def test_moments_are_the_first_different_peaks():
    attention = torch.eye(9)[[4, 4, 7, 4, 1, 0, 2, 3]]
    assert moments.distinct_peaks(attention) == [4, 7, 1, 0, 2]


def test_the_picture_of_moments(examples, skimmer, tmp_path, monkeypatch):
    monkeypatch.setattr(moments, "frames_at", lambda _, at: [np.zeros((8, 8, 3), np.uint8)] * len(at))
    ours = TwoDensities("ours", skimmer, 4, 5, 5)
    said, rows = moments.choose(examples, ours, 2)
    assert said in examples.classes
    assert rows["uniform"] == [3, 9, 15, 21, 27]
    assert "listened to" not in rows
    moments.draw(examples, ours, [0, 2], tmp_path / "moments.jpg")
    assert 5_000 < (tmp_path / "moments.jpg").stat().st_size < 500_000


def test_knots_in_the_action_explain_sparse_features(bench, skimmer):
    # The action lasts a second: timestamps 0 and 1, of which every 2nd knot hits one.
    sparse, dense = TwoDensities("", skimmer, 2, 2, 2), TwoDensities("", skimmer, 2, 1, 1)
    (row,) = curves.by_knots(bench, sparse, dense, 1)
    tracks = [track for number, track in enumerate(bench.examples.tracks) if number != 2]
    for name, ours in (("top1", sparse), ("dense", dense)):
        said = ours.scores(tracks).argmax(dim=1).tolist()
        assert row[name] == pytest.approx(np.mean([a == t.label for a, t in zip(said, tracks, strict=True)]))
    assert (row["least"], row["videos"]) == (0, 5)
