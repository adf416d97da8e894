"""Training of the skimmer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from l2l_engine.plan import MediaSettings
from training.config.kinds import Amount, Count, Positive, Share
from training.config.parse import added


@dataclass(frozen=True, slots=True)
class SkimConfig:
    """Training of the skimmer on cached features.

    Attributes:
        train, validation: Names of sets.
        hop: Seconds from one timestamp to the next, in training and in the plan.
        preset: "paper", "paired" or "released"; DESIGN 2 says how they differ. Behind frozen trunks
            (``model.tune = "none"``) also "auto": what cross-validation chooses, with its modalities; or
            "clip": the best head that averages.
        modalities: ["image", "audio"]; ["image"] for a visual-only skimmer; ["audio"] for an audio-only one.
        output: "softmax" where a video has one label, "sigmoid" where it may have several.
        steps: T.
        early_steps: T of two batches in three, for whoever stops early.
        factors: Knots are every k-th timestamp, a batch's k one of these.
        few_frames: Share of batches with few frames at irregular times, and all the sound.
        recombine: Share of training sequences whose segments are shuffled and exchanged.
        longest: Timestamps of the longest recombined sequence; a skimmer that never met long videos spreads
            its attention thin over them.
        drop_image, drop_audio: Shares of sequences that lose a modality.
        noise: Deviation of the noise on features, in units of their mean size.
        block_vote: Share of steps at which one modality must choose for both (Eq. 8), in the first update
            and in the last, and in between in proportion.
        early_weight: Weight of the loss after 2, 3, ... T-1 steps beside the one after T.
        checkpoint_every: Updates between checkpoints.
    """

    train: tuple[str, ...] = ("train",)
    validation: tuple[str, ...] = ("validation",)
    hop: float = added(MediaSettings().hop)
    preset: str = added("paper")
    modalities: tuple[str, ...] = added(("image", "audio"))
    output: str = added("softmax")
    steps: Count = 10
    early_steps: Count = 3
    updates: Count = 5000
    batch: Count = 32
    rate: Positive = 2e-3
    weight_decay: Amount = 0.01
    label_smoothing: Share = 0.0
    factors: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 3, 4, 5, 5)
    few_frames: Share = 0.15
    recombine: Share = 0.7
    longest: Count = added(225)
    drop_image: Share = 0.03
    drop_audio: Share = 0.08
    noise: Amount = 0.1
    block_vote: tuple[Share, Share] = (0.5, 0.1)
    early_weight: Amount = 0.3
    checkpoint_every: Count = 250

    def __post_init__(self) -> None:
        if not 1e-3 <= self.hop <= 3600:
            raise ValueError(f"skim.hop is {self.hop:g} s; it can be 0.001 to 3600")
        if self.preset not in {"paper", "paired", "released", "auto", "clip"}:
            raise ValueError(
                f"skim.preset is {self.preset!r}; it can be paper, paired, released, or with "
                'model.tune = "none" auto or clip'
            )
        if self.modalities not in {("image", "audio"), ("image",), ("audio",)}:
            raise ValueError(
                f"skim.modalities are {self.modalities!r}; they can be image and audio, or one of the two"
            )
        if self.preset == "paired" and len(self.modalities) < 2:
            raise ValueError(
                f"skim.preset paired joins images and sound; skim.modalities are {self.modalities[0]} alone"
            )
        if self.output not in {"softmax", "sigmoid"}:
            raise ValueError(f"skim.output is {self.output!r}; it can be softmax or sigmoid")

    @property
    def several(self) -> bool:
        """Whether a video may have several labels."""
        return self.output == "sigmoid"


@dataclass(frozen=True, slots=True)
class VariantsConfig:
    """What ``python -m training variants`` trains beside the skimmer, on the same features.

    Attributes:
        names: Any of "lstm", "non-recurrent" with the paper's keys, "non-recurrent-paired" with those of that
            preset, "visual-only", "long", "paper" and "released" for those presets, and "seed-N" for another
            seed.
        updates: Updates of the first three, which see every timestamp in every update.
    """

    names: tuple[str, ...] = (
        "lstm",
        "non-recurrent",
        "visual-only",
        "long",
        "released",
        "seed-1",
        "seed-2",
    )
    updates: Count = 1500
