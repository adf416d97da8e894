"""When what happens: a row of bars for each class on the time axis, and the same as a list."""

from __future__ import annotations

from collections.abc import Sequence

from l2l_engine.report.geometry import Axis
from l2l_engine.report.markup import Markup, element
from l2l_engine.report.strips import grid
from l2l_engine.report.words import clock, count, percent, visible
from l2l_engine.result import Prediction, Segment

MOST = 200
"""Segments shown, the surest of them; each is a stop of the Tab key."""
_ROW, _BAR, _TOP = 34, 14, 17
_LONGEST = 60
"""Characters of a name in the figure; the list has all of them."""


def bars(prediction: Prediction, axis: Axis) -> Markup | None:
    """A row for each class, in the order in which they first happen; None where nothing does."""
    rows = by_class(shown(prediction))
    if not rows:
        return None
    drawn = [_row(name, found, axis, place * _ROW) for place, (name, found) in enumerate(rows.items())]
    # Not an image to those who cannot see it: the bars in it are buttons.
    picture = element(
        "svg",
        grid(axis),
        *drawn,
        class_="strip bars",
        height=_ROW * len(rows),
        role="group",
        aria_label="Segments",
    )
    return element("div", picture, class_="band when")


def _row(name: str, found: Sequence[Segment], axis: Axis, top: int) -> Markup:
    words = visible(name)
    short = words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
    label = element("text", short, x=0, y=top + 12, aria_hidden="true")
    return element("g", label, *(_bar(segment, axis, top + _TOP) for segment in found))


def _bar(segment: Segment, axis: Axis, top: int) -> Markup:
    left, width = axis.percent(segment.start_s), _width(segment, axis)
    return element(
        "g",
        element("rect", class_="segment", x=left, width=width, y=top, height=_BAR, rx=2),
        class_="bar-button",
        role="button",
        tabindex=0,
        aria_pressed="false",
        aria_label=f"{visible(segment.label)}, {_span(segment)}, {percent(segment.score)}",
        data_from=left,
        data_width=width,
    )


def _width(segment: Segment, axis: Axis) -> str:
    """At least a few pixels: a short segment of a long video is to be seen, and to be hit."""
    share = axis.share(segment.end_s) - axis.share(segment.start_s)
    return f"{100 * min(1 - axis.share(segment.start_s), max(share, 0.004)):.3f}%"


def segment_list(prediction: Prediction) -> Markup | None:
    """All that the bars say, as text; None of a plan that has no segments."""
    if prediction.segments is None:
        return None
    chosen = shown(prediction)
    rows = [
        element(
            "li",
            element("span", element("bdi", visible(segment.label)), class_="name"),
            element("span", _span(segment), class_="when"),
            element("span", percent(segment.score), class_="score"),
        )
        for segment in chosen
    ]
    more = len(prediction.segments) - len(chosen)
    told = f"These are the surest; there are {more:,} more." if more else None
    nothing = None if rows else "Nothing: no class reaches its threshold at any time."
    return element(
        "section",
        element("h2", "When it happens", id_="when"),
        element("p", told or nothing, class_="legend") if told or nothing else None,
        element("ol", *rows, class_="segments") if rows else None,
        aria_labelledby="when",
    )


def shown(prediction: Prediction) -> list[Segment]:
    """The segments that there is room for, by start."""
    surest = sorted(prediction.segments or (), key=lambda segment: -segment.score)[:MOST]
    return sorted(surest, key=lambda segment: (segment.start_s, segment.end_s))


def by_class(segments: Sequence[Segment]) -> dict[str, list[Segment]]:
    """Segments by their class, in the order in which classes first happen."""
    found: dict[str, list[Segment]] = {}
    for segment in segments:
        found.setdefault(segment.label, []).append(segment)
    return found


def told(prediction: Prediction) -> str | None:
    """One sentence about the bars; None where there are none."""
    if not prediction.segments:
        return None
    classes = len(by_class(prediction.segments))
    return f"{count(len(prediction.segments), 'segment')} of {count(classes, 'class', 'classes')}."


def _span(segment: Segment) -> str:
    return f"{clock(segment.start_s)} to {clock(segment.end_s)}"
