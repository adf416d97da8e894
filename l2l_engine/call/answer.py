"""From the skimmer's numbers to what a person asked: label, confidence, moments."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from l2l_engine.call.tagging import tags_of
from l2l_engine.plan import PlanDocument
from l2l_engine.result import (
    Features,
    FloatArray,
    MediaInfo,
    Moment,
    Prediction,
    Recognised,
    Recognition,
    Segment,
    StoppedBy,
    Tag,
    TimeArray,
    Timings,
)
from l2l_engine.run.compute import Bank
from l2l_engine.skim import SkimResult

_ONE_HALF = 0.5
"""The probability from which a video has a class of several, where the plan says nothing of it."""


def make_prediction(
    skimmed: SkimResult,
    timestamps: TimeArray,
    document: PlanDocument,
    *,
    has_image: bool,
    has_audio: bool,
    top_k: int,
    timings: Timings,
    device: str,
    media: MediaInfo | None = None,
    decoder: str | None = None,
    precision: str | None = None,
    path: str | None = None,
    stopped_by: StoppedBy = "done",
    recognised: Recognised | None = None,
    seen: Bank | None = None,
    tagged: Features | None = None,
    segments: tuple[Segment, ...] | None = None,
) -> Prediction:
    """Build the prediction for the one video in ``skimmed``.

    Args:
        skimmed: Result for a batch of one.
        timestamps: float64 [N], seconds.
        document: Class names, output and calibration.
        has_image, has_audio: Whether the video had that modality.
        top_k: Classes to list; all of them if there are fewer.
        timings, device, media, decoder, precision, path, stopped_by: Handed on to the prediction.
        recognised: Why the recogniser answers or not; None if the plan has none.
        seen: Its logits at the moments it saw; None if it saw none.
        tagged: Of a plan of tags: their logits at the moments that were looked at and listened to.
        segments: When it happens; None of a plan that does not tell.
    """
    steps = skimmed.image_attention.shape[1]
    probabilities = answered_probabilities(skimmed, document, seen)
    recognition = None
    if recognised is not None:
        moments = () if seen is None else tuple(seen.times.tolist())
        skimmers = class_probabilities(skimmed.logits[0], document, steps)
        recognition = Recognition(recognised, moments, skimmers)
    foreground = document.foreground
    order = foreground[np.argsort(-probabilities[foreground], kind="stable")][:top_k]
    ranked = tuple((document.classes[i], float(probabilities[i])) for i in order)
    label, confidence = ranked[0]
    known = document.unsure is None or confidence >= document.unsure
    return Prediction(
        label=label,
        confidence=confidence,
        top_k=ranked,
        probabilities=probabilities,
        moments=_moments(skimmed, timestamps, has_image=has_image, has_audio=has_audio),
        timestamps=timestamps,
        timings=timings,
        media=media,
        device=device,
        decoder=decoder,
        precision=precision,
        steps=steps,
        stopped_by=stopped_by,
        path=path,
        recognition=recognition,
        known=known,
        background=_background(probabilities, document),
        labels=_labels(probabilities, document) if document.output == "sigmoid" else (label,) * known,
        segments=segments,
        **_tags(tagged, probabilities, document, top_k),
    )


def class_probabilities(logits: FloatArray, document: PlanDocument, steps: int) -> FloatArray:
    """Calibrated probabilities float32 [C] from logits [C] after ``steps`` steps."""
    return _probabilities(logits, document.output, document.temperature(steps)).astype(np.float32)


def recognised_probabilities(logits: FloatArray, document: PlanDocument) -> FloatArray:
    """The recogniser's calibrated probabilities float32 [C]: the mean over moments, of logits [K, C]."""
    assert document.recogniser is not None
    each = _probabilities(logits, document.output, document.recogniser.temperature)
    return np.asarray(each.mean(axis=0), np.float32)


def answered_probabilities(skimmed: SkimResult, document: PlanDocument, seen: Bank | None) -> FloatArray:
    """The calibrated probabilities float32 [C] of the answer: the recogniser's where it saw something."""
    if seen is not None:
        return recognised_probabilities(seen.features, document)
    return class_probabilities(skimmed.logits[0], document, skimmed.image_attention.shape[1])


def _labels(probabilities: FloatArray, document: PlanDocument) -> tuple[str, ...]:
    """The classes that a video has of several, most probable first."""
    thresholds = np.array(document.thresholds or [_ONE_HALF] * len(document.classes))
    order = document.foreground[np.argsort(-probabilities[document.foreground], kind="stable")]
    return tuple(document.classes[i] for i in order if probabilities[i] >= thresholds[i])


class _Tags(TypedDict, total=False):
    seen: tuple[Tag, ...]
    heard: tuple[Tag, ...]


def _tags(tagged: Features | None, probabilities: FloatArray, document: PlanDocument, top_k: int) -> _Tags:
    if tagged is None:
        return {}
    image = _bank(tagged.image_bank, tagged.image_times)
    audio = _bank(tagged.audio_bank, tagged.audio_times)
    return {
        "seen": tags_of("image", image, probabilities, document, top_k),
        "heard": tags_of("audio", audio, probabilities, document, top_k),
    }


def _bank(features: FloatArray | None, times: TimeArray | None) -> Bank | None:
    return None if features is None or times is None else Bank(features, times)


def _background(probabilities: FloatArray, document: PlanDocument) -> float:
    """The probability that it is none of the classes that can be an answer."""
    of_background = np.delete(probabilities, document.foreground)
    if document.output == "sigmoid":
        return float(of_background.max(initial=0.0))
    return float(min(of_background.sum(dtype=np.float64), 1.0))


def _probabilities(logits: FloatArray, output: str, temperature: float) -> NDArray[np.float64]:
    """Probabilities float64 [..., C] of logits [..., C]: softmax, or each class for itself."""
    scaled: NDArray[np.float64] = logits.astype(np.float64) / temperature
    if output == "sigmoid":
        # exp(-log(1 + exp(-x))): no overflow on either side.
        return np.asarray(np.exp(-np.logaddexp(0.0, -scaled)))
    weights = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _moments(
    skimmed: SkimResult, timestamps: TimeArray, *, has_image: bool, has_audio: bool
) -> tuple[Moment, ...]:
    """The T-1 mixtures chosen: the last step's attention feeds nothing."""
    chosen = skimmed.image_attention.shape[1] - 1
    moments = []
    for t in range(chosen):
        image, audio = skimmed.image_attention[0, t], skimmed.audio_attention[0, t]
        scores = skimmed.modality_scores[0, t]
        moments.append(
            Moment(
                step=t + 1,
                look_at=float(timestamps[np.argmax(image)]) if has_image else None,
                listen_to=float(timestamps[np.argmax(audio)]) if has_audio else None,
                modality_scores=(float(scores[0]), float(scores[1])),
                image_attention=image.copy(),
                audio_attention=audio.copy(),
            )
        )
    return tuple(moments)
