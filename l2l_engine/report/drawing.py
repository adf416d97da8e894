"""What the picture shows, from top to bottom: the answer, the time axis, the steps, the facts."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2l_engine.report.bars import by_class, shown
from l2l_engine.report.evidence import Evidence
from l2l_engine.report.facts import STAGES, media_facts, tool_facts
from l2l_engine.report.geometry import Axis, scaled, time_axis
from l2l_engine.report.sheet import INK, LEVELS, LINE, LISTEN, LOOK, PEAKS, SOFT, Sheet
from l2l_engine.report.stops import slots, stops
from l2l_engine.report.words import clock, duration_of_work, file_name, percent, whole_percents
from l2l_engine.result import Moment, Prediction, Segment

_WIDTH, _MARGIN = 11.0, 0.5
_SPAN = _WIDTH - 2 * _MARGIN
_ROW = 0.46
_FACTS = 1.9
_LANE = 0.3
MOST_LANES = 20
"""Classes whose segments are drawn: the first that happen."""
MOST_ROWS = 60
"""Steps drawn; a picture cannot be scrolled, and beyond this it could not be opened everywhere."""


def draw(prediction: Prediction, evidence: Evidence) -> Figure:
    """The whole picture."""
    axis = time_axis(prediction)
    rows = prediction.moments[:MOST_ROWS]
    head = 0.75 + 0.27 * max(3, len(prediction.top_k))
    tall = head + _timeline_height(prediction, evidence) + 0.5 * bool(rows) + _ROW * len(rows) + _FACTS
    sheet = Sheet(_WIDTH, tall + 0.22 * len(evidence.notes))
    _answer(sheet, prediction, axis)
    top = _timeline(sheet, head, prediction, evidence, axis)
    for note in evidence.notes:
        sheet.text(_MARGIN, top + 0.14, note, colour=LISTEN, longest=150)
        top += 0.22
    if rows:
        top = _steps(sheet, top + 0.4, prediction, axis)
    _facts(sheet, top + 0.45, prediction)
    return sheet.figure


def _answer(sheet: Sheet, prediction: Prediction, axis: Axis) -> None:
    name = f"{file_name(prediction)}   {clock(axis.duration)}"
    sheet.text(_MARGIN, 0.6, name, longest=70)
    size = 22 if len(prediction.label) < 24 else 13
    sheet.text(_MARGIN, 1.02, prediction.label, size=size, colour=INK, bold=True, longest=52)
    meant = "at one moment: a tag, not an action" if prediction.heard or prediction.seen else "confidence"
    doubt = "" if prediction.known else ": unsure"
    sheet.text(_MARGIN, 1.32, f"{percent(prediction.confidence)} {meant}{doubt}", size=10)
    left, width = 6.4, _WIDTH - _MARGIN - 6.4
    for place, (label, probability) in enumerate(prediction.top_k):
        top, colour = 0.5 + 0.27 * place, INK if place == 0 else SOFT
        sheet.text(left, top, label, colour=colour, bold=place == 0, longest=44)
        sheet.text(left + width, top, percent(probability), colour=colour, align="right")
        _bar(sheet.axes(left, top + 0.06, width, 0.035), probability, colour)


def _bar(axes: Axes, share: float, colour: str) -> None:
    axes.barh([0.5, 0.5], [1.0, min(1.0, max(0.0, share))], height=1.0, color=[LINE, colour])


def _senses(prediction: Prediction) -> tuple[bool, bool]:
    looks = any(moment.look_at is not None for moment in prediction.moments)
    return looks, any(moment.listen_to is not None for moment in prediction.moments)


def _card(prediction: Prediction) -> float:
    """Inches of a picture's side."""
    return min(1.0, _SPAN / max(1, len(stops(prediction.moments))) - 0.05)


def _timeline_height(prediction: Prediction, evidence: Evidence) -> float:
    looks, listens = _senses(prediction)
    strip = _card(prediction) + 0.62 if evidence.pictures else 0.0
    strip += _LANE * len(_lanes(prediction))
    return strip + 0.85 * looks + 0.28 + 0.85 * listens + 0.7 * (evidence.waveform is not None)


def _lanes(prediction: Prediction) -> dict[str, list[Segment]]:
    """A row of bars for each class that happens."""
    return dict(list(by_class(shown(prediction)).items())[:MOST_LANES])


def _timeline(sheet: Sheet, top: float, prediction: Prediction, evidence: Evidence, axis: Axis) -> float:
    """Draws the time axis and what stands on it; returns where it ends."""
    looks, listens = _senses(prediction)
    if evidence.pictures:
        top = _strip(sheet, top, prediction, evidence, axis)
    for name, found in _lanes(prediction).items():
        lane = _time_axes(sheet, top, _LANE, axis)
        spans = [(segment.start_s, segment.end_s - segment.start_s) for segment in found]
        lane.broken_barh(spans, (0.1, 0.38), color=SOFT)
        sheet.text(_MARGIN, top + 0.12, name, size=7.5, colour=INK)
        top += _LANE
    if looks:
        _curves(_time_axes(sheet, top, 0.85, axis), prediction, axis, hanging=False)
        top += 0.85
    for tick in axis.ticks():
        left, align = _MARGIN + axis.share(tick) * _SPAN, "left" if tick == 0 else "center"
        decimals = 1 if axis.ticks()[-1] % 1 or axis.duration < 2 else 0
        sheet.text(left, top + 0.18, clock(tick, decimals), size=8, align=align)
    top += 0.28
    if listens:
        _curves(_time_axes(sheet, top, 0.85, axis), prediction, axis, hanging=True)
        top += 0.85
    if evidence.waveform is not None:
        axes, x = (
            _time_axes(sheet, top, 0.7, axis),
            np.linspace(0, axis.duration, len(evidence.waveform.peaks)),
        )
        for band, colour in ((evidence.waveform.peaks, PEAKS), (evidence.waveform.levels, LEVELS)):
            axes.fill_between(x, 0.5 - 0.48 * band, 0.5 + 0.48 * band, color=colour, linewidth=0)
        top += 0.7
    return top


def _time_axes(sheet: Sheet, top: float, height: float, axis: Axis) -> Axes:
    """Axes over the whole time axis, with its grid."""
    axes = sheet.axes(_MARGIN, top, _SPAN, height)
    axes.set_xlim(0, axis.duration)
    axes.vlines(axis.ticks(), 0, 1, color=LINE, linewidth=0.6, zorder=0)
    return axes


def _strip(sheet: Sheet, top: float, prediction: Prediction, evidence: Evidence, axis: Axis) -> float:
    """Pictures in the order of the video, each tied to its place in time."""
    places = stops(prediction.moments)
    taken, many = slots(places, axis)
    side, pitch = _card(prediction), _SPAN / many
    ties = sheet.axes(_MARGIN, top + side + 0.2, _SPAN, 0.42)
    bend = np.linspace(0, 1, 24)
    for slot, stop in zip(taken, places, strict=True):
        middle = (slot + 0.5) * pitch
        picture = None if stop.look_at is None else evidence.pictures.get(stop.look_at)
        if picture is not None:
            frame = sheet.axes(_MARGIN + middle - side / 2, top, side, side)
            frame.imshow(picture, aspect="auto", extent=(0, 1, 0, 1))
        if side > 0.7:
            words = f"{stop.numbers}  ·  {clock(stop.time)}"
            sheet.text(_MARGIN + middle, top + side + 0.15, words, size=7.5, align="center", colour=INK)
        foot = axis.share(stop.time)
        ease = bend * bend * (3 - 2 * bend)
        ties.plot(middle / _SPAN + (foot - middle / _SPAN) * ease, 1 - bend, color=LEVELS, linewidth=0.8)
    return top + side + 0.62


def _curves(axes: Axes, prediction: Prediction, axis: Axis, *, hanging: bool) -> None:
    colour, words = (LISTEN, "where it listened") if hanging else (LOOK, "where it looked")
    for moment in prediction.moments[:MOST_ROWS]:
        attention = moment.audio_attention if hanging else moment.image_attention
        x, heights = scaled(prediction.timestamps, attention, axis)
        y = 1 - 0.94 * heights if hanging else 0.94 * heights
        axes.fill_between(x * axis.duration, y, 1 if hanging else 0, color=colour, alpha=0.06, linewidth=0)
        axes.plot(x * axis.duration, y, color=colour, alpha=0.55, linewidth=0.8)
    axes.text(
        0.004,
        0.03 if hanging else 0.97,
        words,
        transform=axes.transAxes,
        fontsize=8,
        color=colour,
        verticalalignment="bottom" if hanging else "top",
    )


def _steps(sheet: Sheet, top: float, prediction: Prediction, axis: Axis) -> float:
    """One row a step: numbers, both curves base to base, the weights of the two senses."""
    _headings(sheet, top - 0.1, prediction)
    for moment in prediction.moments[:MOST_ROWS]:
        sheet.text(_MARGIN, top + 0.27, str(moment.step), colour=INK, bold=True)
        for (left, time, _, colour), peak in zip(_told(moment), moment.peaks, strict=True):
            if time is not None:
                words = f"{clock(time)}  {peak:.3g}×"
                sheet.text(left, top + 0.27, words, colour=colour, size=8)
        row = sheet.axes(3.2, top, 5.6, _ROW - 0.06)
        row.set(xlim=(0, axis.duration), ylim=(-1, 1))
        row.vlines(axis.ticks(), -1, 1, color=LINE, linewidth=0.6, zorder=0)
        for sign, (_, time, attention, colour) in zip((1, -1), _told(moment), strict=True):
            if time is not None:
                x, heights = scaled(prediction.timestamps, attention, axis)
                row.fill_between(x * axis.duration, sign * heights, color=colour, alpha=0.35, linewidth=0)
                row.plot(x * axis.duration, sign * heights, color=colour, linewidth=0.8)
        _weights(sheet, top, moment)
        top += _ROW
    left_out = len(prediction.moments) - MOST_ROWS
    if left_out > 0:
        sheet.text(3.2, top + 0.1, f"and {left_out:,} more steps")
    return top


def _headings(sheet: Sheet, top: float, prediction: Prediction) -> None:
    looks, listens = _senses(prediction)
    sheet.text(_MARGIN, top, "step", size=7)
    if looks:
        sheet.text(0.85, top, "looked at", size=7)
    if listens:
        sheet.text(2.0, top, "listened to", size=7)
    sheet.text(
        3.2, top, "attention over time; × is its peak, in multiples of an even one", size=7, longest=80
    )
    sheet.text(9.05, top, "weights", size=7)


def _told(moment: Moment) -> tuple[tuple[float, float | None, np.ndarray, str], ...]:
    return (
        (0.85, moment.look_at, moment.image_attention, LOOK),
        (2.0, moment.listen_to, moment.audio_attention, LISTEN),
    )


def _weights(sheet: Sheet, top: float, moment: Moment) -> None:
    left, width = 9.05, _WIDTH - _MARGIN - 9.05
    seen, heard = whole_percents(*moment.modality_scores)
    sheet.text(left, top + 0.19, f"{seen} picture", size=7, colour=LOOK)
    sheet.text(left + width, top + 0.19, f"{heard} sound", size=7, colour=LISTEN, align="right")
    share = float(seen.rstrip("%")) / 100
    sheet.axes(left, top + 0.25, width, 0.05).barh(
        [0.5, 0.5], [share, 1 - share], left=[0, share], height=1.0, color=[LOOK, LISTEN]
    )


def _facts(sheet: Sheet, top: float, prediction: Prediction) -> None:
    spent = asdict(prediction.timings)
    times = [(words, duration_of_work(spent[stage])) for stage, words in STAGES.items()]
    columns = (
        media_facts(prediction),
        tool_facts(prediction),
        [*times, ("In all", duration_of_work(spent["total"]))],
    )
    for left, column in zip((_MARGIN, 5.0, 8.0), columns, strict=True):
        for line, (name, fact) in enumerate(column):
            sheet.text(left, top + 0.16 * line, name, size=7.5)
            sheet.text(
                left + (1.2 if left < 7.5 else 1.5), top + 0.16 * line, fact, size=7.5, colour=INK, longest=40
            )
