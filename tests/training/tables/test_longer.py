"""Longer videos keep their labels, their actions and their silence."""

import torch

from training.baselines import Skimming
from training.tables.longer import by_length, lengthen


def test_longer_videos_by_hand(examples):
    longer = lengthen(examples, 3)
    for before, after in zip(examples.tracks, longer.tracks, strict=True):
        assert 3 * len(before) <= len(after) < 3 * len(before) + 50
        assert after.label == before.label
        assert int(after.inside.sum()) == int(before.inside.sum()) == 2
        assert torch.equal(after.image[after.inside], before.image[before.inside])
        own = {tuple(row.tolist()) for row in before.image}
        assert own <= {tuple(row.tolist()) for row in after.image}
    assert not longer.tracks[2].audio_valid.any()
    assert longer.tracks[1].audio_valid.all()
    assert longer.videos[0].video.duration == 16 / 30 * len(longer.tracks[0])
    assert lengthen(examples, 3).tracks[0].image.equal(longer.tracks[0].image)
    assert longer.origin != examples.origin


def test_rows_have_the_methods_that_there_are(bench, skimmer):
    rows = by_length(bench, {"ours (sparse)": Skimming("ours (sparse)", skimmer, 2, 5)})
    assert [row["times"] for row in rows] == [1, 2, 4]
    assert rows[0]["mean_timestamps"] == 32.5
    assert all(list(row["top1"]) == ["ours (sparse)"] for row in rows)
