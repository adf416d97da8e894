"""The worlds of AV-Kinetic: which object kinds and motions there are, and how their classes are called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Universe:
    """Every object kind can make every motion; a class is one of each.

    Attributes:
        name: "target" or "source".
        objects: Object kinds, the outlines of ``shapes.py``.
        motions: Motions, of ``motions.py`` (how it looks) and ``sounds.py`` (how it sounds).
    """

    name: str
    objects: tuple[str, ...]
    motions: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names as a person would say them, objects outermost: "ball bouncing"."""
        return tuple(f"{kind} {motion}" for kind in self.objects for motion in self.motions)


UNIVERSES = {
    universe.name: universe
    for universe in (
        Universe("target", ("ball", "box", "star", "ring"), ("bouncing", "spinning", "shaking", "sliding")),
        # Nothing of the target: what a teacher learns here is how to see and hear, not the answers.
        Universe(
            "source",
            ("triangle", "cross", "crescent", "heart", "hexagon", "arrow"),
            ("swinging", "pulsing", "orbiting", "zigzagging", "flickering", "hopping"),
        ),
    )
}
