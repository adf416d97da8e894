"""What a prediction says: frozen dataclasses that turn into JSON and back without loss."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Presence = Literal["present", "absent"]
StoppedBy = Literal["done", "budget", "confidence"]
Recognised = Literal["yes", "no_pictures", "no_moments", "no_time", "unreadable", "no_file"]
FloatArray = NDArray[np.float32]
TimeArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream of a media file, as its container declares it (a hint, never trusted)."""

    kind: Literal["video", "audio"]
    codec: str
    start: float
    """First timestamp in seconds, on the container's own clock."""
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    sample_rate: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What was found in the file, and how much of it was read.

    Attributes:
        duration: Length in seconds on the file's clock; measured when the container does not say.
        streams: The streams used.
        video, audio: ``"present"`` or ``"absent"``.
        coverage: Share of the requested frames and audio windows that could be decoded, 0 to 1.
        image_knots, audio_knots: Times at which features were really extracted.
        frames_decoded: Video frames that went through the decoder.
        sampling: How image knots were chosen: what was asked for, or what took its place where the file
            did not allow it.
        rounds: Rounds of decoding it took.
        image_planned, audio_planned: Times chosen to extract features at; more than were used if the
            prediction ended before all were decoded, or if some could not be.
        bytes_read: Bytes read of the file, by all threads; of a URL those that came over the network.
    """

    duration: float
    streams: tuple[StreamInfo, ...]
    video: Presence
    audio: Presence
    coverage: float
    image_knots: int
    audio_knots: int
    frames_decoded: int
    sampling: str | None = None
    rounds: int = 1
    image_planned: int = 0
    audio_planned: int = 0
    bytes_read: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of work by stage, summed over the threads that did it; ``total`` is wall-clock time.

    Several threads work at once, so the stages may well add up to more than ``total``.
    """

    probe: float = 0.0
    audio: float = 0.0
    frames: float = 0.0
    encode: float = 0.0
    skim: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One choice of the skimmer (DESIGN: the T-1 mixtures chosen by attention, Eq. 5-9).

    Attributes:
        step: The step whose attention chose the moment, 1 to T-1.
        look_at: Seconds in the video where the image attention peaks; None without video.
        listen_to: Seconds where the audio attention peaks; None without audio.
        modality_scores: (image, audio), positive, sum 1.
        image_attention, audio_attention: float32 [N], over ``Prediction.timestamps``; each sums to 1,
            all zero for an absent modality.
    """

    step: int
    look_at: float | None
    listen_to: float | None
    modality_scores: tuple[float, float]
    image_attention: FloatArray
    audio_attention: FloatArray

    @property
    def peaks(self) -> tuple[float, float]:
        """How high (image, audio) attention peaks, in multiples of one spread evenly over the timestamps.

        About 1 says that the moment was as good as any other; N, that the step took in nothing else. 0 for an
        absent modality.
        """
        image, audio = (
            len(attention) * float(np.nan_to_num(attention).max(initial=0.0))
            for attention in (self.image_attention, self.audio_attention)
        )
        return image, audio

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moment) and _plain(self) == _plain(other)


@dataclass(frozen=True, slots=True, eq=False)
class Recognition:
    """What the plan's recogniser had to do with an answer.

    Attributes:
        done: "yes": its scores, averaged over ``moments``, are the answer. Else the skimmer's are, and this
            says why: "no_pictures"; "no_moments", a run of one step looks at none; "no_time", it would not
            have been done within ``budget_ms``; "unreadable", none of the moments could be decoded;
            "no_file", features were handed in.
        moments: The distinct moments that were looked at and could be decoded, increasing seconds.
        skimmer_probabilities: float32 [C], calibrated: the answer that the skimmer gives.
    """

    done: Recognised
    moments: tuple[float, ...]
    skimmer_probabilities: FloatArray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recognition) and _plain(self) == _plain(other)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What was extracted from a file.

    Attributes:
        image_bank, audio_bank: float32 [M, D], or None for an absent modality: NumPy arrays, or, of a
            Classifier on a GPU, arrays there that speak DLPack and ``__cuda_array_interface__``.
        image_times, audio_times: float64 [M], increasing seconds.
        timestamps: float64 [N], seconds; the moments that :meth:`Classifier.predict` spreads attention over.
        decoder: What decoded the frames, as in :class:`Prediction`.
    """

    image_bank: Any
    audio_bank: Any
    image_times: TimeArray | None
    audio_times: TimeArray | None
    timestamps: TimeArray
    decoder: str


@dataclass(frozen=True, slots=True)
class Tag:
    """Something that a plan of tags saw or heard: a name, and no action.

    Attributes:
        name: As the makers of the network call it.
        score: 0 to 1, the highest that a moment has; of one tag at a moment, not of one action of the file.
        seconds: The moments of its highest scores, highest first, at most five; none whose score is less than
            half of the highest.
    """

    name: str
    score: float
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the file in which something happens.

    Attributes:
        label: The class; never one of the plan's background.
        start_s, end_s: Seconds on the file's clock, ``start_s < end_s``.
        score: 0 to 1, how sure; comparable between the segments of one plan.
    """

    label: str
    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class SelectedFrame:
    """A frame that was chosen.

    Attributes:
        seconds: The moment it is shown at, on the file's clock.
        image: uint8 [height, width, 3], RGB, at its own size, turned and mirrored as players show it; where
            pixels are not square, as they are stored.
        weight: The share of all attention that was paid to this moment, 0 to 1: comparable within a file.
    """

    seconds: float
    image: NDArray[np.uint8]
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class SelectedSound:
    """A window of sound that was chosen.

    Attributes:
        seconds: Where it begins, on the file's clock.
        samples: float32 [window], mono, in [-1, 1], at ``Selection.sample_rate``; zeros past the file's end.
        weight: As of a frame.
    """

    seconds: float
    samples: FloatArray
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The frames and windows of sound of one file that matter most, for whoever reads no more of it.

    Attributes:
        frames: By time, at least a hop apart; fewer than asked for where the file has fewer that differ, none
            without pictures.
        sounds: By time, none overlaps another; likewise.
        sample_rate: Samples a second of every sound: the plan's.
        media: The file's streams and how much was read to choose.
        timings: Where the time went.
        stopped_by: "done", or "budget" where the time was up before all was seen that it would have seen.
        decoder: What decoded the frames, as in :class:`Prediction`.
        path: The name the file was given by, if it had one.
    """

    frames: tuple[SelectedFrame, ...]
    sounds: tuple[SelectedSound, ...]
    sample_rate: int
    media: MediaInfo
    timings: Timings
    stopped_by: StoppedBy
    decoder: str
    path: str | None = field(default=None)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer for one video.

    Attributes:
        label: The most probable class, of those that the plan does not call background.
        confidence: Its calibrated probability.
        top_k: (class name, probability), most probable first, background left out; the first is the label.
        probabilities: float32 [C], in the order of ``Classifier.class_names``, background among them.
        moments: The moments looked at and listened to, in the order they were chosen.
        timestamps: float64 [N], seconds; the axis of every attention curve.
        timings: Where the time went.
        media: The file's streams and how much was read; None for ``predict_features``.
        device: What did the work: ``"cpu"``, ``"cuda"`` for the first GPU, ``"cuda:1"`` for the second …
        decoder: e.g. ``"pyav"``; None for ``predict_features``.
        precision: Precision of the encoders, e.g. ``"bf16"``; None for ``predict_features``.
        steps: Steps T of the skimmer that it rests on.
        stopped_by: Why it is not later: "done", all that was planned was seen; "budget", the time was up;
            "confidence", it was as sure as was asked for.
    """

    label: str
    confidence: float
    top_k: tuple[tuple[str, float], ...]
    probabilities: FloatArray
    moments: tuple[Moment, ...]
    timestamps: TimeArray
    timings: Timings
    media: MediaInfo | None
    device: str
    decoder: str | None
    precision: str | None
    steps: int
    stopped_by: StoppedBy
    path: str | None = field(default=None)
    """The name the file was given by, if it had one."""
    recognition: Recognition | None = field(default=None)
    """What the recogniser did; None if the plan has none."""
    known: bool = field(default=True)
    """False if the confidence is below what the plan calls unsure: the label is a guess then. True where the
    plan has no such threshold."""
    background: float = field(default=0.0)
    """The calibrated probability of the plan's background classes, that is of none of the others: their sum,
    or where a video may have several classes the highest; 0 for a plan without any."""
    heard: tuple[Tag, ...] = field(default=())
    """What a plan of tags heard, highest score first, as many as ``top_k`` asks for; empty for other plans,
    and without sound."""
    seen: tuple[Tag, ...] = field(default=())
    """What a plan of tags saw, likewise."""
    labels: tuple[str, ...] = field(default=())
    """Everything that happens: of a plan whose videos may have several classes those above their own
    threshold, most probable first; else the label where it is ``known``. May be empty."""
    segments: tuple[Segment, ...] | None = field(default=None)
    """When it happens: stretches by start, several a file and a class; empty where nothing does. None of a
    plan that has no settings for them."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prediction) and _plain(self) == _plain(other)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of plain Python values, ready for any serialiser."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def to_json(self, *, indent: int | None = None) -> str:
        """The prediction as JSON text; :meth:`from_json` reads it back to an equal object."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Prediction:
        """Rebuild a prediction from :meth:`to_dict`.

        Raises:
            KeyError, TypeError: If a field is missing or unknown.
        """
        values = dict(plain)
        values["top_k"] = tuple((str(name), float(p)) for name, p in plain["top_k"])
        values["probabilities"] = np.asarray(plain["probabilities"], np.float32)
        values["timestamps"] = np.asarray(plain["timestamps"], np.float64)
        values["moments"] = tuple(_moment(m) for m in plain["moments"])
        values["timings"] = Timings(**plain["timings"])
        if plain["media"] is not None:
            media = dict(plain["media"])
            media["streams"] = tuple(StreamInfo(**s) for s in media["streams"])
            values["media"] = MediaInfo(**media)
        if plain.get("recognition") is not None:
            values["recognition"] = _recognition(plain["recognition"])
        for kind in ("heard", "seen"):
            values[kind] = tuple(_tag(tag) for tag in plain.get(kind, ()))
        values["labels"] = tuple(plain.get("labels", ()))
        if plain.get("segments") is not None:
            values["segments"] = tuple(Segment(**segment) for segment in plain["segments"])
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Prediction:
        """Rebuild a prediction from :meth:`to_json`."""
        return cls.from_dict(json.loads(text))


def _moment(plain: Mapping[str, Any]) -> Moment:
    values = dict(plain)
    image, audio = plain["modality_scores"]
    values["modality_scores"] = (image, audio)
    values["image_attention"] = np.asarray(plain["image_attention"], np.float32)
    values["audio_attention"] = np.asarray(plain["audio_attention"], np.float32)
    return Moment(**values)


def _tag(plain: Mapping[str, Any]) -> Tag:
    return Tag(**dict(plain) | {"seconds": tuple(plain["seconds"])})


def _recognition(plain: Mapping[str, Any]) -> Recognition:
    values = dict(plain)
    values["moments"] = tuple(plain["moments"])
    values["skimmer_probabilities"] = np.asarray(plain["skimmer_probabilities"], np.float32)
    return Recognition(**values)


def _plain(value: Any) -> Any:
    """Dataclasses to dicts, arrays and tuples to lists; floats stay exact (repr round-trips)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
