"""The list of steps: what each looked at, listened to, and how it weighed the two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l2l_engine.report.evidence import Evidence
from l2l_engine.report.geometry import Axis, area_path, scaled
from l2l_engine.report.markup import Markup, element
from l2l_engine.report.strips import grid, path, scale, stretched, strip
from l2l_engine.report.timeline import clip
from l2l_engine.report.words import clock, whole_percents
from l2l_engine.result import Moment, Prediction

_HALF = 30
_LEGEND = (
    "Looking rises from the line, listening hangs from it. The number with × says how high a curve peaks, in "
    "multiples of an attention spread evenly over the video."
)
_SENSES = (("look", "Looked at"), ("listen", "Listened to"))


def step_list(prediction: Prediction, evidence: Evidence, axis: Axis) -> Markup | None:
    """Every step in the order they were taken, on the same axis; None where no moment was chosen."""
    if not prediction.moments:
        return None
    rows = (_row(moment, prediction, evidence, axis) for moment in prediction.moments)
    return element(
        "section",
        element("h2", "Step by step", id_="steps"),
        element("p", _LEGEND, class_="legend"),
        element("ol", *rows, class_="steps"),
        element("div", scale(axis), class_="foot"),
        aria_labelledby="steps",
    )


def _row(moment: Moment, prediction: Prediction, evidence: Evidence, axis: Axis) -> Markup:
    return element(
        "li",
        _button(moment),
        _facts(moment),
        _plot(moment, prediction, axis),
        element("div", _scores(moment), clip(moment, evidence), class_="scores"),
        data_step=moment.step,
        data_look=None if moment.look_at is None else axis.percent(moment.look_at),
        data_listen=None if moment.listen_to is None else axis.percent(moment.listen_to),
        class_="on" if moment.step == 1 else None,
    )


def _button(moment: Moment) -> Markup:
    told = [
        f"{verb.lower()} {clock(time)}"
        for kind, verb in _SENSES
        if (time := _sense(moment, kind)[0]) is not None
    ]
    return element(
        "button",
        str(moment.step),
        type_="button",
        class_="number",
        aria_pressed="true" if moment.step == 1 else "false",
        aria_label=f"Step {moment.step}: {', '.join(told)}",
    )


def _facts(moment: Moment) -> Markup:
    entries = []
    for kind, verb in _SENSES:
        time, _, peak = _sense(moment, kind)
        if time is not None:
            told = element("span", f"{peak:.3g}×", class_="peak")
            entries.append(
                element("div", element("dt", verb), element("dd", clock(time), " ", told), class_=kind)
            )
    return element("dl", *entries, class_="facts")


def _sense(moment: Moment, kind: str) -> tuple[float | None, NDArray[np.float32], float]:
    """The time, the attention and its peak."""
    look, listen = moment.peaks
    if kind == "look":
        return moment.look_at, moment.image_attention, look
    return moment.listen_to, moment.audio_attention, listen


def _plot(moment: Moment, prediction: Prediction, axis: Axis) -> Markup:
    """Both curves, base to base: looking rises from the middle, listening hangs from it."""
    drawn, told = [], []
    for kind, verb in _SENSES:
        time, attention, peak = _sense(moment, kind)
        if time is None:
            continue
        hanging = kind == "listen"
        x, heights = scaled(prediction.timestamps, attention, axis)
        curve = path(area_path(x, heights, hanging=hanging), class_=kind, id_=f"{kind}-{moment.step}")
        drawn.append(stretched(curve, y=_HALF if hanging else 0, height=_HALF))
        drawn.append(
            element("circle", class_=kind, cx=axis.percent(time), cy=_HALF + (6 if hanging else -6), r=3)
        )
        told.append(f"{verb.lower()} most at {clock(time)}, {peak:.3g} times an even attention")
    middle = element("line", class_="middle", x1=0, x2="100%", y1=_HALF, y2=_HALF)
    label = f"Step {moment.step}: {'; '.join(told)}"
    return strip(2 * _HALF, grid(axis), *drawn, middle, class_="plot", label=label)


def _scores(moment: Moment) -> Markup:
    """How the step weighed the picture against the sound."""
    image, audio = moment.modality_scores
    seen, heard = whole_percents(image, audio)
    bar = element(
        "svg",
        element("rect", class_="look", width=seen, height="100%"),
        element("rect", class_="listen", x=seen, width=heard, height="100%"),
        class_="split",
        height=6,
        aria_hidden="true",
    )
    words = element("p", element("span", f"{seen} picture"), " ", element("span", f"{heard} sound"))
    return element("div", words, bar, class_="weights")
