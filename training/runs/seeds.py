"""One seed for everything that is drawn at random."""

from __future__ import annotations

import numpy as np
import torch

from training.runs import devices


def seed_everything(*parts: int) -> np.random.Generator:
    """Seed PyTorch and return a generator of the same seed, e.g. (seed, epoch).

    Of several processes, each has its own seed for PyTorch, which augments its share of a batch, and all
    have the same generator, which draws the batches.
    """
    sequence = np.random.SeedSequence(parts)
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1) + devices.rank())
    return np.random.default_rng(sequence)
