"""What a plan of tags heard and saw, and where on the time axis."""

from __future__ import annotations

from l2l_engine.report.geometry import Axis
from l2l_engine.report.markup import Markup, element
from l2l_engine.report.strips import grid, scale, strip
from l2l_engine.report.words import clock, percent, visible
from l2l_engine.result import Prediction, Tag

NOTE = (
    "Tags are what published networks name by themselves at single moments: sounds and things, not actions. "
    "A score is the highest that a moment has; dots are the moments of the highest scores."
)
_ROW = 24


def tag_lists(prediction: Prediction, axis: Axis) -> Markup | None:
    """Both lists of tags, each tag with its moments on the axis; None for other plans."""
    lists = [
        _list(title, kind, tags, axis)
        for title, kind, tags in (("Heard", "listen", prediction.heard), ("Seen", "look", prediction.seen))
        if tags
    ]
    if not lists:
        return None
    return element(
        "section",
        element("h2", "Tags", id_="tags"),
        element("p", NOTE, class_="legend"),
        *lists,
        element("div", scale(axis), class_="foot"),
        class_="tags",
        aria_labelledby="tags",
    )


def _list(title: str, kind: str, tags: tuple[Tag, ...], axis: Axis) -> Markup:
    rows = (_row(tag, kind, axis) for tag in tags)
    return element("div", element("h3", title), element("ol", *rows), class_=kind)


def _row(tag: Tag, kind: str, axis: Axis) -> Markup:
    dots = (element("circle", class_=kind, cx=axis.percent(at), cy=_ROW / 2, r=4) for at in tag.seconds)
    times = ", ".join(clock(at) for at in tag.seconds)
    label = f"{visible(tag.name)}: {percent(tag.score)} at {times}"
    return element(
        "li",
        element("span", element("bdi", visible(tag.name)), class_="name"),
        element("span", percent(tag.score), class_="score"),
        strip(_ROW, grid(axis), *dots, class_="places", label=label),
        element("span", times, class_="when"),
    )
