"""A training whose numbers are lost ends with an error and keeps the checkpoint from before."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from training.config import SkimConfig
from training.errors import DivergedError
from training.learning.epochs import Schedule, train_epochs
from training.learning.learner import Learner
from training.runs.checkpoint import Checkpoint
from training.skimming.train import fit


def over_epochs(network, checkpoint, loss):
    rows = np.arange(4)
    train_epochs(
        network,
        checkpoint,
        checkpoint.load(),
        rows=rows,
        schedule=Schedule(epochs=4, batch=2, rate=0.1, weight_decay=0.0, precision="fp32"),
        seed=0,
        loss=lambda _, learner: loss(),
        measure=dict,
    )


def over_updates(network, checkpoint, loss):
    settings = SkimConfig(updates=8, checkpoint_every=2, rate=0.1)
    fit(network, checkpoint, checkpoint.load(), settings, loss=lambda *_: loss(), measure=dict)


def poison_a_weight(network):
    """A loss that is a number, and a gradient that is none."""
    return network.weight.sum() + torch.sqrt(0 * network.weight.abs()).sum()


def lose_the_loss(network):
    return network.weight.sum() * math.nan


@pytest.mark.parametrize("train", [over_epochs, over_updates])
@pytest.mark.parametrize("spoil", [poison_a_weight, lose_the_loss])
def test_the_last_good_checkpoint_is_kept(tmp_path, train, spoil):
    network, done = nn.Linear(3, 1), 0

    def loss():
        nonlocal done
        done += 1
        return spoil(network) if done == 6 else network.weight.square().sum()

    with pytest.raises(DivergedError, match=r"Linear has diverged.*checkpoint is kept"):
        train(network, Checkpoint(tmp_path, {}), loss)
    assert done == 6
    state = Checkpoint(tmp_path, {}).load()
    assert all(value.isfinite().all() for value in state["network"].values())
    # Two updates an epoch, or a checkpoint: the third is the one that is lost.
    assert state["done"] == (2 if train is over_epochs else 4)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2
    fresh = nn.Linear(3, 1)
    train(fresh, Checkpoint(tmp_path, {}), lambda: fresh.weight.square().sum())
    assert Checkpoint(tmp_path, {}).load()["done"] == (4 if train is over_epochs else 8)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4


def test_a_finite_mean_is_what_is_logged():
    learner = Learner(nn.Linear(2, 1), rate=0.1, weight_decay=0, updates=2, warm_up=0.5, clip=1.0)
    assert learner.mean([torch.tensor(1.0), torch.tensor(4.0)]) == 2.5
