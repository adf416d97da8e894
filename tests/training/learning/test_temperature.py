"""Temperatures follow what many videos say, and stay near 1 where there are few."""

import pytest
import torch

from training.learning.temperature import fit_temperature


def drawn(count):
    """Logits, and labels that come true as often as they say."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, 5, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return logits, labels


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_many_videos_find_what_their_logits_were_multiplied_by(times):
    logits, labels = drawn(3000)
    assert fit_temperature(times * logits, labels) == pytest.approx(times, rel=0.08)


def test_one_label_of_several_is_the_same_question():
    logits, _ = drawn(3000)
    drawn_each = torch.rand(logits.shape, generator=torch.Generator().manual_seed(1)) < logits.sigmoid()
    assert fit_temperature(2 * logits, drawn_each) == pytest.approx(2, rel=0.08)


@pytest.mark.parametrize("count", [1, 4, 16])
def test_few_videos_that_are_all_right_or_all_wrong_prove_little(count):
    logits = torch.tensor([[3.0, 0.0, 0.0]]).expand(count, 3)
    right = fit_temperature(logits, torch.zeros(count, dtype=torch.long))
    wrong = fit_temperature(logits, torch.ones(count, dtype=torch.long))
    assert 0.4 < right < 1 < wrong < 12


def test_no_videos_prove_nothing():
    assert fit_temperature(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)) == pytest.approx(1, rel=0.01)
