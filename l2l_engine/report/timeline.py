"""The main figure: pictures above, sound below, time in between."""

from __future__ import annotations

import base64

from l2l_engine.report import bars
from l2l_engine.report.evidence import Evidence, Waveform
from l2l_engine.report.geometry import WIDTH, Axis, band_path
from l2l_engine.report.jpeg import encode_jpeg
from l2l_engine.report.markup import Markup, element, join
from l2l_engine.report.stops import Stop, slots, stops
from l2l_engine.report.strips import grid, hair, path, scale, span, stretched, strip
from l2l_engine.report.words import clock, count
from l2l_engine.result import Moment, Prediction

_CURVE = 84
_CONNECTORS = 34
_SOUND = 64


def figure(prediction: Prediction, evidence: Evidence, axis: Axis) -> Markup:
    """The time axis with everything that stands on it; step 1 is selected."""
    places = stops(prediction.moments)
    looks = any(moment.look_at is not None for moment in prediction.moments)
    listens = any(moment.listen_to is not None for moment in prediction.moments)
    drawing = element(
        "div",
        _strip(places, evidence, axis),
        _connectors(places, axis),
        bars.bars(prediction, axis),
        _curves("look", prediction, axis) if looks else None,
        scale(axis),
        _curves("listen", prediction, axis) if listens else None,
        _sound(evidence.waveform, prediction, axis),
        class_="timeline",
    )
    return element(
        "figure",
        _key(looks, listens, evidence, bool(prediction.segments)),
        element("div", drawing, class_="scroll"),
        element("figcaption", _caption(prediction, evidence)),
        *(element("p", note, class_="note") for note in evidence.notes),
    )


def _key(looks: bool, listens: bool, evidence: Evidence, happens: bool) -> Markup:
    """What the colours mean. Not on the curves: wherever it stood there, some video would need the place."""
    shown = (("look", "where it looked", looks), ("listen", "where it listened", listens))
    entries = [element("span", words, class_=kind) for kind, words, present in shown if present]
    if happens:
        entries.insert(0, element("span", "when it happens", class_="happens"))
    if evidence.waveform is not None:
        entries.append(element("span", "sound", class_="sound"))
    return element("p", *entries, class_="key", aria_hidden="true")


def _strip(places: list[Stop], evidence: Evidence, axis: Axis) -> Markup | None:
    if not places:
        return None
    # With hours, tenths of a second would not fit below a picture.
    decimals = 1 if places[-1].time < 3600 else 0
    taken, many = slots(places, axis)
    cards = {slot: _card(stop, evidence, decimals) for slot, stop in zip(taken, places, strict=True)}
    row = (cards.get(slot) or element("span") for slot in range(many))
    return element("div", *row, class_="strip", role="group", aria_label="Moments, in the order of the video")


def _card(stop: Stop, evidence: Evidence, decimals: int) -> Markup:
    verb = "Listened to" if stop.look_at is None else "Looked at"
    steps = "step" if len(stop.steps) == 1 else "steps"
    return element(
        "button",
        _face(stop, evidence),
        element("span", stop.numbers, class_="number"),
        element("span", clock(stop.time, decimals), class_="when"),
        type_="button",
        class_="card",
        data_steps=_joined(stop),
        aria_pressed="true" if 1 in stop.steps else "false",
        aria_label=f"{verb} {clock(stop.time)} in {steps} {', '.join(map(str, stop.steps))}",
    )


def _joined(stop: Stop) -> str:
    return " ".join(map(str, stop.steps))


def _face(stop: Stop, evidence: Evidence) -> Markup:
    """The picture of a moment; its sound where nothing was looked at; a blank where neither is known."""
    picture = None if stop.look_at is None else evidence.pictures.get(stop.look_at)
    if picture is not None:
        data = base64.b64encode(encode_jpeg(picture)).decode("ascii")
        size = picture.shape[0]
        return element("img", src=f"data:image/jpeg;base64,{data}", alt="", width=size, height=size)
    sound = clip(stop.moments[0], evidence) if stop.look_at is None else None
    return element("span", sound or element("span", "no picture"), class_="blank")


def clip(moment: Moment, evidence: Evidence) -> Markup | None:
    """The second of sound a moment listened to."""
    peaks = None if moment.listen_to is None else evidence.clips.get(moment.listen_to)
    if peaks is None:
        return None
    wave = stretched(path(band_path(peaks), class_="listen"))
    return element("svg", wave, class_="clip", aria_hidden="true")


def _connectors(places: list[Stop], axis: Axis) -> Markup | None:
    """From every card down to its place in time."""
    if not places:
        return None
    lines = []
    taken, many = slots(places, axis)
    for slot, stop in zip(taken, places, strict=True):
        top = round((slot + 0.5) / many * WIDTH, 1)
        foot = round(axis.share(stop.time) * WIDTH, 1)
        line = element(
            "path",
            d=f"M{top:g} 0C{top:g} 55 {foot:g} 45 {foot:g} 100",
            data_steps=_joined(stop),
            class_="on" if 1 in stop.steps else None,
            vector_effect="non-scaling-stroke",
        )
        lines.append(line)
    kind = "listen" if places[0].look_at is None else "look"
    return strip(_CONNECTORS, stretched(*lines), class_=f"connectors {kind}")


def _curves(kind: str, prediction: Prediction, axis: Axis) -> Markup:
    """The attention of all steps, faint, and of the selected one. The paths stand in the list of steps."""
    uses = [element("use", href=f"#{kind}-{moment.step}") for moment in prediction.moments]
    picked = element("use", href=f"#{kind}-1", class_="picked")
    times = [m.look_at if kind == "look" else m.listen_to for m in prediction.moments]
    dots = [
        element("circle", cx=axis.percent(time), cy=0 if kind == "listen" else _CURVE, r=3.5)
        for time in sorted({time for time in times if time is not None})
    ]
    first = next((time for time in times if time is not None), 0.0)
    drawing = stretched(
        element("g", *uses, class_="all"), picked, y=6 if kind == "look" else 0, height=_CURVE - 6
    )
    children = (
        grid(axis),
        span() if prediction.segments else None,
        drawing,
        hair(kind, axis.percent(first)),
        element("g", *dots, class_="dots"),
    )
    return element("div", strip(_CURVE, *children, class_="curves"), class_=f"band {kind}")


def _sound(waveform: Waveform | None, prediction: Prediction, axis: Axis) -> Markup | None:
    if waveform is None:
        return None
    shapes = [
        path(band_path(waveform.peaks), class_="peaks"),
        path(band_path(waveform.levels), class_="levels"),
    ]
    times = [moment.listen_to for moment in prediction.moments if moment.listen_to is not None]
    line = hair("listen", axis.percent(times[0])) if times else None
    shade = span() if prediction.segments else None
    drawing = strip(
        _SOUND, grid(axis), shade, stretched(*shapes), line, class_="wave", label="Waveform of the sound"
    )
    return element("div", drawing, class_="band")


def _caption(prediction: Prediction, evidence: Evidence) -> Markup:
    steps, places = len(prediction.moments), len(stops(prediction.moments))
    if prediction.heard or prediction.seen:
        parts = ["Every moment was named by itself, and none was chosen."]
    elif not steps:
        parts = ["It took one step, over the mean of the whole video, and chose no moments."]
    else:
        parts = [
            f"{count(steps, 'choice')} of {count(places, 'moment')}, after a first impression of the whole. "
            f"Each curve is an attention over the video's {count(len(prediction.timestamps), 'timestamp')}, "
            "as a share of its own peak."
        ]
    parts += filter(None, [bars.told(prediction)])
    if evidence.waveform is not None and evidence.waveform.sampled:
        parts.append("The waveform is measured on one second of each stretch.")
    hint = "Arrow keys: left and right along the video, up and down through the steps."
    return join(
        " ".join(parts), element("span", f" {hint}", class_="hint", hidden=True) if steps > 1 else None
    )
