"""Outlines and patterns of objects, as functions over the plane in which the object's radius is 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Outline = Callable[[Plane, Plane], Plane]


def _disc(x: Plane, y: Plane) -> Plane:
    return np.sqrt(x * x + y * y) - np.float32(0.85)


def _square(x: Plane, y: Plane) -> Plane:
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.75)


def _ring(x: Plane, y: Plane) -> Plane:
    return np.abs(np.sqrt(x * x + y * y) - np.float32(0.72)) - np.float32(0.22)


def _starlike(points: int, outer: float, inner: float) -> Outline:
    """Return a star with corners at ``outer``, notches at ``inner``; a polygon at inner = outer·cos(π/n)."""
    half = math.pi / points
    edge = np.array([inner * math.cos(half) - outer, inner * math.sin(half)])
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)

    def outline(x: Plane, y: Plane) -> Plane:
        # Mirroring every sector onto the first leaves a single edge to measure from.
        angle = np.abs((np.arctan2(x, -y) + np.float32(half)) % np.float32(2.0 * half) - np.float32(half))
        radius = np.sqrt(x * x + y * y)
        distance: Plane = (radius * np.cos(angle) - np.float32(outer)) * np.float32(normal[0])
        distance += radius * np.sin(angle) * np.float32(normal[1])
        return distance

    return outline


def _cross(x: Plane, y: Plane) -> Plane:
    wide, high = np.abs(x), np.abs(y)
    bar, post = np.float32(0.9), np.float32(0.3)
    return np.minimum(np.maximum(wide - bar, high - post), np.maximum(wide - post, high - bar))


def _crescent(x: Plane, y: Plane) -> Plane:
    bite = np.float32(0.7) - np.sqrt((x - np.float32(0.45)) ** 2 + y * y)
    return np.maximum(np.sqrt(x * x + y * y) - np.float32(0.95), bite)


def _heart(x: Plane, y: Plane) -> Plane:
    # A square on its corner with a disc on each of its upper sides.
    side = np.abs(x)
    square = (np.abs(x) + np.abs(y - np.float32(0.1))) * np.float32(math.sqrt(0.5)) - np.float32(0.55)
    lobe = np.sqrt((side - np.float32(0.39)) ** 2 + (y + np.float32(0.29)) ** 2) - np.float32(0.55)
    return np.minimum(square, lobe)


def _arrow(x: Plane, y: Plane) -> Plane:
    side = np.abs(x)
    head = np.maximum((side * 1.2 - y - np.float32(0.95)) * np.float32(0.64), y - np.float32(0.05))
    shaft = np.maximum(side - np.float32(0.25), np.abs(y - np.float32(0.45)) - np.float32(0.45))
    return np.minimum(head, shaft)


OUTLINES: dict[str, Outline] = {
    "ball": _disc,
    "box": _square,
    "star": _starlike(5, 1.08, 0.45),
    "ring": _ring,
    "triangle": _starlike(3, 1.1, 0.55),
    "cross": _cross,
    "crescent": _crescent,
    "heart": _heart,
    "hexagon": _starlike(6, 0.95, 0.95 * math.cos(math.pi / 6)),
    "arrow": _arrow,
}

EXTENT = 1.15
"""No outline reaches farther from its middle than this."""


def _plain(x: Plane, y: Plane, grain: float) -> Plane:
    return np.zeros_like(x)


def _halves(x: Plane, y: Plane, grain: float) -> Plane:
    return (y > 0).astype(np.float32)


def _stripes(x: Plane, y: Plane, grain: float) -> Plane:
    return (np.sin(y * np.float32(3.0 * grain)) > 0).astype(np.float32)


def _checks(x: Plane, y: Plane, grain: float) -> Plane:
    step = np.float32(3.0 * grain)
    return (np.sin(x * step) * np.sin(y * step) > 0).astype(np.float32)


def _shade(x: Plane, y: Plane, grain: float) -> Plane:
    return np.clip(np.float32(0.5) + np.float32(0.5) * x, 0.0, 1.0)


TEXTURES: dict[str, Callable[[Plane, Plane, float], Plane]] = {
    "plain": _plain,
    "halves": _halves,
    "stripes": _stripes,
    "checks": _checks,
    "shade": _shade,
}


def mark(x: Plane, y: Plane) -> NDArray[np.bool_]:
    """Return a wedge on one side of the object: without it a plain ball could spin unseen."""
    return (np.abs(x) < np.float32(0.6) * -y) & (y < 0)
