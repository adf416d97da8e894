"""Predictions as text for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from l2l_engine.cli.show import literal
from l2l_engine.report.words import clock, count, visible
from l2l_engine.result import MediaInfo, Prediction, Recognition, Segment

_BAR = 24
MOST_SEGMENTS = 40
"""Segments printed; a terminal is no table."""


def prediction(out: Console, answer: Prediction) -> None:
    """Print one prediction: label, confidence, top classes or tags, when, moments, where the time went."""
    out.print(f"[bold]{literal(answer.path or 'features')}[/bold]")
    if answer.heard or answer.seen:
        _tags(out, answer)
    else:
        _answer(out, answer)
    if answer.segments is not None:
        _segments(out, answer.segments)
    _moments(out, answer)
    if answer.recognition is not None:
        out.print(f"  recogniser:  {_recognised(answer.recognition)}")
    if answer.media is not None:
        out.print(f"  read: {_media(answer.media)}")
        out.print(f"  how:  {_how(answer, answer.media)}")
    spent = ", ".join(f"{k} {v * 1000:.0f} ms" for k, v in asdict(answer.timings).items() if k != "total")
    out.print(f"  time: {answer.timings.total * 1000:.0f} ms ({spent})")
    out.print(
        f"  by:   {answer.device}, {answer.decoder or 'no decoder'}, {answer.precision or 'no encoders'}"
    )
    out.print()


def _tags(out: Console, answer: Prediction) -> None:
    """What was heard and seen, as tags: at which moments, and no action."""
    out.print("  tags, not actions")
    width = max(len(visible(tag.name)) for tag in (*answer.heard, *answer.seen))
    for title, tags in (("heard", answer.heard), ("seen", answer.seen)):
        for number, tag in enumerate(tags):
            head = f"{title}:" if number == 0 else ""
            name, bar = visible(tag.name).ljust(width), "█" * round(tag.score * _BAR)
            at = ", ".join(clock(second) for second in tag.seconds)
            out.print(f"    {head:<7}{escape(name)}  {tag.score:6.1%}  {bar:<{_BAR}}  at {at}")


def _answer(out: Console, answer: Prediction) -> None:
    """The label, how sure it is, and the classes that it was chosen from."""
    colour, doubt = ("green", "") if answer.known else ("yellow", "  [yellow]unsure[/yellow]")
    out.print(f"  [bold {colour}]{literal(answer.label)}[/bold {colour}]  {answer.confidence:.1%}{doubt}")
    names = [visible(name) for name, _ in answer.top_k]
    width = max(map(len, names))
    for name, (_, probability) in zip(names, answer.top_k, strict=True):
        bar = "█" * round(probability * _BAR)
        out.print(f"    {escape(name.ljust(width))}  {probability:6.1%}  {bar}")
    if answer.background:
        out.print(f"  none of the classes: {answer.background:.1%}")
    if len(answer.labels) > 1:
        out.print(f"  happens:     {', '.join(map(literal, answer.labels))}")


def _segments(out: Console, segments: tuple[Segment, ...]) -> None:
    """When what happens, a line a segment."""
    if not segments:
        out.print("  when:        never: no class reaches its threshold")
    for number, segment in enumerate(segments[:MOST_SEGMENTS]):
        span = f"{clock(segment.start_s)} to {clock(segment.end_s)}"
        out.print(
            f"  {'' if number else 'when:':<12} {span:<18}  {segment.score:6.1%}  {literal(segment.label)}"
        )
    if len(segments) > MOST_SEGMENTS:
        out.print(f"  {'':<12} and {len(segments) - MOST_SEGMENTS:,} more: see --json or --segments-csv")


def _moments(out: Console, answer: Prediction) -> None:
    if not answer.moments:
        return
    looked = _chosen((moment.look_at, moment.peaks[0]) for moment in answer.moments)
    heard = _chosen((moment.listen_to, moment.peaks[1]) for moment in answer.moments)
    out.print(f"  looked at:   {looked}")
    out.print(f"  listened to: {heard}")


_NOT_RECOGNISED = {
    "no_pictures": "there are no pictures",
    "no_moments": "one step looks at no moment",
    "no_time": "there was no time",
    "unreadable": "nothing looked at could be decoded",
    "no_file": "there is no file",
}


def _recognised(recognition: Recognition) -> str:
    if recognition.done == "yes":
        return f"the mean of what was seen at {count(len(recognition.moments), 'moment')}"
    return f"the skimmer's own answer: {_NOT_RECOGNISED[recognition.done]}"


def _chosen(choices: Iterable[tuple[float | None, float]]) -> str:
    """Each moment once, in the order of the first steps that chose it, with how far it stood out at best."""
    peaks: defaultdict[float, list[float]] = defaultdict(list)
    for moment, peak in choices:
        if moment is not None:
            peaks[moment].append(peak)
    parts = [
        f"{moment:.1f} s ({count(len(own), 'step')}, attention up to {max(own):.3g}×)"
        for moment, own in peaks.items()
    ]
    return ", ".join(parts) or "-"


def _how(answer: Prediction, media: MediaInfo) -> str:
    """Policy, rounds and steps, and what ended it early, if something did."""
    parts = [f"{media.sampling} sampling", count(media.rounds, "round"), count(answer.steps, "step")]
    early = {"budget": "ended by the time budget", "confidence": "ended as sure enough"}
    if answer.stopped_by in early:
        parts.append(early[answer.stopped_by])
    return ", ".join(parts)


def _media(media: MediaInfo) -> str:
    parts = [f"{media.duration:.1f} s"]
    parts += [f"{s.kind} {literal(s.codec)}" for s in media.streams]
    parts += [f"no {kind}" for kind in ("video", "audio") if getattr(media, kind) == "absent"]
    used = f"{media.image_knots} frames and {media.audio_knots} sounds used"
    if media.image_planned > media.image_knots or media.audio_planned > media.audio_knots:
        used += f" of {media.image_planned} and {media.audio_planned}"
    parts.append(used)
    parts.append(f"{media.frames_decoded} frames decoded")
    if media.coverage < 1:
        parts.append(f"[yellow]only {media.coverage:.0%} could be decoded[/yellow]")
    return ", ".join(parts)
