"""Training of the skimmer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SkimConfig:
    """Training of the skimmer on cached features.

    Attributes:
        train, validation: Names of rendered sets.
        steps: T.
        early_steps: T of two batches in three, for whoever stops early.
        factors: Knots are every k-th timestamp, a batch's k one of these.
        few_frames: Share of batches with few frames at irregular times, and all the sound.
        recombine: Share of training sequences whose segments are shuffled and exchanged.
        drop_image, drop_audio: Shares of sequences that lose a modality.
        noise: Deviation of the noise on features, in units of their mean size.
        block_vote: Share of steps at which one modality must choose for both (Eq. 8), in the first update
            and in the last, and in between in proportion.
        early_weight: Weight of the loss after 2, 3, ... T-1 steps beside the one after T.
        checkpoint_every: Updates between checkpoints.
    """

    train: tuple[str, ...] = ("train",)
    validation: tuple[str, ...] = ("validation",)
    steps: int = 10
    early_steps: int = 3
    updates: int = 5000
    batch: int = 32
    rate: float = 2e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    factors: tuple[int, ...] = (1, 2, 3, 4, 5, 5)
    few_frames: float = 0.15
    recombine: float = 0.7
    drop_image: float = 0.03
    drop_audio: float = 0.08
    noise: float = 0.1
    block_vote: tuple[float, ...] = (0.5, 0.1)
    early_weight: float = 0.3
    checkpoint_every: int = 250
