"""The typed configuration of a training run: a TOML file, then overrides from the command line."""

from training.config.clips import ClipsConfig, DistillConfig, StudentConfig, TeacherConfig
from training.config.data import ReencodeConfig, RenderConfig, SetConfig
from training.config.networks import ModelConfig
from training.config.pace import Pace
from training.config.parse import to_plain
from training.config.recogniser import RecogniserConfig
from training.config.reports import EvaluateConfig, SamplingConfig
from training.config.run import Config, load_config, model_config
from training.config.skim import SkimConfig, VariantsConfig

__all__ = [
    "ClipsConfig",
    "Config",
    "DistillConfig",
    "EvaluateConfig",
    "ModelConfig",
    "Pace",
    "RecogniserConfig",
    "ReencodeConfig",
    "RenderConfig",
    "SamplingConfig",
    "SetConfig",
    "SkimConfig",
    "StudentConfig",
    "TeacherConfig",
    "VariantsConfig",
    "load_config",
    "model_config",
    "to_plain",
]
