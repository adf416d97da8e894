"""All settings of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from training.config.clips import ClipsConfig, DistillConfig, StudentConfig, TeacherConfig
from training.config.data import ReencodeConfig, RenderConfig, SetConfig
from training.config.kinds import Count, Number
from training.config.networks import ModelConfig
from training.config.parse import build, override, read_toml
from training.config.recogniser import RecogniserConfig
from training.config.reports import EvaluateConfig, SamplingConfig
from training.config.skim import SkimConfig, VariantsConfig


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a run needs.

    Attributes:
        work: Folder of checkpoints, caches and metrics.
        plan: The plan that ``export`` writes.
        seed: What everything drawn in training starts from; rendered sets have their own.
        threads: Threads of PyTorch.
        precision: What encoders are trained in: "fp32", "bf16", "fp16", or "auto", which is bf16 wherever
            the device can.
        workers: Processes that decode videos.
        factor: Sparse indexing factor of the exported plan.
        render, reencode, sets: Where the videos come from, by the name of the set: generated, encoded again,
            or footage that a manifest lists.
        teacher: Learns the source universe; without training sets there is none, and nothing is distilled.
        precisions: What exported graphs compute in, beside fp32: "fp16", "int8".
    """

    work: str
    plan: str
    seed: Number = 0
    threads: Count = 2
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    workers: Number = 2
    factor: Count = 5
    precisions: tuple[Literal["fp32", "fp16", "int8"], ...] = ("fp32",)
    render: dict[str, RenderConfig] = field(default_factory=dict)
    reencode: dict[str, ReencodeConfig] = field(default_factory=dict)
    sets: dict[str, SetConfig] = field(default_factory=dict)
    model: ModelConfig = field(default_factory=ModelConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    skim: SkimConfig = field(default_factory=SkimConfig)
    variants: VariantsConfig = field(default_factory=VariantsConfig)
    recogniser: RecogniserConfig = field(default_factory=RecogniserConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        names = [*self.render, *self.reencode, *self.sets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"more than one set is called {', '.join(twice)}")

    def folder(self, *parts: str) -> Path:
        """Return a folder or file of this run."""
        return Path(self.work, *parts)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file and apply overrides such as ``student.epochs=3``.

    Raises:
        ValueError: If a setting is unknown, missing or of the wrong type; the message names it.
    """
    return build(Config, override(read_toml(path), overrides), str(path))


def model_config(overrides: Sequence[str] = ()) -> ModelConfig:
    """Return the paper's sizes, with overrides such as ``model.image_width=0.5``.

    Raises:
        ValueError: If an override is of anything else than the model.
    """
    plain = override({}, overrides)
    if plain.keys() - {"model"}:
        raise ValueError("without a configuration, --set changes settings of model alone")
    return build(ModelConfig, plain.get("model", {}), "--set")
