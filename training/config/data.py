"""Which videos a run is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.config.kinds import Count, Number
from training.config.parse import added


@dataclass(frozen=True, slots=True)
class RenderConfig:
    """One generated set of videos (``python -m training.data.synth`` or ``training.data.digits``).

    Attributes:
        split: "untrimmed" or "clips".
        config: Other ranges for AV-Kinetic, a TOML file.
        universe: The universe of AV-Kinetic, "target" or "source".
        digits: Folder of the recordings of which AV-Digits is made; AV-Kinetic without one.
        recordings: Whose writers, speakers and sounds: "train", "validation" or "test".
        without: Words of labels whose videos are left out: "ring" leaves out all four things that rings do.
    """

    seed: Number
    count: Count
    split: Literal["untrimmed", "clips"] = "untrimmed"
    config: str | None = None
    universe: Literal["target", "source"] = "target"
    digits: str | None = None
    recordings: Literal["train", "validation", "test"] = "train"
    without: tuple[str, ...] = added(())


@dataclass(frozen=True, slots=True)
class ReencodeConfig:
    """A generated set with its pictures encoded again (``python -m training.data.reencode``).

    Attributes:
        source: Name of the rendered set.
        gop: Frames from key frame to key frame.
    """

    source: str
    gop: Count = 250


@dataclass(frozen=True, slots=True)
class SetConfig:
    """A set of footage that is there already (``python -m training prepare``).

    Attributes:
        manifest: The manifest, or the folder that holds it.
        split: Only its entries of this split: "train", "validation" or "test"; all of them by default.
    """

    manifest: str
    split: Literal["train", "validation", "test"] | None = None
