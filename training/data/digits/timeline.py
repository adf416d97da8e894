"""Draws what is shown and what is said when.

Every video has a cast of a few digits, the label among them. Each is shown equally often, for about as long,
and spoken equally often, for about as long; so neither eyes nor ears, nor adding both up, tell the label. But
only the label is shown and spoken at the same time: the others are shown in silence, spoken over an empty
picture, or shown while another one is spoken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Rng = np.random.Generator
Kind = Literal["match", "shown", "spoken", "clash"]
_Slot = tuple[Kind, float, int | None, int | None]

GAP = (1.05, 1.6)
"""Seconds of nothing between two parts: more than the 1 s of sound that goes with a frame."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How videos are drawn.

    Attributes:
        cast: Digits in an untrimmed video, the label among them.
        stretches: Fewest and most times that each of them is shown, and is spoken.
        stretch: Seconds of one time.
        clash_share: How often a digit is shown while another is spoken, rather than either alone.
        clip_duration: Seconds of a clip, which is all match.
    """

    cast: int = 4
    stretches: tuple[int, int] = (1, 3)
    stretch: tuple[float, float] = (2.0, 3.5)
    clash_share: float = 0.5
    clip_duration: tuple[float, float] = (2.0, 3.0)


@dataclass(frozen=True, slots=True)
class Part:
    """What is shown and spoken from ``start`` to ``end``; digits, or None. ``seed`` decides how."""

    kind: Kind
    start: float
    end: float
    shown: int | None
    spoken: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class Script:
    """One video before it is rendered."""

    label: int
    duration: float
    parts: tuple[Part, ...]
    seed: int

    @property
    def stretches(self) -> list[tuple[float, float]]:
        """Where the label is shown and spoken."""
        return [(part.start, part.end) for part in self.parts if part.kind == "match"]


def label_of(base_seed: int, index: int) -> int:
    """Return a label; they come in shuffled rounds, so that any set is as balanced as it can be."""
    round_, place = divmod(index, 10)
    return int(np.random.default_rng([base_seed, round_]).permutation(10)[place])


def draw_script(base_seed: int, index: int, *, clip: bool, settings: Settings) -> Script:
    """Draw script number ``index`` of the set with this seed, independently of all others."""
    rng = np.random.default_rng([base_seed, index, int(clip), 0xD1])
    label = label_of(base_seed, index)
    if clip:
        duration = rng.uniform(*settings.clip_duration)
        return Script(label, duration, (Part("match", 0.0, duration, label, label, _seed(rng)),), _seed(rng))
    slots = _slots(rng, label, settings)
    parts, time = [], rng.uniform(*GAP)
    for number in rng.permutation(len(slots)):
        kind, length, shown, spoken = slots[number]
        parts.append(Part(kind, time, time + length, shown, spoken, _seed(rng)))
        time += length + rng.uniform(*GAP)
    return Script(label, time, tuple(parts), _seed(rng))


def _slots(rng: Rng, label: int, settings: Settings) -> list[_Slot]:
    """Return the label's matches, and each other digit shown and spoken as often, some at once."""
    others = rng.permutation([digit for digit in range(10) if digit != label])[: settings.cast - 1].tolist()
    times = int(rng.integers(settings.stretches[0], settings.stretches[1] + 1))
    slots: list[_Slot] = [("match", rng.uniform(*settings.stretch), label, label) for _ in range(times)]
    spoken = [int(digit) for digit in rng.permutation(others * times)]
    for shown in rng.permutation(others * times).tolist():
        length = rng.uniform(*settings.stretch)
        clashing = [digit for digit in spoken if digit != shown]
        if clashing and rng.random() < settings.clash_share:
            spoken.remove(clashing[0])
            slots.append(("clash", length, shown, clashing[0]))
        else:
            slots.append(("shown", length, shown, None))
    return slots + [("spoken", rng.uniform(*settings.stretch), None, digit) for digit in spoken]


def _seed(rng: Rng) -> int:
    return int(rng.integers(2**31))
