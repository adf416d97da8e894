"""Predictions made by hand, from the ordinary to the awkward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from l2l_engine import MediaInfo, Moment, Prediction, StreamInfo, Tag, Timings
from l2l_engine.result import Segment

VIDEO = StreamInfo("video", "h264", 0.0, width=160, height=120, frame_rate=10.0)
AUDIO = StreamInfo("audio", "aac", 0.0, sample_rate=16000, channels=1)
HOP = 16 / 30


def make(
    *,
    duration: float = 6.0,
    steps: int = 4,
    looks: bool = True,
    listens: bool = True,
    timestamps: int | None = None,
    classes: tuple[str, ...] = ("ball bouncing", "box sliding", "star shaking"),
    path: str | None = "event.mp4",
    seed: int = 0,
) -> Prediction:
    """A prediction as the engine makes it for a file of ``duration`` seconds."""
    rng = np.random.default_rng(seed)
    count = max(1, int(np.ceil(duration / HOP))) if timestamps is None else timestamps
    times = np.arange(count) * HOP
    chances = np.sort(rng.dirichlet(np.ones(len(classes))))[::-1]
    return Prediction(
        label=classes[0],
        confidence=float(chances[0]),
        top_k=tuple((name, float(chance)) for name, chance in zip(classes, chances, strict=True))[:5],
        probabilities=chances.astype(np.float32),
        moments=tuple(_moment(step, times, looks, listens, rng) for step in range(1, steps)),
        timestamps=times,
        timings=Timings(probe=0.004, audio=0.06, frames=0.21, encode=0.4, skim=0.012, total=0.69),
        media=MediaInfo(
            duration=duration,
            streams=((VIDEO,) if looks else ()) + ((AUDIO,) if listens else ()),
            video="present" if looks else "absent",
            audio="present" if listens else "absent",
            coverage=1.0,
            image_knots=count if looks else 0,
            audio_knots=count if listens else 0,
            frames_decoded=10 * count if looks else 0,
            sampling="auto",
            image_planned=count if looks else 0,
            audio_planned=count if listens else 0,
        ),
        device="cpu",
        decoder="pyav",
        precision="fp32",
        steps=steps,
        stopped_by="done",
        path=path,
    )


def _moment(step: int, times: np.ndarray, looks: bool, listens: bool, rng: np.random.Generator) -> Moment:
    image, audio = (_attention(times, rng) if sense else np.zeros(len(times)) for sense in (looks, listens))
    share = float(rng.uniform(0.2, 0.8)) if looks and listens else float(looks)
    return Moment(
        step=step,
        look_at=float(times[image.argmax()]) if looks else None,
        listen_to=float(times[audio.argmax()]) if listens else None,
        modality_scores=(share, 1 - share),
        image_attention=image.astype(np.float32),
        audio_attention=audio.astype(np.float32),
    )


def _attention(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    span = max(float(times[-1]), HOP)
    curve = 0.05 * rng.uniform(0.5, 1.0, len(times))
    for _ in range(rng.integers(1, 4)):
        middle, width = rng.uniform(0, span), rng.uniform(0.02, 0.08) * span
        curve += rng.uniform(0.3, 1) * np.exp(-(((times - middle) / width) ** 2))
    return np.asarray(curve / curve.sum())


def from_features() -> Prediction:
    """As ``predict_features`` gives it: no file, no streams."""
    return replace(make(path=None), media=None, decoder=None, precision=None)


def tagged(*names: str) -> Prediction:
    """As a plan of tags gives it: the same names heard and seen."""
    tags = tuple(Tag(name, 0.9 / (i + 1), (4.0, 0.0)[: i + 1]) for i, name in enumerate(names))
    return replace(make(steps=1), heard=tags, seen=tags)


def timed(*, count: int = 3, duration: float = 6.0, **options: object) -> Prediction:
    """As a plan gives it that says when: ``count`` segments of three classes in turn, some at once."""
    prediction = make(duration=duration, **options)  # type: ignore[arg-type]
    names = [name for name, _ in prediction.top_k]
    starts = np.linspace(0, 0.9 * duration, count)
    long = 1.5 * duration / max(1, count)
    found = (
        Segment(
            names[i % len(names)], float(start), float(min(duration, start + long)), 0.9 - 0.5 * i / count
        )
        for i, start in enumerate(starts)
    )
    return replace(prediction, segments=tuple(found), labels=tuple(names))


def hostile(text: str) -> Prediction:
    """``text`` wherever the words of others appear."""
    prediction = make(classes=(text, "other"), path=f"{text}.mp4")
    assert prediction.media is not None
    streams = tuple(replace(stream, codec=text) for stream in prediction.media.streams)
    return replace(
        prediction,
        heard=(Tag(text, 0.5, (1.0,)),),
        segments=(Segment(text, 1.0, 2.0, 0.5),),
        labels=(text, "other", text + text),
        media=replace(prediction.media, streams=streams),
        device=text,
        decoder=text,
        precision=text,
    )


AWKWARD = {
    "ordinary": make(),
    "look-only": make(listens=False),
    "listen-only": make(looks=False),
    "one timestamp": make(duration=0.2, timestamps=1),
    "one step": make(steps=1),
    "one step, one timestamp, look-only": make(duration=0.2, timestamps=1, steps=1, listens=False),
    "three hours": make(duration=3 * 3600.0, steps=10),
    "thirty steps": make(steps=31, duration=90.0),
    "seventy steps": make(steps=71, duration=90.0),
    "long names": make(
        classes=("playing the " + "very" * 40 + " long horn", "x" * 300, "short"), path="n" * 250 + ".mp4"
    ),
    "one class": make(classes=("ball bouncing",)),
    "features": from_features(),
    "unsure": replace(make(), known=False, background=0.7),
    "segments": timed(),
    "no segments": replace(make(), segments=()),
    "segments of a day": timed(count=900, duration=86_000.0),
    "segments, listen-only": timed(looks=False),
    "segments without steps": timed(steps=1),
    "segments of features": replace(from_features(), segments=(Segment("box sliding", 0.0, 99.0, 1.0),)),
    "tags": tagged("Speech", "Dog", "crane"),
    "heard alone": replace(tagged("Speech"), seen=()),
    "tags with long names": tagged("x" * 200, "what " * 40),
}
