"""A plan without any training: what published networks name by themselves, as tags of a file's moments."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torchvision
from torch import Tensor, nn

from l2l_engine.plan import (
    PREFIXES,
    MediaSettings,
    Plan,
    PlanDocument,
    SamplingSettings,
    SkimSettings,
    TagSettings,
    tag_classes,
    write_plan,
)
from training.config import ModelConfig
from training.errors import InputError
from training.export.graphs import fp32_graphs
from training.export.versions import versions
from training.models import AudioEncoder, Encoder, ImageEncoder
from training.models.encoder import FeatureEncoder
from training.models.inputs import media_settings
from training.models.weights import LITE, PACKAGE, YAMNET, find_weights

HOP = 0.96
"""Seconds between the starts of YAMNet's windows, which are a little longer: nothing goes unheard."""
FACTOR = 3
"""A picture is looked at every third of them."""

_NOTHING = {f"{PREFIXES['audio']}Silence"}
"""Tags of moments at which there is nothing to hear: most files have one, and none is about it."""

NAMES_FILE = "yamnet_class_map.csv"
_NAMES_SOURCE = (
    "the names of AudioSet's tags (CC BY 4.0), which Google publishes beside YAMNet: "
    "https://github.com/tensorflow/models/blob/master/research/audioset/yamnet/yamnet_class_map.csv"
)


@dataclass(frozen=True, slots=True)
class Tagging:
    """A published network, and what its classifier names.

    Attributes:
        encoder: The network up to its embedding, with its published weights.
        classifier: From the embedding to the logits of the tags.
        tags: Their names, and how logits become scores.
        record: Where it all comes from, under which licence; for the plan's provenance.
    """

    encoder: FeatureEncoder
    classifier: nn.Module
    tags: TagSettings
    record: Mapping[str, Any]


class TagEncoder(Encoder):
    """A network with the classifier that it was published with: frames or windows in, logits out."""

    def __init__(self, encoder: FeatureEncoder, classifier: nn.Module) -> None:
        super().__init__()
        self.encoder, self.classifier = encoder, classifier

    def front(self, inputs: Tensor) -> Tensor:
        """Pre-process as the encoder does."""
        return self.encoder.front(inputs)

    def body(self, x: Tensor) -> Tensor:
        """Return logits [B, K]."""
        logits: Tensor = self.classifier(self.encoder.trunk(x))
        return logits


def make_starter(path: Path, weights: Path | None = None) -> tuple[Plan, dict[str, str]]:
    """Write a plan that says what is seen and heard, of whichever of the two networks is here.

    Args:
        path: Where the plan goes.
        weights: Folder of published weights and names; pictures need none where the package is installed.

    Returns:
        The plan, and by modality what is missing for one that it lacks.

    Raises:
        InputError: If neither network is here: the message says what to get, from where, under which licence.
    """
    if weights is not None and not weights.is_dir():
        raise InputError(f"--weights {weights}: there is no such folder")
    found: dict[str, Tagging] = {}
    missing: dict[str, str] = {}
    for modality, load in (("image", load_sight), ("audio", load_hearing)):
        try:
            found[modality] = load(weights)
        except InputError as error:
            missing[modality] = str(error)
    if not found:
        raise InputError(f"nothing to make a plan of: {'; and '.join(missing.values())}")
    media = media_settings(ModelConfig(image=LITE, audio=YAMNET), HOP)
    return write_starter(path, found, media), missing


def write_starter(path: Path, found: Mapping[str, Tagging], media: MediaSettings) -> Plan:
    """Write the plan of some networks, by modality, checked against PyTorch.

    Raises:
        RuntimeError: If a graph computes something else than PyTorch does.
    """
    parts = {modality: found[modality] for modality in ("image", "audio") if modality in found}
    encoders = {m: TagEncoder(part.encoder, part.classifier).eval() for m, part in parts.items()}
    graphs, differences = fp32_graphs(encoders, media)
    tags = {modality: part.tags for modality, part in parts.items()}
    document = PlanDocument(
        classes=tag_classes(tags),
        media=media,
        sampling=SamplingSettings(FACTOR, max_image_gap_s=FACTOR * HOP, max_audio_gap_s=HOP),
        skim=SkimSettings(preset="tags", steps=1),
        output="sigmoid",
        modalities=tuple(parts),
        provenance={
            "data": "none: published networks as they are; they name tags, not actions",
            "networks": {modality: dict(part.record) for modality, part in parts.items()},
            "openvino_difference": differences,
            "versions": versions(),
        },
        background=tuple(name for name in tag_classes(tags) if name in _NOTHING),
        tags=tags,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_plan(path, document, graphs=graphs, skim={})


def load_sight(weights: Path | None = None) -> Tagging:
    """Load EfficientNet-Lite0 with its classifier of ImageNet's 1,000 classes.

    Args:
        weights: A folder that may hold its file; the installed package's otherwise.

    Raises:
        InputError: If neither is there.
    """
    encoder = ImageEncoder(name=LITE)
    try:
        source = PACKAGE
        file = find_weights(LITE, PACKAGE)
    except InputError:
        if weights is None:
            raise
        source = str(weights)
        file = find_weights(LITE, source, "--weights")
    encoder.start_from(source)
    names: list[str] = torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"]
    record = {
        "network": LITE,
        "file": file.name,
        "sha256": _sha256(file),
        "licence": "Apache-2.0",
        "tags": "ImageNet's 1,000 classes, by torchvision's names (BSD-3-Clause)",
    }
    classifier = encoder.published_classifier(source)
    return Tagging(encoder, classifier, TagSettings(tuple(names), "softmax"), record)


def load_hearing(weights: Path | None = None) -> Tagging:
    """Load YAMNet with its classifier of AudioSet's 521 tags.

    Args:
        weights: The folder that holds ``yamnet.tflite`` and ``yamnet_class_map.csv``.

    Raises:
        InputError: If one of them is not there, or is none.
    """
    source = str(weights) if weights is not None else "--weights"
    file = find_weights(YAMNET, source, "--weights")
    names = read_names(file.with_name(NAMES_FILE))
    encoder = AudioEncoder(name=YAMNET)
    encoder.start_from(source)
    classifier = encoder.published_classifier(source)
    if len(names) != classifier.out_features:
        raise InputError(
            f"{file.with_name(NAMES_FILE)}: names {len(names)} tags, {file} has {classifier.out_features}"
        )
    record = {
        "network": YAMNET,
        "file": file.name,
        "sha256": _sha256(file),
        "licence": "Apache-2.0",
        "tags": "AudioSet's names (CC BY 4.0)",
    }
    return Tagging(encoder, classifier, TagSettings(names, "sigmoid"), record)


def read_names(path: Path) -> tuple[str, ...]:
    """Return the names of YAMNet's tags, in order.

    Args:
        path: CSV with the columns ``index``, ``mid`` and ``display_name``.

    Raises:
        InputError: If there is no such file, or it is none of these.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(int(row["index"]), row["display_name"]) for row in csv.DictReader(file, strict=True)]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file: {_NAMES_SOURCE}; put it there") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path} is no list of tags with index and display_name: {error!r}") from error
    names = tuple(name for _, name in rows)
    ordered = [index for index, _ in rows] == list(range(len(rows)))
    if not rows or not ordered or not all(names) or len(set(names)) < len(names):
        raise InputError(f"{path} is no list of tags: indices from 0 on, each with a name of its own")
    return names


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
