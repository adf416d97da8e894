"""The plan's JSON document: typed settings that refuse anything they do not know."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from l2l_engine.errors import PlanError

FORMAT_VERSION = 1
"""Raised whenever a reader of the old version could misread a new file."""

MODALITIES = ("image", "audio")

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
"""Precisions of graphs."""

MAX_BATCH = 4096
"""Most samples a call that an engine may be compiled for."""

MAX_STEPS = 1000
"""Most steps T a plan or a call may ask for."""

_T = TypeVar("_T")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise PlanError(message)


def _is_number(value: object) -> bool:
    # Compared rather than converted: JSON holds integers that no float can.
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    )


def _is_text(value: str) -> bool:
    """JSON can spell halves of characters, which no encoding writes."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _is_label(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 300 and _is_text(value)


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_profile(value: object) -> bool:
    """Three batch sizes that do not decrease."""
    sizes = value if isinstance(value, tuple) else ()
    return len(sizes) == 3 and all(_is_count(size, MAX_BATCH) for size in sizes) and sorted(sizes) == [*sizes]


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
        _require(_is_number(self.hop) and 1e-3 <= self.hop <= 3600, f"media.hop is {self.hop!r}")
        _require(_is_count(self.short_side, 4096), f"media.short_side is {self.short_side!r}")
        _require(
            _is_count(self.crop, 4096) and self.crop <= self.short_side,
            f"media.crop is {self.crop!r}, short side {self.short_side}",
        )
        _require(_is_count(self.sample_rate, 384_000), f"media.sample_rate is {self.sample_rate!r}")
        _require(_is_count(self.window, 10_000_000), f"media.window is {self.window!r}")


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """Where features are extracted: every ``factor``-th timestamp, gaps bounded in seconds."""

    factor: int = 5
    max_image_gap_s: float = 8 / 3
    max_audio_gap_s: float = 8 / 3

    def __post_init__(self) -> None:
        _require(_is_count(self.factor, 10_000), f"sampling.factor is {self.factor!r}")
        for name in ("max_image_gap_s", "max_audio_gap_s"):
            gap = getattr(self, name)
            _require(_is_number(gap) and gap > 0, f"sampling.{name} is {gap!r}")


@dataclass(frozen=True, slots=True)
class SkimSettings:
    """Which form of Eq. 5-9 the weights belong to, and the number of steps by default.

    Attributes:
        preset: "paper"; "released", as the authors published it; or "clip": no skimming, the fused features
            of all timestamps are averaged, in one step.
        steps: T by default.
        key_activation: "relu" puts a ReLU after the key layers.
        exclude_previous_argmax: Whether moments that were an earlier step's argmax get no attention.
    """

    preset: str = "paper"
    steps: int = 10
    key_activation: str = "none"
    exclude_previous_argmax: bool = False

    def __post_init__(self) -> None:
        _require(self.preset in ("paper", "released", "clip"), f"skim.preset is {self.preset!r}")
        _require(_is_count(self.steps, MAX_STEPS), f"skim.steps is {self.steps!r}")
        _require(self.key_activation in ("none", "relu"), f"skim.key_activation is {self.key_activation!r}")
        _require(isinstance(self.exclude_previous_argmax, bool), "skim.exclude_previous_argmax is no boolean")
        plain = self.steps == 1 and self.key_activation == "none" and not self.exclude_previous_argmax
        _require(self.preset != "clip" or plain, "skim.preset clip knows one step, no keys and no exclusion")


@dataclass(frozen=True, slots=True)
class CompiledSettings:
    """Where a ``compiled.<backend>.<part>`` section comes from, and what it runs on.

    Attributes:
        precision: Of the graph it was built from.
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
        _require(self.precision in PRECISIONS, f"precision is {self.precision!r}")
        _require(_is_sha256(self.graph), f"graph is {self.graph!r}, which is no SHA-256")
        _require(_is_label(self.version), f"version is {self.version!r}")
        _require(_is_label(self.device), f"device is {self.device!r}")
        _require(self.batch is None or _is_profile(self.batch), f"batch is {self.batch!r}")


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
    recogniser: None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    compiled: Mapping[str, CompiledSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names: tuple[object, ...] = self.classes  # JSON may hold anything
        good = bool(names) and all(isinstance(name, str) and name and _is_text(name) for name in names)
        _require(good, "classes must be one or more non-empty names")
        _require(len(set(self.classes)) == len(self.classes), "a class name stands twice")
        _require(self.output in ("softmax", "sigmoid"), f"output is {self.output!r}")
        good = all(_is_number(t) and t > 0 for t in self.calibration)
        _require(good, "calibration must be positive temperatures")
        _require(self.modalities in (("image", "audio"), ("image",)), f"modalities are {self.modalities!r}")
        _require(self.recogniser is None, "this version knows no recogniser")
        _require(isinstance(self.provenance, Mapping), "provenance is no object")

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
    _require(isinstance(plain, dict), "the plan's document is no JSON object")
    version = plain.pop("format_version", None)
    _require(
        isinstance(version, int) and version == FORMAT_VERSION,
        f"the plan has format version {version!r}, this l2l_engine reads {FORMAT_VERSION}",
    )
    tensors = plain.pop("tensors", None)
    _require(isinstance(tensors, dict), "the plan's document has no table of tensors")
    for name in ("classes", "calibration", "modalities"):
        _require(isinstance(plain.get(name), list), f"{name} is missing or no list")
        plain[name] = tuple(plain[name])
    plain["media"] = _build(MediaSettings, plain.get("media"), "media")
    plain["sampling"] = _build(SamplingSettings, plain.get("sampling"), "sampling")
    plain["skim"] = _build(SkimSettings, plain.get("skim"), "skim")
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
