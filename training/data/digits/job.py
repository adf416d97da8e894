"""A set of AV-Digits: what decides everything in it, and how one of its videos is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.data.digits.render import DigitFootage
from training.data.digits.source import DIGITS, SPLITS, load_source
from training.data.digits.timeline import Script, Settings, draw_script
from training.data.draw import Encoding, draw_encoding
from training.data.encode import write_footage
from training.data.sets import name_of
from training.data.synth_config import SynthConfig

_FILES = SynthConfig(
    sizes=((160, 120), (192, 144), (256, 144), (320, 240)),
    sample_rates=(16000,),
    stereo_share=0.2,
    silent_share=0.0,
)


@dataclass(frozen=True, slots=True)
class Job:
    """One set of videos: everything that decides what is in it.

    Attributes:
        data: The folder of recordings; see ``source.load_source``.
        seed: Of all that is random.
        split: Whose writers, speakers and sounds.
        clip: Short clips that are all match, instead of untrimmed videos.
        drawn: Ranges.
    """

    data: Path
    seed: int
    split: str
    clip: bool
    drawn: Settings = field(default_factory=Settings)

    def settings(self) -> dict[str, Any]:
        """Return all but where the recordings lie."""
        plain = asdict(self)
        del plain["data"]
        return plain

    def script(self, index: int) -> Script:
        """Return what is shown and said in video ``index``."""
        # Splits never share a script, even if someone gives them the same seed.
        return draw_script(
            self.seed * len(SPLITS) + SPLITS.index(self.split), index, clip=self.clip, settings=self.drawn
        )

    def encoding(self, index: int) -> Encoding:
        """Return how video ``index`` becomes a file."""
        return draw_encoding(np.random.default_rng([self.seed, index, 0xE2]), _FILES)

    def entry(self, index: int) -> dict[str, Any]:
        """Return the manifest's object for video ``index``."""
        script = self.script(index)
        return {
            "path": name_of(index),
            "label": DIGITS[script.label],
            "duration": round(script.duration, 6),
            "stretches": [[round(start, 6), round(end, 6)] for start, end in script.stretches],
            "parts": [
                {
                    "kind": p.kind,
                    "start": round(p.start, 6),
                    "end": round(p.end, 6),
                    "shown": p.shown,
                    "spoken": p.spoken,
                }
                for p in script.parts
            ],
            "encoding": asdict(self.encoding(index)),
        }

    def write(self, index: int, path: Path) -> None:
        """Renders video ``index``."""
        footage = DigitFootage(self.script(index), load_source(self.data, self.split))
        write_footage(footage, self.encoding(index), path)
