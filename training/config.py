"""The typed configuration of a training run: a TOML file, then overrides from the command line."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RenderConfig:
    """One generated set of videos (``python -m training.data.synth``)."""

    seed: int
    count: int
    split: str = "untrimmed"
    config: str | None = None


@dataclass(frozen=True, slots=True)
class ReencodeConfig:
    """A generated set with its pictures encoded again (``python -m training.data.reencode``).

    Attributes:
        source: Name of the rendered set.
        gop: Frames from key frame to key frame.
    """

    source: str
    gop: int = 250


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes: D, F, K and H of DESIGN 2, and the widths of the encoders."""

    image_width: float = 1.0
    audio_width: float = 1.0
    audio_stem_stride: int = 2
    features: int = 512
    fusion: int = 1024
    keys: int = 512
    hidden: int = 1024


@dataclass(frozen=True, slots=True)
class StudentConfig:
    """Training of the clip classifier.

    Attributes:
        train, validation: Names of rendered sets.
        pairs: Image-audio pairs drawn from each video's stretches.
        drop_image, drop_audio: Shares of the loss on pairs that lose a modality.
    """

    train: tuple[str, ...] = ("clips",)
    validation: tuple[str, ...] = ("clips-validation",)
    pairs: int = 6
    epochs: int = 12
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    drop_image: float = 0.2
    drop_audio: float = 0.4
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class SkimConfig:
    """Training of the skimmer on cached features.

    Attributes:
        train, validation: Names of rendered sets.
        steps: T.
        early_steps: T of two batches in three, for whoever stops early.
        factors: Knots are every k-th timestamp, a batch's k one of these.
        few_frames: Share of batches with few frames at irregular times, and all the sound.
        recombine: Share of training sequences whose segments are shuffled and exchanged.
        drop_image, drop_audio: Shares of sequences that lose a modality.
        noise: Deviation of the noise on features, in units of their mean size.
        block_vote: Share of steps at which one modality must choose for both (Eq. 8), in the first update
            and in the last, and in between in proportion.
        early_weight: Weight of the loss after 2, 3, ... T-1 steps beside the one after T.
        checkpoint_every: Updates between checkpoints.
    """

    train: tuple[str, ...] = ("train",)
    validation: tuple[str, ...] = ("validation",)
    steps: int = 10
    early_steps: int = 3
    updates: int = 5000
    batch: int = 32
    rate: float = 2e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    factors: tuple[int, ...] = (1, 2, 3, 4, 5, 5)
    few_frames: float = 0.15
    recombine: float = 0.7
    drop_image: float = 0.03
    drop_audio: float = 0.08
    noise: float = 0.1
    block_vote: tuple[float, ...] = (0.5, 0.1)
    early_weight: float = 0.3
    checkpoint_every: int = 250


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """The end-to-end test.

    Attributes:
        set: Name of the rendered test set.
        report: Where the JSON and Markdown tables go, without suffix.
    """

    set: str = "test"
    report: str = "results/av-kinetic-demo"


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """The comparison of the ways to sample a video (``python -m training.sampling``).

    Attributes:
        sets: Names of the test sets.
        steps: Steps of the row that stops early.
        budgets_ms: Deadlines of the curve, in milliseconds a video.
        report: Where the JSON and Markdown tables go, without suffix.
        plot: The picture of the curve.
    """

    sets: tuple[str, ...] = ("test",)
    steps: int = 3
    budgets_ms: tuple[float, ...] = (10.0, 20.0, 40.0, 80.0, 160.0)
    report: str = "results/av-kinetic-sampling"
    plot: str = "docs/accuracy-budget.png"


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a run needs.

    Attributes:
        work: Folder of checkpoints, caches and metrics.
        plan: The plan that ``export`` writes.
        seed: Of everything drawn in training; rendered sets have their own.
        threads: Of PyTorch.
        workers: Processes that decode videos.
        factor: Sparse indexing factor of the exported plan.
        precisions: Of the exported graphs, beside fp32: "fp16", "int8".
    """

    work: str
    plan: str
    seed: int = 0
    threads: int = 2
    workers: int = 2
    factor: int = 5
    precisions: tuple[str, ...] = ("fp32",)
    render: dict[str, RenderConfig] = field(default_factory=dict)
    reencode: dict[str, ReencodeConfig] = field(default_factory=dict)
    model: ModelConfig = ModelConfig()
    student: StudentConfig = StudentConfig()
    skim: SkimConfig = SkimConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    sampling: SamplingConfig = SamplingConfig()

    def folder(self, *parts: str) -> Path:
        """A folder or file of this run."""
        return Path(self.work, *parts)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file and apply overrides such as ``student.epochs=3``.

    Raises:
        ValueError: If a setting is unknown, missing or of the wrong type; the message names it.
    """
    plain = tomllib.loads(path.read_text(encoding="utf-8"))
    return _build(Config, _override(plain, overrides), str(path))


def model_config(overrides: Sequence[str] = ()) -> ModelConfig:
    """The paper's sizes, with overrides such as ``model.image_width=0.5``.

    Raises:
        ValueError: If an override is of anything else than the model.
    """
    plain = _override({}, overrides)
    if plain.keys() - {"model"}:
        raise ValueError("without a configuration, --set changes settings of model alone")
    return _build(ModelConfig, plain.get("model", {}), "--set")


def _override(plain: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    for override in overrides:
        name, sign, text = override.partition("=")
        if not sign:
            raise ValueError(f"--set takes name=value, not {override!r}")
        *tables, key = name.strip().split(".")
        table = plain
        for part in tables:
            table = table.setdefault(part, {})
        table[key] = _value(text)
    return plain


def to_plain(config: Any) -> dict[str, Any]:
    """A configuration as JSON values."""
    return dataclasses.asdict(config)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _build(cls: type[_T], plain: dict[str, Any], where: str) -> _T:
    hints = typing.get_type_hints(cls)
    unknown = sorted(plain.keys() - hints.keys())
    if unknown:
        raise ValueError(f"{where}: no such setting: {', '.join(unknown)}")
    values = {name: _convert(hints[name], value, f"{where}: {name}") for name, value in plain.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def _convert(kind: Any, value: Any, where: str) -> Any:
    """``value`` as ``kind``: a dataclass, a dict or tuple of something, or a plain value."""
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _build(typing.cast(type, kind), value, where)
    if origin is dict and isinstance(value, dict):
        inner = typing.get_args(kind)[1]
        return {name: _convert(inner, item, f"{where}.{name}") for name, item in value.items()}
    if origin is tuple and isinstance(value, list):
        inner = typing.get_args(kind)[0]
        return tuple(_convert(inner, item, where) for item in value)
    if origin is types.UnionType and value is not None:
        return _convert(typing.get_args(kind)[0], value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(kind, type) or type(value) is not kind:
        raise ValueError(f"{where} cannot be {value!r}")
    return value
