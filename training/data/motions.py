"""How motions look: displacements as functions of the cycles done."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from training.data.scene import Actor, Drive

TAU = 2.0 * math.pi


@dataclass(frozen=True, slots=True)
class Pose:
    """Where an object is: heights from the frame's middle, radians, factors of size and brightness."""

    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0
    scale: float = 1.0
    light: float = 1.0


def _along(distance: float, drive: Drive, angle: float = 0.0) -> Pose:
    return Pose(distance * math.cos(drive.tilt), distance * math.sin(drive.tilt), angle)


def _bouncing(u: float, drive: Drive) -> Pose:
    part = u % 1.0  # on the floor at whole cycles, a parabola between
    return Pose(y=-0.2 * drive.reach * 4.0 * part * (1.0 - part))


def _spinning(u: float, drive: Drive) -> Pose:
    return Pose(angle=TAU * u * drive.turn)


def _shaking(u: float, drive: Drive) -> Pose:
    # Both ways at once at unlike phases, so that it is no short slide.
    swing = 0.035 * drive.reach
    return Pose(
        swing * math.sin(TAU * u),
        swing * math.sin(TAU * (2.0 * u + 0.125)),
        0.16 * drive.reach * drive.turn * math.cos(TAU * u),
    )


def _sliding(u: float, drive: Drive) -> Pose:
    return _along(0.12 * drive.reach * drive.turn * math.sin(TAU * u), drive)


def _swinging(u: float, drive: Drive) -> Pose:
    lean = 0.6 * drive.reach * drive.turn * math.sin(TAU * u)
    return Pose(0.13 * math.sin(lean), 0.13 * math.cos(lean) - 0.13, -lean)


def _pulsing(u: float, drive: Drive) -> Pose:
    return Pose(scale=1.0 + 0.25 * drive.reach * math.sin(TAU * u))


def _orbiting(u: float, drive: Drive) -> Pose:
    radius = 0.08 * drive.reach
    return Pose(radius * math.cos(TAU * u), radius * drive.turn * math.sin(TAU * u))


def _zigzagging(u: float, drive: Drive) -> Pose:
    def triangle(v: float) -> float:
        return 4.0 * abs((v % 1.0) - 0.5) - 1.0

    return Pose(0.08 * drive.reach * triangle(u), 0.05 * drive.reach * triangle(3.0 * u))


def _flickering(u: float, drive: Drive) -> Pose:
    return Pose(light=1.0 if u % 1.0 < 0.5 else 1.0 - 0.6 * drive.reach)


def _hopping(u: float, drive: Drive) -> Pose:
    part = min((u % 1.0) / 0.6, 1.0)  # in the air for 60 % of the cycle, then it rests
    return Pose(y=-0.14 * drive.reach * 4.0 * part * (1.0 - part))


MOTIONS: dict[str, Callable[[float, Drive], Pose]] = {
    "bouncing": _bouncing,
    "spinning": _spinning,
    "shaking": _shaking,
    "sliding": _sliding,
    "swinging": _swinging,
    "pulsing": _pulsing,
    "orbiting": _orbiting,
    "zigzagging": _zigzagging,
    "flickering": _flickering,
    "hopping": _hopping,
}

PERIODS: dict[str, tuple[float, float]] = {
    # 16 frames last 16/30 s, so no cycle may take longer than 0.5 s.
    "bouncing": (0.32, 0.5),
    "spinning": (0.3, 0.5),
    "shaking": (0.16, 0.24),
    "sliding": (0.36, 0.5),
    "swinging": (0.4, 0.5),
    "pulsing": (0.25, 0.4),
    "orbiting": (0.3, 0.5),
    "zigzagging": (0.4, 0.5),
    "flickering": (0.14, 0.25),
    "hopping": (0.35, 0.5),
}


def pose(actor: Actor, elapsed: float) -> Pose:
    """Return where ``actor`` is ``elapsed`` seconds into its event: all displacements, one of which runs."""
    x, y, angle, scale, light = actor.x, actor.y, actor.angle, 1.0, 1.0
    for drive in actor.drives:
        cycles = drive.cycles(elapsed) if drive.motion == actor.moving else drive.phase
        part = MOTIONS[drive.motion](cycles, drive)
        x += part.x
        y += part.y
        angle += part.angle
        scale *= part.scale
        light *= part.light
    return Pose(x, y, angle, scale, light)
