from pathlib import Path

import numpy as np
import pytest
import torch

from l2l_engine.media import knots as runtime_knots
from l2l_engine.media import timestamps
from training.config import SkimConfig
from training.skimming.features import VideoFeatures
from training.skimming.sequences import (
    Density,
    Recombiner,
    collate,
    draw_density,
    draw_knots,
    draw_length,
    fixed_knots,
    random_knots,
    to_sequences,
    truth,
)
from training.videos.manifest import Video

HOP = 0.5


def tracks():
    """Features that say what they are: where the action is, image = label and audio = 1; elsewhere 0."""
    made = []
    for number in range(6):
        n, label = 60 + 20 * number, "ab"[number % 2]
        stretch = (10.0 + number, 15.0 + number)
        video = Video(Path(f"{number}.mp4"), str(number), label, n * HOP, (stretch,))
        times = HOP * np.arange(n)
        inside = torch.from_numpy((times >= stretch[0]) & (times < stretch[1])).float()
        image = (inside * (1 + number % 2))[:, None].repeat(1, 3)
        valid = torch.ones(n, dtype=torch.bool)
        made.append(VideoFeatures(video, image, inside[:, None].repeat(1, 3), valid, valid.clone(), HOP))
    return to_sequences(made, ("a", "b"))


def test_truth_follows_the_stretches():
    track = tracks()[1]
    assert track.label == 1
    assert torch.equal(track.inside, track.image[:, 0] > 0)
    assert int(track.inside.sum()) == 10


def test_recombined_videos_keep_their_label_and_their_truth():
    recombine, rng = Recombiner(tracks()), np.random.default_rng(0)
    labels = set()
    for _ in range(50):
        track = recombine(rng, 225)
        labels.add(track.label)
        assert 45 <= len(track) <= 225
        assert torch.equal(track.inside, track.image[:, 0] > 0)
        assert set(track.image[track.inside][:, 0].tolist()) == {1.0 + track.label}
        assert 6 <= int(track.inside.sum()) <= 0.16 * len(track) + 6
    assert labels == {0, 1}


def test_long_videos_are_recombined_as_far_as_the_settings_go():
    recombine, rng, settings = Recombiner(tracks()), np.random.default_rng(0), SkimConfig(longest=900)
    longest = [draw_length(rng, settings) for _ in range(400)]
    assert 0.4 < np.mean([each == 225 for each in longest]) < 0.6
    assert 225 <= min(longest) < max(longest) <= 900
    track = recombine(rng, max(longest))
    assert max(longest) // 5 <= len(track) <= max(longest)
    assert torch.equal(track.inside, track.image[:, 0] > 0)


def test_without_long_videos_nothing_is_drawn_for_them():
    rng, untouched = np.random.default_rng(0), np.random.default_rng(0)
    assert draw_length(rng, SkimConfig()) == 225
    assert rng.random() == untouched.random()


def test_random_knots_keep_the_bound_on_gaps():
    rng = np.random.default_rng(0)
    sizes = set()
    for _ in range(200):
        knots = random_knots(rng, 100, int(rng.integers(1, 6)))
        assert knots[0] < 5
        assert knots[-1] >= 95
        assert 1 <= np.diff(knots).min() <= np.diff(knots).max() <= 5
        sizes.add(len(knots))
    assert {20, 100} <= sizes


def test_few_frames_come_with_all_the_sound():
    rng, settings, track = np.random.default_rng(0), SkimConfig(drop_image=0, drop_audio=0), tracks()[5]
    gaps, audio_gaps = [], []
    for _ in range(50):
        item = draw_knots(rng, track, Density(1, 5, few_frames=True), settings)
        assert set(item.image_knots) <= set(item.audio_knots)
        gaps += np.diff(item.image_knots).tolist()
        audio_gaps += np.diff(item.audio_knots).tolist()
    assert min(gaps) == 1
    assert 20 < max(gaps) <= 30
    assert max(audio_gaps) == 5


def test_a_batch_has_one_density():
    rng = np.random.default_rng(0)
    drawn = [draw_density(rng, SkimConfig(factors=(2, 5), few_frames=0.5)) for _ in range(100)]
    assert {density.image for density in drawn} == {density.audio for density in drawn} == {2, 5}
    assert {density.few_frames for density in drawn} == {True, False}


def test_fixed_knots_are_the_runtimes():
    track = tracks()[0]
    expected = runtime_knots(timestamps(len(track) * HOP, HOP), 5)
    np.testing.assert_array_equal(fixed_knots(track, 5).image_knots * HOP, expected)


def test_collate_pads_and_keeps_missing_modalities_apart():
    first, second = tracks()[:2]
    first.audio_valid[:] = False
    second.image_valid[5] = False
    batch = collate([fixed_knots(first, 5), fixed_knots(second, 5)])
    assert batch.image_lengths.tolist() == [12, 15]
    assert batch.audio_lengths.tolist() == [0, 16]
    assert batch.lengths.tolist() == [60, 80]
    assert batch.image_times[1, :2].tolist() == [0.0, 10 * HOP]
    labels, inside = truth([fixed_knots(first, 5), fixed_knots(second, 5)])
    assert labels.tolist() == [0, 1]
    assert inside.shape == (2, 80)
    assert not inside[0, 60:].any()


@pytest.mark.parametrize(("drop_image", "drop_audio"), [(1.0, 0.0), (0.0, 1.0)])
def test_modalities_are_dropped_one_at_a_time(drop_image, drop_audio):
    settings = SkimConfig(drop_image=drop_image, drop_audio=drop_audio)
    item = draw_knots(np.random.default_rng(0), tracks()[0], Density(5, 5, few_frames=False), settings)
    assert (len(item.image_knots) == 0) == (drop_image == 1.0)
    assert (len(item.audio_knots) == 0) == (drop_audio == 1.0)
