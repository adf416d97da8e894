"""The skimmer as its settings have it: built, begun from the student, and read again when trained."""

from __future__ import annotations

from pathlib import Path

from training.config import Config
from training.models import SkimmingNetwork, Student
from training.runs.checkpoint import load_network

FOLDER = "skim"
WEIGHTS = "skimmer.safetensors"


def build_skimmer(config: Config, classes: int) -> SkimmingNetwork:
    """Return a skimmer of the configured kind and sizes."""
    model = config.model
    return SkimmingNetwork(
        classes,
        features=model.features,
        fusion=model.fusion,
        keys=model.keys,
        hidden=model.hidden,
        preset=config.skim.preset,
        modalities=config.skim.modalities,
    )


def start_from(skimmer: SkimmingNetwork, student: Student) -> None:
    """Let Psi and the classifier begin as the student's (paper: the same fusion network).

    A skimmer of one modality takes what the student does with that and nothing of the other.
    """
    weights = student.fusion.state_dict()
    first, own = weights["0.weight"], skimmer.fusion.state_dict()["0.weight"]
    size = own.shape[1]
    weights["0.weight"] = first[:, -size:] if skimmer.modalities == ("audio",) else first[:, :size]
    skimmer.fusion.load_state_dict(weights)
    skimmer.classifier.load_state_dict(student.classifier.state_dict())


def skimmer_path(config: Config, folder: str = FOLDER) -> Path:
    """Return where the skimmer's weights are."""
    return config.folder(folder, WEIGHTS)


def load_skimmer(config: Config, classes: int, folder: str = FOLDER) -> SkimmingNetwork:
    """Return the trained skimmer in evaluation mode.

    Raises:
        InputError: If there is none, or one of other settings.
    """
    skimmer = build_skimmer(config, classes)
    load_network(skimmer_path(config, folder), skimmer, made_by="skim" if folder == FOLDER else "variants")
    return skimmer.eval()
