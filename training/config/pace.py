"""How every network that learns from clips learns."""

from __future__ import annotations

from dataclasses import dataclass

from training.config.kinds import Amount, Count, Positive


@dataclass(frozen=True, slots=True)
class Pace:
    """The settings of every training that passes over its samples.

    Attributes:
        epochs: Passes over the samples.
        batch: Samples an update.
        rate: Greatest learning rate.
        weight_decay: The weight decay of AdamW.
    """

    epochs: Count = 12
    batch: Count = 64
    rate: Positive = 2e-3
    weight_decay: Amount = 0.02
