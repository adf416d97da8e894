"""The plan's JSON document: typed settings that refuse anything they do not know."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from l2l_engine.errors import PlanError
from l2l_engine.plan.checks import is_count, is_label, is_number, is_profile, is_sha256, is_text, require

FORMAT_VERSION = 1
"""Raised whenever a reader of the old version could misread a new file."""

MODALITIES = ("image", "audio")

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
"""Precisions of graphs."""

MAX_STEPS = 1000
"""Most steps T a plan or a call may ask for."""

MAX_CLIP_BYTES = 64 << 20
"""Most pixels that a recogniser may take of one moment, in bytes."""

_T = TypeVar("_T")


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
            "released", as the authors published it; or "clip": no skimming, the fused features of all
            timestamps are averaged, in one step.
        steps: T by default.
        key_activation: "relu" puts a ReLU after the key layers.
        exclude_previous_argmax: Whether moments that were an earlier step's argmax get no attention.
    """

    preset: str = "paper"
    steps: int = 10
    key_activation: str = "none"
    exclude_previous_argmax: bool = False

    def __post_init__(self) -> None:
        known = ("paper", "paired", "released", "clip")
        require(self.preset in known, f"skim.preset is {self.preset!r}")
        require(is_count(self.steps, MAX_STEPS), f"skim.steps is {self.steps!r}")
        require(self.key_activation in ("none", "relu"), f"skim.key_activation is {self.key_activation!r}")
        require(isinstance(self.exclude_previous_argmax, bool), "skim.exclude_previous_argmax is no boolean")
        plain = self.key_activation == "none" and not self.exclude_previous_argmax
        one = self.steps == 1 and plain
        require(self.preset != "clip" or one, "skim.preset clip knows one step, no keys and no exclusion")
        require(self.preset != "paired" or plain, "skim.preset paired has affine keys and no exclusion")


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
        modalities: ("image", "audio"), or ("image",) for a visual-only plan.
        recogniser: Settings of the optional recogniser; None without one.
        provenance: Data, metrics, tool versions; free-form JSON.
        compiled: Origin of every compiled section, by "<backend>.<part>".
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

    def __post_init__(self) -> None:
        names: tuple[object, ...] = self.classes  # JSON may hold anything
        good = bool(names) and all(isinstance(name, str) and name and is_text(name) for name in names)
        require(good, "classes must be one or more non-empty names")
        require(len(set(self.classes)) == len(self.classes), "a class name stands twice")
        require(self.output in ("softmax", "sigmoid"), f"output is {self.output!r}")
        good = all(is_number(t) and t > 0 for t in self.calibration)
        require(good, "calibration must be positive temperatures")
        require(self.modalities in (("image", "audio"), ("image",)), f"modalities are {self.modalities!r}")
        pairs = self.skim.preset != "paired" or len(self.modalities) == 2
        require(pairs, "skim.preset paired needs images and sound")
        looks = self.recogniser is None or self.skim.preset != "clip"
        require(looks, "skim.preset clip looks at no moments that a recogniser could see")
        require(isinstance(self.provenance, Mapping), "provenance is no object")

    @property
    def parts(self) -> tuple[str, ...]:
        """The networks whose graphs the plan holds: one for each modality, and the recogniser."""
        return self.modalities if self.recogniser is None else (*self.modalities, "recogniser")

    def temperature(self, steps: int) -> float:
        """The temperature for a prediction of ``steps`` steps."""
        return self.calibration[min(steps, len(self.calibration)) - 1] if self.calibration else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the format version."""
        provenance, compiled = dict(self.provenance), dict(self.compiled)
        plain = dataclasses.asdict(dataclasses.replace(self, provenance=provenance, compiled=compiled))
        if not self.compiled:
            del plain["compiled"]  # as in plans that were written before there were any
        return {"format_version": FORMAT_VERSION, **plain}


def parse_document(text: str) -> tuple[PlanDocument, dict[str, Any]]:
    """Read the JSON document.

    Returns:
        The settings, and the table of tensors: name to {dtype, shape, sha256}.

    Raises:
        PlanError: If the text is no JSON, of another format version, or anything in it is missing,
            unknown or out of range.
    """
    try:
        plain = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"the plan's document is no JSON: {error}") from error
    require(isinstance(plain, dict), "the plan's document is no JSON object")
    version = plain.pop("format_version", None)
    require(
        isinstance(version, int) and version == FORMAT_VERSION,
        f"the plan has format version {version!r}, this l2l_engine reads {FORMAT_VERSION}",
    )
    tensors = plain.pop("tensors", None)
    require(isinstance(tensors, dict), "the plan's document has no table of tensors")
    for name in ("classes", "calibration", "modalities"):
        require(isinstance(plain.get(name), list), f"{name} is missing or no list")
        plain[name] = tuple(plain[name])
    plain["media"] = _build(MediaSettings, plain.get("media"), "media")
    plain["sampling"] = _build(SamplingSettings, plain.get("sampling"), "sampling")
    plain["skim"] = _build(SkimSettings, plain.get("skim"), "skim")
    if plain.get("recogniser") is not None:
        plain["recogniser"] = _build(RecogniserSettings, plain["recogniser"], "recogniser")
    plain["compiled"] = _build_compiled(plain.get("compiled", {}))
    return _build(PlanDocument, plain, "the plan's document"), tensors


def _build_compiled(plain: object) -> dict[str, CompiledSettings]:
    if not isinstance(plain, dict):
        raise PlanError("compiled is no object")
    built: dict[str, CompiledSettings] = {}
    for name, entry in plain.items():
        try:
            settings = _build(CompiledSettings, _with_tuple(entry, "batch"), "its entry")
        except PlanError as error:
            raise PlanError(f"compiled.{name}: {error}") from error
        built[name] = settings
    return built


def _with_tuple(plain: object, name: str) -> object:
    """JSON has no tuples."""
    if isinstance(plain, dict) and isinstance(plain.get(name), list):
        return plain | {name: tuple(plain[name])}
    return plain


def _build(cls: type[_T], plain: object, where: str) -> _T:
    """A settings object from JSON that must have exactly its fields."""
    if not isinstance(plain, dict):
        raise PlanError(f"{where} is missing or no object")
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if plain.keys() != known:
        odd = sorted(map(str, plain.keys() ^ known))
        raise PlanError(f"{where} has missing or unknown fields: {', '.join(odd[:5])}")
    return cls(**plain)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
