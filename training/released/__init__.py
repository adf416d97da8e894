"""Plans from checkpoints in the layout of the authors' published modules (DESIGN, preset ``released``)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from l2l_engine.plan import MediaSettings, Plan, PlanDocument, SamplingSettings, SkimSettings, write_plan
from training.export.graphs import fp32_graphs
from training.export.versions import versions
from training.released.checkpoint import Table, read_tensors
from training.released.layout import (
    SKIMMING,
    audio_stream,
    clip_weights,
    image_stream,
    skimming_weights,
)

UNUSED = ("num_batches_tracked", "prediction_fc.weight", "prediction_fc.bias")
"""In such a checkpoint, and no part of what it computes: counters, and a head that only training uses."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a checkpoint.

    Attributes:
        plan: As it was written.
        missing: Skimming tensors that the checkpoint lacks; if there are any, the plan averages all pairs.
        left_over: Tensors of the checkpoint that are not in the plan, though they might be expected there.
    """

    plan: Plan
    missing: tuple[str, ...]
    left_over: tuple[str, ...]


def import_released(
    checkpoints: Sequence[Path],
    output: Path,
    *,
    classes: Sequence[str] | None = None,
    exclude: bool = True,
) -> Imported:
    """Turn a checkpoint into a plan.

    Args:
        checkpoints: Its files; see :func:`training.released.checkpoint.read_tensors`.
        output: Where the plan goes.
        classes: Class names in the order of the classifier; "class-0001" and so on by default.
        exclude: Whether moments that were an earlier argmax are excluded, as in the published modules.

    Raises:
        OSError: If a checkpoint cannot be read.
        ValueError: If a checkpoint is none, or lacks or distorts what even a clip-only plan needs.
    """
    table = Table(read_tensors(checkpoints))
    image, audio = image_stream(table), audio_stream(table)
    if image.features != audio.features:
        raise ValueError(f"the streams give {image.features} and {audio.features} features, not the same")
    weights = clip_weights(table, image.features)
    missing = tuple(name for name in SKIMMING if not table.names(name))
    if not missing:
        weights |= skimming_weights(table, image.features)
    names = class_names(classes, len(weights["classifier.weight"]))
    for ending in UNUSED:
        table.ignore(*table.names(ending))
    media = MediaSettings()
    graphs, differences = fp32_graphs({"image": image, "audio": audio}, media)
    document = PlanDocument(
        classes=names,
        media=media,
        sampling=_every_pair(media) if missing else SamplingSettings(),
        skim=SkimSettings(preset="clip", steps=1)
        if missing
        else SkimSettings(preset="released", key_activation="relu", exclude_previous_argmax=exclude),
        provenance={
            "data": "imported from a checkpoint of the published modules",
            "checkpoints": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in checkpoints},
            "openvino_difference": differences,
            "versions": versions(),
        },
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    skim = {name: value.astype(np.float32) for name, value in weights.items()}
    return Imported(write_plan(output, document, graphs=graphs, skim=skim), missing, table.left_over())


def class_names(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Return the names given, or numbered ones.

    Raises:
        ValueError: If there are not as many as classes.
    """
    if names is None:
        return tuple(f"class-{number:04d}" for number in range(1, count + 1))
    if len(names) != count:
        raise ValueError(f"{len(names)} class names are given, the classifier has {count} rows")
    return tuple(names)


def _every_pair(media: MediaSettings) -> SamplingSettings:
    """Sample every pair: without attention each counts the same, so that none is left out."""
    return SamplingSettings(factor=1, max_image_gap_s=media.hop, max_audio_gap_s=media.hop)
