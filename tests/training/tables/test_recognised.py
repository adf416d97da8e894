"""A recogniser that knows colours, on videos whose frames are made up."""

import numpy as np
import pytest
import torch
from torch import nn

from l2l_engine.media.source import Frames
from l2l_engine.plan import RecogniserSettings
from training.baselines import Skimming
from training.tables import recognised
from training.tables.macs import skim_macs
from training.tables.recognised import Sight, decode, looked_at, recognise, see


class Colours(nn.Module):
    """Sure of class k where channel k is bright."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3, bias=False)
        nn.init.eye_(self.layer.weight)

    def forward(self, images):
        return self.layer(images.float().flatten(1, -2).mean(dim=1))


class Footage:
    """Second s is all of colour ``s % 3``; nothing can be decoded from second 8 on."""

    def frames(self, times, *, short_side, crop):
        assert (np.diff(times) > 0).all()
        images = np.zeros((len(times), crop, crop, 3), np.uint8)
        for image, time in zip(images, times, strict=True):
            image[..., int(time) % 3] = 200
        return Frames(images, times < 8, times, len(times))

    def close(self):
        pass


SIGHT = Sight(Colours().eval(), RecogniserSettings(short_side=8, crop=4))


@pytest.fixture(autouse=True)
def _footage(monkeypatch):
    monkeypatch.setattr(recognised, "open_media", lambda path: Footage())


def test_the_mean_over_moments_answers(bench):
    # Timestamps 2, 4 and 6 are shown at 1.07, 2.13 and 3.2 s: box, ring and ball. 20 is too late.
    moments = [[2], [4], [6], [2, 20], [20], [2, 4, 6, 8]]
    found = see(bench, SIGHT, "row", moments, None)
    sure = found.scores.argmax(axis=1)
    assert sure[:4].tolist() == [1, 2, 0, 1]
    assert found.scores[4].tolist() == [0, 0, 0]
    assert found.scores[5] == pytest.approx([0.25, 0.5, 0.25])
    # Ten moments were seen by six videos, each with 9 multiply-adds.
    assert found.head.gmac == pytest.approx(9e-9 * (1 + 1 + 1 + 1 + 0 + 4) / 6)
    assert found.cost == found.head


def test_what_is_not_seen_is_left_to_the_index(bench, skimmer):
    index = Skimming("ours (sparse)", skimmer, 4, 5)
    ours = bench.run(index)
    found = see(bench, SIGHT, "row", [[2], [20], [20], [20], [20], [20]], ours)
    assert np.array_equal(found.scores[1:], ours.scores[1:])
    assert found.images == ours.images
    assert found.cost.gmac == pytest.approx(ours.cost.gmac + 9e-9 / 6)
    assert ours.head.gmac == pytest.approx(
        np.mean([skim_macs(skimmer, 8, 4).of(len(t), *index.pairs(t)) for t in bench.examples.tracks]) / 1e9
    )


def test_looked_at_are_the_peaks_that_choose(bench, skimmer):
    index = Skimming("ours (sparse)", skimmer, 4, 5)
    moments = looked_at(index, bench.examples.tracks)
    assert all(1 <= len(chosen) <= 3 and chosen == sorted(set(chosen)) for chosen in moments)
    rows = recognise(bench, SIGHT, [index])
    assert list(rows) == ["uniform | frame recogniser", "ours (sparse) | frame recogniser"]


def test_a_clip_is_whole_or_not_seen(examples):
    clips = RecogniserSettings(kind="clip", short_side=8, crop=4, frames=4, seconds=2.0)
    # From 1.07 s: 1.07, 1.57, 2.07, 2.57. From 7.47 s on the clip leaves what can be decoded.
    found = decode(examples.videos[0], [2, 14], clips)
    assert found.shape == (1, 4, 4, 4, 3)
    assert found[0, :, 0, 0].argmax(axis=1).tolist() == [1, 1, 2, 2]
    assert decode(examples.videos[0], [], clips).shape == (0, 4, 4, 4, 3)
    assert torch.from_numpy(found).dtype == torch.uint8
