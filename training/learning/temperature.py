"""The temperature that makes confidences come true."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.learning.losses import class_loss


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that minimises the classes' loss, between 0.05 and 20, to three digits.

    Args:
        logits: [V, C].
        labels: int64 [V], or bool [V, C] where a video may have several.
    """
    several = labels.dtype == torch.bool
    if not several:
        labels = functional.one_hot(labels, logits.shape[1]).bool()
    temperatures = torch.logspace(np.log10(0.05), np.log10(20), 400)
    losses = torch.stack([class_loss(logits / t, labels, several).mean() for t in temperatures])
    return float(f"{float(temperatures[losses.argmin()]):.3g}")
