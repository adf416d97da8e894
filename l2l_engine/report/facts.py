"""The answer, what was read, by what, and where the time went."""

from __future__ import annotations

from dataclasses import asdict

from l2l_engine.report.geometry import Axis
from l2l_engine.report.markup import Markup, element
from l2l_engine.report.words import clock, duration_of_work, file_name, percent, stream, visible
from l2l_engine.result import MediaInfo, Prediction, StoppedBy

STAGES = {
    "probe": "Opening the file",
    "audio": "Decoding sound",
    "frames": "Decoding pictures",
    "encode": "Computing features",
    "skim": "Skimming",
}

ENDS: dict[StoppedBy, str] = {
    "done": "all was seen that was planned",
    "budget": "the time was up",
    "confidence": "sure enough",
}


def header(prediction: Prediction, axis: Axis) -> Markup:
    """The answer: label, confidence, and the classes it was chosen from."""
    source = element(
        "p",
        _name(file_name(prediction)),
        element("span", clock(axis.duration), class_="length"),
        class_="source",
    )
    tagged = bool(prediction.heard or prediction.seen)
    meant = " at one moment: a tag, not an action" if tagged else " confidence"
    doubt = None if prediction.known else element("strong", " · unsure", class_="doubt")
    confidence = element("p", element("strong", percent(prediction.confidence)), meant, doubt, class_="sure")
    answer = element(
        "div",
        source,
        element("h1", _name(prediction.label), class_="long" if len(prediction.label) > 40 else None),
        confidence,
        _others(prediction),
        class_="answer",
    )
    return element("header", answer, _ranking(prediction))


def _others(prediction: Prediction) -> Markup | None:
    """What else happens, where the plan tells several classes of a video."""
    others = [name for name in prediction.labels if name != prediction.label]
    if not others:
        return None
    names = [part for name in others for part in (Markup(", "), _name(name))][1:]
    return element("p", "also: ", *names, class_="also")


def _name(text: str) -> Markup:
    """Words of others: isolated, so that their writing direction stays theirs."""
    return element("bdi", visible(text))


def _ranking(prediction: Prediction) -> Markup:
    rows = []
    for place, (name, probability) in enumerate(prediction.top_k):
        head = element(
            "div", element("span", _name(name)), element("span", percent(probability)), class_="entry"
        )
        rows.append(element("li", head, _bar(probability), class_="first" if place == 0 else None))
    if prediction.background and not prediction.heard and not prediction.seen:
        share = element("span", percent(prediction.background))
        head = element("div", element("span", "none of the classes"), share, class_="entry")
        rows.append(element("li", head, _bar(prediction.background), class_="none"))
    return element("ol", *rows, class_="ranking", aria_label="Most probable classes")


def _bar(share: float) -> Markup:
    width = f"{100 * min(1.0, max(0.0, share)):.2f}%"
    track = element("rect", class_="track", width="100%", height="100%")
    return element(
        "svg",
        track,
        element("rect", class_="fill", width=width, height="100%"),
        class_="bar",
        aria_hidden="true",
    )


def details(prediction: Prediction) -> Markup:
    """What was read, by what, and where the time went."""
    return element(
        "section",
        element("div", element("h2", "What was read"), _facts(media_facts(prediction)), class_="panel"),
        element("div", element("h2", "By what"), _facts(tool_facts(prediction)), class_="panel"),
        element("div", element("h2", "Where the time went"), _times(prediction), class_="panel"),
        class_="details",
        aria_label="Details",
    )


def _facts(entries: list[tuple[str, str]]) -> Markup:
    return element(
        "dl", *(element("div", element("dt", name), element("dd", fact)) for name, fact in entries)
    )


def media_facts(prediction: Prediction) -> list[tuple[str, str]]:
    """What was found in the file, and how much of it was used."""
    times = prediction.timestamps
    entries = [("Timestamps", f"{len(times):,}")]
    if len(times) > 1:
        entries.append(("One every", f"{float(times[1] - times[0]):.3g} s"))
    if prediction.media is None:
        return [("File", "none: features were given"), *entries]
    return _media(prediction.media) + entries


def _media(media: MediaInfo) -> list[tuple[str, str]]:
    kinds = {info.kind: stream(info) for info in media.streams}
    covered = percent(media.coverage) + (" of what was needed" if media.coverage < 1 else "")
    return [
        ("Length", f"{clock(media.duration)} ({media.duration:.1f} s)"),
        ("Video", "none" if media.video == "absent" else kinds.get("video", "present")),
        ("Audio", "none" if media.audio == "absent" else kinds.get("audio", "present")),
        ("Sampling", visible(media.sampling or "unknown")),
        ("Pictures used", _used(media.image_knots, media.image_planned)),
        ("Sounds used", _used(media.audio_knots, media.audio_planned)),
        ("Frames decoded", f"{media.frames_decoded:,}"),
        ("Readable", covered),
    ]


def _used(used: int, planned: int) -> str:
    return f"{used:,} of {planned:,}" if planned > used else f"{used:,}"


def tool_facts(prediction: Prediction) -> list[tuple[str, str]]:
    """What did the work."""
    return [
        ("Device", visible(prediction.device)),
        ("Decoder", visible(prediction.decoder or "none")),
        ("Precision", visible(prediction.precision or "none")),
        ("Steps", f"{prediction.steps}"),
        ("Ended", ENDS[prediction.stopped_by]),
        ("Classes", f"{len(prediction.probabilities):,}"),
    ]


def _times(prediction: Prediction) -> Markup:
    spent = asdict(prediction.timings)
    total = spent.pop("total")
    rows = []
    for stage, seconds in spent.items():
        head = element(
            "div", element("span", STAGES[stage]), element("span", duration_of_work(seconds)), class_="entry"
        )
        rows.append(element("li", head, _bar(seconds / total if total > 0 else 0.0)))
    sums = element("p", "In all ", element("strong", duration_of_work(total)), class_="total")
    return element("div", element("ul", *rows, class_="stages"), sums)
