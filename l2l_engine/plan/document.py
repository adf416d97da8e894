"""The plan's JSON document: typed settings that refuse anything they do not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.plan.checks import is_count, is_label, is_number, is_profile, is_sha256, is_text, require
from l2l_engine.plan.later import later, to_plain
from l2l_engine.plan.segments import SegmentSettings
from l2l_engine.plan.tags import TagSettings, tag_classes

FORMAT_VERSION = 2
"""Raised whenever a reader of the old version could misread a new file."""

MODALITIES = ("image", "audio")

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
"""Precisions of graphs."""

MAX_STEPS = 1000
"""Most steps T a plan or a call may ask for."""

MAX_CLIP_BYTES = 64 << 20
"""Most pixels that a recogniser may take of one moment, in bytes."""


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """How pixels and samples reach the encoders (DESIGN: the clock, I_j and A_j).

    Attributes:
        hop: Seconds between timestamps.
        short_side: Pixels the frame's short side is resized to.
        crop: Pixels of the centre crop, both sides.
        sample_rate: Hz, mono.
        window: Samples of sound that belong to a timestamp.
    """

    hop: float = 16 / 30
    short_side: int = 128
    crop: int = 112
    sample_rate: int = 16000
    window: int = 16000

    def __post_init__(self) -> None:
        require(is_number(self.hop) and 1e-3 <= self.hop <= 3600, f"media.hop is {self.hop!r}")
        require(is_count(self.short_side, 4096), f"media.short_side is {self.short_side!r}")
        require(
            is_count(self.crop, 4096) and self.crop <= self.short_side,
            f"media.crop is {self.crop!r}, short side {self.short_side}",
        )
        require(is_count(self.sample_rate, 384_000), f"media.sample_rate is {self.sample_rate!r}")
        require(is_count(self.window, 10_000_000), f"media.window is {self.window!r}")


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """Where features are extracted: every ``factor``-th timestamp, gaps bounded in seconds."""

    factor: int = 5
    max_image_gap_s: float = 8 / 3
    max_audio_gap_s: float = 8 / 3

    def __post_init__(self) -> None:
        require(is_count(self.factor, 10_000), f"sampling.factor is {self.factor!r}")
        for name in ("max_image_gap_s", "max_audio_gap_s"):
            gap = getattr(self, name)
            require(is_number(gap) and gap > 0, f"sampling.{name} is {gap!r}")


@dataclass(frozen=True, slots=True)
class SkimSettings:
    """Which form of Eq. 5-9 the weights belong to, and the number of steps by default.

    Attributes:
        preset: "paper"; "paired", where features of a knot are first joined with the other modality's;
            "released", as the authors published it; "clip": no skimming, the fused features of all
            timestamps are averaged, in one step; "evidence": each class's evidence at every timestamp,
            smoothed over seconds, and its soft maximum, in two steps; or "tags": no skimming and no weights,
            features are the logits of tags.
        steps: T by default.
        key_activation: "relu" puts a ReLU after the key layers.
        exclude_previous_argmax: Whether moments that were an earlier step's argmax get no attention.
    """

    preset: str = "paper"
    steps: int = 10
    key_activation: str = "none"
    exclude_previous_argmax: bool = False

    def __post_init__(self) -> None:
        known = ("paper", "paired", "released", "clip", "evidence", "tags")
        require(self.preset in known, f"skim.preset is {self.preset!r}")
        require(is_count(self.steps, MAX_STEPS), f"skim.steps is {self.steps!r}")
        require(self.key_activation in ("none", "relu"), f"skim.key_activation is {self.key_activation!r}")
        require(isinstance(self.exclude_previous_argmax, bool), "skim.exclude_previous_argmax is no boolean")
        plain = self.key_activation == "none" and not self.exclude_previous_argmax
        few = self.steps <= self.most_steps and (self.skims or plain)
        count = "one step" if self.most_steps == 1 else f"at most {self.most_steps} steps"
        require(few, f"skim.preset {self.preset} knows {count}, no keys and no exclusion")
        require(self.preset != "paired" or plain, "skim.preset paired has affine keys and no exclusion")

    @property
    def skims(self) -> bool:
        """Whether there is a recurrent skimmer, which chooses moments step by step."""
        return self.preset not in ("clip", "evidence", "tags")

    @property
    def most_steps(self) -> int:
        """The most steps T there can be: T - 1 looks, and without any all moments count the same."""
        return {"clip": 1, "tags": 1, "evidence": 2}.get(self.preset, MAX_STEPS)


@dataclass(frozen=True, slots=True)
class RecogniserSettings:
    """The optional network that says what is seen at the moments looked at (DESIGN: indexing apart from
    recognition). It has the plan's classes; its graph gives their logits.

    Attributes:
        kind: "frame": it sees the frame shown at a moment; "clip": several from the moment on.
        short_side, crop: Pixels, as in :class:`MediaSettings`.
        frames: Frames of a clip, 16 in the paper; 1 for kind "frame".
        seconds: Length of a clip: frame i is the one shown i * seconds / frames after the moment; 0 for kind
            "frame".
        temperature: Divides its logits.
    """

    kind: str = "frame"
    short_side: int = 128
    crop: int = 112
    frames: int = 1
    seconds: float = 0.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        require(self.kind in ("frame", "clip"), f"recogniser.kind is {self.kind!r}")
        require(is_count(self.short_side, 4096), f"recogniser.short_side is {self.short_side!r}")
        require(
            is_count(self.crop, 4096) and self.crop <= self.short_side,
            f"recogniser.crop is {self.crop!r}, short side {self.short_side}",
        )
        clip = self.kind == "clip"
        require(
            is_count(self.frames, 256) and (self.frames > 1) == clip,
            f"recogniser.frames is {self.frames!r}, kind {self.kind}",
        )
        require(
            is_number(self.seconds) and 0 <= self.seconds <= 60 and (self.seconds > 0) == clip,
            f"recogniser.seconds is {self.seconds!r}, kind {self.kind}",
        )
        size = self.frames * self.crop**2 * 3
        require(size <= MAX_CLIP_BYTES, f"recogniser.frames and crop are {size} bytes a moment")
        require(
            is_number(self.temperature) and self.temperature > 0,
            f"recogniser.temperature is {self.temperature!r}",
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """What the graph takes of one moment: uint8 [crop, crop, 3], or [frames, crop, crop, 3]."""
        picture = (self.crop, self.crop, 3)
        return picture if self.kind == "frame" else (self.frames, *picture)


@dataclass(frozen=True, slots=True)
class CompiledSettings:
    """Where a ``compiled.<backend>.<part>`` section comes from, and what it runs on.

    Attributes:
        precision: The precision of the graph it was built from.
        graph: SHA-256 of that graph.
        version: Version of the backend's library.
        device: What it was built for, in the backend's words; another device cannot use it.
        batch: Samples a call: least, best, most; None if it takes any number.
    """

    precision: str
    graph: str
    version: str
    device: str
    batch: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        require(self.precision in PRECISIONS, f"precision is {self.precision!r}")
        require(is_sha256(self.graph), f"graph is {self.graph!r}, which is no SHA-256")
        require(is_label(self.version), f"version is {self.version!r}")
        require(is_label(self.device), f"device is {self.device!r}")
        require(self.batch is None or is_profile(self.batch), f"batch is {self.batch!r}")


@dataclass(frozen=True, slots=True)
class PlanDocument:
    """Everything a plan says apart from its tensors.

    Attributes:
        classes: Class names, in the order of the logits.
        output: "softmax" (one label) or "sigmoid" (several).
        calibration: Temperature that divides the logits after 1, 2, ... steps; the last one holds for
            more. Empty means 1.
        modalities: ("image", "audio"); ("image",) for a visual-only plan; ("audio",) for an audio-only one.
        recogniser: Settings of the optional recogniser; None without one.
        provenance: Data, metrics, tool versions; free-form JSON.
        compiled: Origin of every compiled section, by "<backend>.<part>".
        unsure: Calibrated confidence, 0 to 1, below which an answer is not known; None for no such
            threshold.
        background: Classes that stand for "none of the others" (silence, other footage): they take their
            share of the probability, and are never the answer.
        tags: Of a plan with preset "tags": what each modality names.
        thresholds: Where a video may have several classes: by class, the calibrated probability from which it
            has it; empty means one half.
        segments: How it is told when a class happens; None for a plan that does not tell.
    """

    classes: tuple[str, ...]
    media: MediaSettings = MediaSettings()
    sampling: SamplingSettings = SamplingSettings()
    skim: SkimSettings = SkimSettings()
    output: str = "softmax"
    calibration: tuple[float, ...] = ()
    modalities: tuple[str, ...] = MODALITIES
    recogniser: RecogniserSettings | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    compiled: Mapping[str, CompiledSettings] = field(default_factory=dict)
    unsure: float | None = later(None)
    background: tuple[str, ...] = later(())
    tags: Mapping[str, TagSettings] | None = later(None)
    thresholds: tuple[float, ...] = later(())
    segments: SegmentSettings | None = later(None)  # noqa: RUF009 - a dataclasses.field

    def __post_init__(self) -> None:
        names: tuple[object, ...] = self.classes  # JSON may hold anything
        good = bool(names) and all(isinstance(name, str) and name and is_text(name) for name in names)
        require(good, "classes must be one or more non-empty names")
        require(len(set(self.classes)) == len(self.classes), "a class name stands twice")
        require(self.output in ("softmax", "sigmoid"), f"output is {self.output!r}")
        good = all(is_number(t) and t > 0 for t in self.calibration)
        require(good, "calibration must be positive temperatures")
        known = (MODALITIES, ("image",), ("audio",))
        require(self.modalities in known, f"modalities are {self.modalities!r}")
        pairs = self.skim.preset != "paired" or len(self.modalities) == 2
        require(pairs, "skim.preset paired needs images and sound")
        looks = self.recogniser is None or self.skim.most_steps > 1
        require(looks, f"skim.preset {self.skim.preset} looks at no moments that a recogniser could see")
        sees = self.recogniser is None or "image" in self.modalities
        require(sees, "a recogniser needs pictures, and the plan is for sound alone")
        require(isinstance(self.provenance, Mapping), "provenance is no object")
        good = self.unsure is None or (is_number(self.unsure) and 0 <= self.unsure <= 1)
        require(good, f"unsure is {self.unsure!r}, which is no confidence")
        self._check_background()
        self._check_tags()
        self._check_thresholds()

    def _check_background(self) -> None:
        unknown = [name for name in self.background if name not in self.classes]
        require(not unknown, f"background names {unknown[:1]}, which is no class")
        require(len(set(self.background)) == len(self.background), "background names a class twice")
        require(len(self.background) < len(self.classes), "all classes are background")

    def _check_tags(self) -> None:
        if self.skim.preset != "tags":
            require(self.tags is None, f"tags are given, and skim.preset is {self.skim.preset}")
            return
        tags = self.tags or {}
        require(tags.keys() == set(self.modalities), "skim.preset tags needs the tags of every modality")
        require(self.classes == tag_classes(tags), "the classes of a plan of tags must be its tags")
        plain = self.output == "sigmoid" and not self.calibration
        require(plain, "the output of a plan of tags is sigmoid, without calibration")

    def _check_thresholds(self) -> None:
        good = all(is_number(t) and 0 < t <= 1 for t in self.thresholds)
        require(good, "thresholds must be probabilities above 0")
        count = len(self.classes)
        require(len(self.thresholds) in (0, count), "thresholds must be one a class")
        several = self.output == "sigmoid" or not self.thresholds
        require(several, "thresholds are given, and the output is softmax: a video has one class")
        if self.segments is not None:
            fits = len(self.segments.thresholds) == count
            require(fits, "segments.thresholds must be one a class")
            require(self.skim.preset != "tags", "a plan of tags has no segments: tags are no actions")

    @property
    def foreground(self) -> NDArray[np.int64]:
        """The numbers of the classes that can be an answer, increasing: those that are not background."""
        behind = {self.classes.index(name) for name in self.background}
        return np.array([i for i in range(len(self.classes)) if i not in behind], np.int64)

    @property
    def parts(self) -> tuple[str, ...]:
        """The networks whose graphs the plan holds: one for each modality, and the recogniser."""
        return self.modalities if self.recogniser is None else (*self.modalities, "recogniser")

    def temperature(self, steps: int) -> float:
        """The temperature for a prediction of ``steps`` steps."""
        return self.calibration[min(steps, len(self.calibration)) - 1] if self.calibration else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the format version."""
        plain = to_plain(self)
        if not self.compiled:
            del plain["compiled"]  # as in plans that were written before there were any
        return {"format_version": FORMAT_VERSION, **plain}
