"""A scene: all that a video shows and sounds like, as a value; rendering it is a pure function of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Colour = tuple[float, float, float]
EventKind = Literal["action", "silent motion", "sound alone", "rest", "empty"]
"""What a piece of the timeline holds; only "action" has a moving object *and* the sound of its motion."""


@dataclass(frozen=True, slots=True)
class Drive:
    """One motion's numbers, shared by the picture and the sound so that they cannot drift apart.

    Attributes:
        motion: Name of the motion.
        period: Seconds a cycle takes.
        phase: Cycles already done when the event begins.
        reach: How far it goes, as a fraction of the motion's greatest reach.
        tilt: Radians by which its direction is turned.
        turn: +1 or -1, the sense of the motion.
    """

    motion: str
    period: float
    phase: float
    reach: float
    tilt: float
    turn: float

    def cycles(self, elapsed: float) -> float:
        """Return cycles done ``elapsed`` seconds into the event."""
        return self.phase + elapsed / self.period


@dataclass(frozen=True, slots=True)
class Look:
    """How an object looks, all of it independent of what it does.

    Attributes:
        shape: Object kind.
        size: Radius as a fraction of the frame's height.
        colours: Body, pattern and the mark that makes a turn visible on a round object.
        texture: Name of the pattern.
        grain: Pattern's frequency.
        rim: Colour of the outline.
    """

    shape: str
    size: float
    colours: tuple[Colour, Colour, Colour]
    texture: str
    grain: float
    rim: Colour


@dataclass(frozen=True, slots=True)
class Actor:
    """An object somewhere in the frame; lengths are fractions of the frame's height, (0, 0) its middle.

    Attributes:
        look: How it looks.
        x: Where its motions are centred, rightwards.
        y: The same, downwards.
        angle: Radians.
        drives: One for *every* motion of the universe. All are added up, but only ``moving`` runs; the others
            stand still at a random phase. So a frozen frame has the same distribution whatever the motion.
        moving: The motion that runs, or None for an object at rest.
    """

    look: Look
    x: float
    y: float
    angle: float
    drives: tuple[Drive, ...]
    moving: str | None


@dataclass(frozen=True, slots=True)
class Voice:
    """A motion's sound.

    Attributes:
        drive: The motion, its period and phase.
        pitch: Hz, drawn apart from motion and object.
        level: Peak.
        seed: Of its noise, timbre and filter.
    """

    drive: Drive
    pitch: float
    level: float
    seed: int


@dataclass(frozen=True, slots=True)
class Bed:
    """Sound that no motion makes: "noise" or "music"."""

    kind: str
    level: float
    seed: int


@dataclass(frozen=True, slots=True)
class Event:
    """What happens from ``start`` to ``end`` (seconds). Events do not overlap and fill the whole video.

    Attributes:
        kind: What it holds.
        start: Seconds.
        end: Seconds.
        actor: The visible object, if any.
        voice: The motion's sound, if any.
        bed: Other sound, if any.
        fade: Seconds in which the object fades in and out, inside the event.
    """

    kind: EventKind
    start: float
    end: float
    actor: Actor | None = None
    voice: Voice | None = None
    bed: Bed | None = None
    fade: float = 0.0


@dataclass(frozen=True, slots=True)
class Shot:
    """From ``start`` on the background is drawn from seed ``background``; ``dip`` is a fade through black."""

    start: float
    background: int
    dip: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """One video before it is rendered.

    Attributes:
        universe: Name of the universe.
        label: Class name.
        duration: Seconds.
        events: In order, without holes.
        shots: In order, the first at 0.
        drift: Camera: reach (of the height), two periods (s) and two phases.
        light: Lighting: mean, depth, period (s), phase.
        room: Level and seed of the faint noise that is always there.
    """

    universe: str
    label: str
    duration: float
    events: tuple[Event, ...]
    shots: tuple[Shot, ...]
    drift: tuple[float, float, float, float, float]
    light: tuple[float, float, float, float]
    room: tuple[float, int]

    @property
    def stretches(self) -> list[tuple[float, float]]:
        """Start and end of every piece in which the labelled action is seen and heard."""
        return [(event.start, event.end) for event in self.events if event.kind == "action"]
