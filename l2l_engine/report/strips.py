"""Pieces of SVG that share the time axis.

A strip is as wide as its place on the page, whatever that is: positions along time are percentages, and only
curves, in a nested drawing, are stretched. So text keeps its shape, and nothing needs a style attribute,
which the page's Content-Security-Policy forbids.
"""

from __future__ import annotations

from l2l_engine.report.geometry import HEIGHT, WIDTH, Axis
from l2l_engine.report.markup import Markup, element, join
from l2l_engine.report.words import clock


def strip(height: int, *children: str | None, class_: str, label: str | None = None) -> Markup:
    """A drawing over the full width; ``label`` makes it an image for those who cannot see it."""
    return element(
        "svg",
        *children,
        class_=f"strip {class_}",
        height=height,
        role="img" if label else None,
        aria_label=label,
        aria_hidden=None if label else "true",
    )


def stretched(
    *children: str | None, y: float = 0, height: float | str = "100%", id_: str | None = None
) -> Markup:
    """A drawing of 1000 by 100 stretched over the strip."""
    return element(
        "svg",
        *children,
        id_=id_,
        y=y,
        width="100%",
        height=height,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
    )


def path(d: str, *, class_: str, id_: str | None = None) -> Markup:
    """A path whose line keeps its width when the drawing is stretched."""
    return element("path", id_=id_, class_=class_, d=d, vector_effect="non-scaling-stroke")


def grid(axis: Axis) -> Markup:
    """The vertical lines at the ticks."""
    lines = (axis.percent(tick) for tick in axis.ticks())
    return join(*(element("line", class_="grid", x1=x, x2=x, y1=0, y2="100%") for x in lines))


def span() -> Markup:
    """Where the selected segment will be shaded; the script gives it a place."""
    return element("rect", class_="span", y=0, width=0, height="100%")


def hair(kind: str, x: str) -> Markup:
    """The vertical line at what the selected step looked at or listened to."""
    return element("line", class_=f"hair {kind}", x1=x, x2=x, y1=0, y2="100%")


def scale(axis: Axis, *, class_: str = "scale") -> Markup:
    """The axis itself: ticks with their times."""
    decimals = 1 if axis.ticks()[-1] % 1 or axis.duration < 2 else 0
    marks = []
    for tick in axis.ticks():
        x = axis.percent(tick)
        marks.append(element("line", class_="tick", x1=x, x2=x, y1=0, y2=5))
        # The first label would hang over the left edge.
        anchor = "start" if tick == 0 else "middle"
        marks.append(element("text", clock(tick, decimals), x=x, y=18, text_anchor=anchor))
    return strip(24, *marks, class_=class_)
