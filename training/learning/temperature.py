"""The temperature that makes confidences come true."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.learning.losses import class_loss


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature that minimises the classes' loss, between 0.05 and 20, to three digits.

    Few videos say little: if all of them are right, the loss alone would make confidences endlessly sure. So
    its sum is minimised together with log(T)^2 / 2, as if log(T) were normal a priori: a few videos move T
    little from 1, and hundreds as far as they ask for.

    Args:
        logits: [V, C].
        labels: int64 [V], or bool [V, C] where a video may have several.
    """
    several = labels.dtype == torch.bool
    if not several:
        labels = functional.one_hot(labels, logits.shape[1]).bool()
    temperatures = torch.logspace(np.log10(0.05), np.log10(20), 400)
    losses = torch.stack([class_loss(logits / t, labels, several).sum() for t in temperatures])
    losses += temperatures.log() ** 2 / 2
    return float(f"{float(temperatures[losses.argmin()]):.3g}")
