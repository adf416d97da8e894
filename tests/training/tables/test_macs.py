"""Multiply-adds against counts by hand."""

import pytest
import torch
import torchvision
from torch import nn

from training.models import ImageEncoder, SkimmingNetwork
from training.models.teacher import Teacher
from training.tables import macs

SIZES = {"features": 8, "fusion": 6, "keys": 5, "hidden": 7}


def test_a_convolution_and_a_linear_layer():
    # 5 maps of 8 x 8 pixels, each of 7 inputs x 3 x 3; then 105 weights for each of 3 rows.
    assert macs.count(nn.Conv2d(7, 5, 3), torch.zeros(2, 7, 10, 10)) == 2 * 5 * 64 * 7 * 9
    assert macs.count(nn.Linear(7, 15), torch.zeros(3, 7)) == 3 * 105


def test_recurrent_layers_are_counted_too():
    gates = 4 * 5 * (7 + 5)
    assert macs.count(nn.LSTMCell(7, 5), torch.zeros(3, 7)) == 3 * gates
    assert macs.count(nn.LSTM(7, 5, batch_first=True), torch.zeros(3, 11, 7)) == 3 * 11 * gates
    two = macs.count(nn.LSTM(7, 5, num_layers=2), torch.zeros(11, 3, 7))
    assert two == 3 * 11 * (gates + 4 * 5 * (5 + 5))


def test_resnet18_has_its_known_number():
    with torch.device("meta"):  # counted, not computed
        found = macs.count(torchvision.models.resnet18(), torch.zeros(1, 3, 224, 224))
    assert found / 1e9 == pytest.approx(1.81, abs=0.01)


def test_the_paper_s_encoders_at_its_sizes():
    with torch.device("meta"):
        image = macs.count(ImageEncoder(), torch.zeros(1, 112, 112, 3, dtype=torch.uint8))
        clip = torch.zeros(1, macs.CLIP_FRAMES, 112, 112, 3, dtype=torch.uint8)
        teacher = macs.count(Teacher(400), clip)
    # ResNet-18 at a quarter of 224 x 224 pixels; what is published for R(2+1)D-18 on 16 frames.
    assert image / 1e9 == pytest.approx(0.486, abs=0.01)
    assert teacher / 1e9 == pytest.approx(40.5, abs=0.5)


@pytest.mark.parametrize(("n", "image", "audio", "steps"), [(40, 5, 9, 1), (30, 9, 4, 3), (90, 20, 20, 10)])
def test_a_skim(n, image, audio, steps):
    d, f, k, h = SIZES.values()
    skimmer = SkimmingNetwork(3, **SIZES).eval()
    parts = macs.skim_parts(skimmer, d, (n, image, audio), steps)
    assert parts["fusion"] == steps * (2 * d * f + f * d)
    assert parts["key"] == (image + audio) * d * k
    assert parts["lstm"] == steps * 4 * h * (d + h)
    assert parts["query"] == steps * 2 * h * k
    assert parts["modality"] == steps * 2 * h
    assert parts["classifier"] == 3 * d
    # Scores and the sums of Eq. 7 at the knots; Eq. 8 mixes two numbers a timestamp.
    at_knots = steps * (image + audio) * (k + d)
    assert at_knots <= parts["attention"] <= at_knots + steps * 2 * n
    assert sum(parts.values()) == 2 * parts["all"]
    law = macs.skim_macs(skimmer, d, steps)
    assert law.of(n, image, audio) == pytest.approx(parts["all"])


def test_cost_is_of_one_row():
    found = macs.cost(nn.Linear(1000, 10), torch.zeros(4, 1000), repeats=1)
    assert found.gmac == pytest.approx(1e-5)
    assert found.seconds > 0
    assert found * 2 + macs.Cost(1.0, 0.0) == macs.Cost(1.0 + 2 * found.gmac, 2 * found.seconds)
