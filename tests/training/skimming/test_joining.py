"""Sequences joined from trimmed clips."""

import numpy as np
import pytest
import torch

from training.errors import InputError
from training.skimming.joining import BACKGROUND, Joiner, JoinSettings
from training.skimming.sequences import Track

HOP = 0.5


def track(label: int, value: float, count: int = 10) -> Track:
    nothing, valid = torch.zeros(count, 0), torch.ones(count, dtype=torch.bool)
    inside = torch.full((count,), label != BACKGROUND)
    return Track(nothing, torch.full((count, 3), value), ~valid, valid, inside, label, HOP)


def test_one_clip_lies_whole_among_what_is_none_of_the_classes():
    clips = [track(0, 1.0), track(1, 2.0), track(1, 2.0)]
    joiner = Joiner(
        clips, [track(BACKGROUND, -1.0)], [track(BACKGROUND, -2.0)], JoinSettings(10, 30, part=0.0)
    )
    rng = np.random.default_rng(0)
    drawn = [joiner(rng) for _ in range(400)]
    values: set[float] = set()
    for sequence in drawn:
        assert 10 / HOP <= len(sequence) < 30 / HOP + 10
        assert int(sequence.inside.sum()) == 10
        assert (sequence.audio[sequence.inside] == sequence.label + 1).all()
        assert (sequence.audio[~sequence.inside] < 0).all()
        values |= set(sequence.audio[:, 0].tolist())
    assert values == {-2.0, -1.0, 1.0, 2.0}
    # All classes come equally often, however many clips they have.
    assert 140 < sum(sequence.label for sequence in drawn) < 260


def test_parts_are_at_least_as_long_as_they_must_be():
    settings = JoinSettings(5, 10, part=1.0, least=2.0)
    joiner = Joiner([track(0, 1.0)], [track(BACKGROUND, -1.0)], settings=settings)
    rng = np.random.default_rng(1)
    lengths = {int(joiner(rng).inside.sum()) for _ in range(100)}
    assert lengths == set(range(4, 11))


def test_what_was_given_stays_as_it_was():
    background = track(0, -1.0)  # a track of another folder, which says that its class is there
    joiner = Joiner([track(0, 1.0)], [background], settings=JoinSettings(10, 30, part=0.0))
    sequence = joiner(np.random.default_rng(0))
    assert int(sequence.inside.sum()) == 10
    assert background.inside.all()


@pytest.mark.parametrize(
    ("clips", "background", "complaint"),
    [([], [track(BACKGROUND, 0.0)], "no clips"), ([track(0, 1.0)], [], "none of the classes")],
)
def test_there_must_be_something_to_join(clips, background, complaint):
    with pytest.raises(InputError, match=complaint):
        Joiner(clips, background)
