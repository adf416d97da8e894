"""Rows of methods whose numbers are known beforehand."""

from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from training.baselines import Encoded
from training.tables.bench import describe
from training.tables.knots import Thinned, TwoDensities


@dataclass(frozen=True)
class Fixed:
    """Always says ball; 3 images and 2 windows a video, and a layer of 8 x 3 on each of them."""

    name: str
    layer: nn.Linear
    asked: list = field(default_factory=list, compare=False)

    def scores(self, tracks):
        if len(tracks) > 1:
            self.asked.append(len(tracks))
        for _ in tracks:
            self.layer(torch.zeros(5, 8))
        return torch.tensor([[0.75, 0.15, 0.1]]).expand(len(tracks), 3)

    def pairs(self, _track):
        return Encoded(3, 2)


def fixed(weight=0.0):
    layer = nn.Linear(8, 3)
    nn.init.constant_(layer.weight, weight)
    nn.init.zeros_(layer.bias)
    return Fixed("fixed", layer)


def test_a_row_by_hand(bench):
    row = bench.run(fixed()).row()
    # Videos 0 and 3 of six are balls. All scores of a class are equal, so that each precision is 1/3.
    assert row["videos"] == 6
    assert row["top1"] == pytest.approx(1 / 3)
    assert row["map"] == pytest.approx(1 / 3)
    assert row["ece"] == pytest.approx(0.75 - 1 / 3)
    assert (row["images"], row["windows"]) == (3, 2)
    assert row["head_gmac"] == pytest.approx(5 * 8 * 3 / 1e9)
    assert row["gmac"] == pytest.approx(3 * 2.0 + 2 * 1.0 + row["head_gmac"])
    assert row["seconds"] > 3 * 0.5 + 2 * 0.25


def test_answers_are_kept_until_a_weight_changes(bench):
    first, again, other = fixed(), fixed(), fixed(weight=0.1)
    rows = [bench.run(method).row() for method in (first, again, other)]
    assert [len(method.asked) for method in (first, again, other)] == [1, 0, 1]
    assert rows[0]["gmac"] == rows[1]["gmac"]


def test_a_description_tells_settings_and_weights_apart(skimmer):
    ours = TwoDensities("ours", skimmer, 10, 5, 5)
    assert describe(ours) == describe(TwoDensities("renamed", skimmer, 10, 5, 5))
    assert describe(ours) != describe(TwoDensities("ours", skimmer, 10, 5, 4))
    before = describe(skimmer)
    with torch.no_grad():
        skimmer.classifier.bias += 1
    assert describe(skimmer) != before
    with pytest.raises(TypeError, match="no fingerprint"):
        describe(object())


def test_any_of_several_labels_is_right(examples):
    two = examples.videos[0].video
    object.__setattr__(two, "labels", ("ball", "ring"))
    scores = torch.tensor([[0.0, 0.0, 1.0]]).expand(6, 3).numpy()
    assert examples.right(scores).tolist() == [True, False, True, False, False, True]


def test_a_thinned_method_sees_every_kth_timestamp(bench, skimmer):
    class Lengths(Fixed):
        def scores(self, tracks):
            return torch.tensor([[float(len(track)), 0.0, float(track.image[1, 0])] for track in tracks])

        def pairs(self, track):
            return Encoded(len(track), 0)

    method = Thinned("thinned", Lengths("", nn.Linear(8, 3)), 5)
    tracks = bench.examples.tracks
    found = method.scores(tracks[:2])
    assert found[:, 0].tolist() == [4, 5]
    assert found[:, 2].tolist() == [float(track.image[5, 0]) for track in tracks[:2]]
    assert method.pairs(tracks[1]) == Encoded(5, 0)
