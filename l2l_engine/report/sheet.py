"""A matplotlib figure addressed in inches from the top left, with text that is only ever text."""

from __future__ import annotations

from functools import lru_cache

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from l2l_engine.report.words import visible

PAPER, INK, SOFT, LINE = "#ffffff", "#1c1e20", "#575c61", "#dedbd3"
LOOK, LISTEN, PEAKS, LEVELS = "#0b6375", "#9c4a08", "#c3c4c2", "#858a8e"

_FONT = "DejaVu Sans"
"""Comes with matplotlib, so a plot looks the same everywhere."""


class Sheet:
    """A page of ``width`` by ``height`` inches. Not pyplot: nothing global, and safe from threads."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), facecolor=PAPER)
        FigureCanvasAgg(self.figure)
        self._width, self._height = width, height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Empty axes without a frame, whose coordinates run from 0 to 1 until they are changed."""
        box = (
            left / self._width,
            1 - (top + height) / self._height,
            width / self._width,
            height / self._height,
        )
        axes = self.figure.add_axes(box, facecolor="none")
        axes.set_axis_off()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        return axes

    def text(
        self,
        left: float,
        top: float,
        words: str,
        *,
        size: float = 8.5,
        colour: str = SOFT,
        bold: bool = False,
        align: str = "left",
        longest: int = 60,
    ) -> None:
        """Words with their base line at ``top``; names of others are shortened, and never formulas."""
        self.figure.text(
            left / self._width,
            1 - top / self._height,
            drawable(shortened(words, longest)),
            fontsize=size,
            color=colour,
            fontfamily=_FONT,
            fontweight="bold" if bold else "normal",
            horizontalalignment=align,
            parse_math=False,
        )


def shortened(words: str, longest: int) -> str:
    """At most ``longest`` characters; the end of a name says more than its middle."""
    if len(words) <= longest:
        return words
    tail = longest // 3
    return f"{words[: longest - tail - 1]}…{words[-tail:]}"


def drawable(words: str) -> str:
    """``words`` with a box for what the font does not have; matplotlib would warn of each."""
    known = _known()
    return "".join(c if ord(c) in known else "□" for c in visible(words))


@lru_cache(maxsize=1)
def _known() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=_FONT))).get_charmap())
