"""The published modules' tensors as ours: streams as encoders, the rest folded into ``skim.`` tensors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.models import ImageEncoder, ReleasedAudioEncoder
from training.models.resnet import STAGES
from training.released.checkpoint import Table

Weights = dict[str, NDArray[np.float64]]

EPSILON = 1e-5
"""The epsilon of every batch norm."""

STEM = "feature_extraction.0.weight"
TRUNK = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
"""Positions in the published ``feature_extraction``; 2 and 3 are a ReLU and a pooling."""

_NORM = ("weight", "bias", "running_mean", "running_var")
_LINEAR = ("weight", "bias")
SKIMMING: tuple[str, ...] = (
    *(f"modality_attention.{kind}" for kind in _LINEAR),
    *(f"rnn.{name}" for name in ("bias_ih", "bias_hh")),
    *(f"rnn.weight_{side}_{part}" for side in ("ih", "hh") for part in "gv"),
    *(
        f"{m}_{part}.0.{k}"
        for m in ("image", "audio")
        for part in ("queryfeature_mlp", "key_conv1x1")
        for k in _LINEAR
    ),
    *(
        f"{m}_{part}.1.{k}"
        for m in ("image", "audio")
        for part in ("queryfeature_mlp", "key_conv1x1")
        for k in _NORM
    ),
    *(f"{m}_queryfeature_mlp.3.{k}" for m in ("image", "audio") for k in _LINEAR),
)
"""Ends of the names of what only skimming needs; without one of them there is no skimming."""


def image_stream(table: Table) -> ImageEncoder:
    """Return the visual stream: the trunk whose stem takes three channels."""
    prefix, width = _stream(table, channels=3)
    encoder = ImageEncoder(width)
    _fill(encoder.trunk, table, prefix)
    return encoder.eval()


def audio_stream(table: Table) -> ReleasedAudioEncoder:
    """Return the audio stream: the trunk with a stem of one channel, and the layer that sums frequencies."""
    prefix, width = _stream(table, channels=1)
    encoder = ReleasedAudioEncoder(width)
    _fill(encoder.trunk, table, prefix)
    table.ignore(f"{prefix}conv1.weight")  # a second name of the stem
    collapse = {
        "weight": torch.from_numpy(table.find("freq_conv1x1.weight", (1, 3, 1, 1))).view(1, 1, 1, 3),
        "bias": torch.from_numpy(table.find("freq_conv1x1.bias", (1,))),
    }
    encoder.collapse.load_state_dict(collapse)
    return encoder.eval()


def _stream(table: Table, channels: int) -> tuple[str, float]:
    """Return the prefix and the width of the one stream whose stem takes so many channels."""
    kind = {3: "image", 1: "audio"}[channels]
    stems = [name for name in table.names(STEM) if table.shape(name)[1:] == (channels, 7, 7)]
    if not stems:
        raise ValueError(f"the {kind} stream is missing: no {STEM} of shape 64x{channels}x7x7")
    if len(stems) > 1:
        raise ValueError(f"there are several {kind} streams: {', '.join(stems)}")
    return stems[0].removesuffix(STEM), table.shape(stems[0])[0] / STAGES[0]


def _fill(trunk: nn.Module, table: Table, prefix: str) -> None:
    state = {}
    for name, value in trunk.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = value
            continue
        module, _, rest = name.partition(".")
        values = table.take(f"{prefix}feature_extraction.{TRUNK[module]}.{rest}", tuple(value.shape))
        state[name] = torch.from_numpy(values)
    trunk.load_state_dict(state)


def clip_weights(table: Table, features: int) -> Weights:
    """Return fusion and classifier: all that a plan without skimming has."""
    fused = table.find("imageAudio_fc1.weight", (None, 2 * features))
    return {
        "fusion.0.weight": fused,
        "fusion.0.bias": table.find("imageAudio_fc1.bias", (len(fused),)),
        "fusion.1.weight": table.find("imageAudio_fc2.weight", (features, len(fused))),
        "fusion.1.bias": table.find("imageAudio_fc2.bias", (features,)),
    } | _linear(table, "classifier", "classifier", None, features)


def skimming_weights(table: Table, features: int) -> Weights:
    """Return keys, queries, LSTM and modality head, batch norm and weight norm folded in float64."""
    hidden = table.find("rnn.weight_hh_v", (None, None)).shape[1]
    weights: Weights = {
        "lstm.weight_ih": _weight_normed(table, "rnn.weight_ih", (4 * hidden, features)),
        "lstm.weight_hh": _weight_normed(table, "rnn.weight_hh", (4 * hidden, hidden)),
        "lstm.bias": table.find("rnn.bias_ih", (4 * hidden,)) + table.find("rnn.bias_hh", (4 * hidden,)),
    }
    weights |= _linear(table, "modality", "modality_attention", 2, hidden)
    for modality in ("image", "audio"):
        key, query = f"{modality}_key_conv1x1", f"{modality}_queryfeature_mlp"
        weights |= _batch_normed(table, f"key_{modality}", key, (None, features, 1, 1))
        weights |= _batch_normed(table, f"query_{modality}.0", query, (None, hidden))
        keys, inner = len(weights[f"key_{modality}.bias"]), len(weights[f"query_{modality}.0.bias"])
        weights |= _linear(table, f"query_{modality}.1", f"{query}.3", keys, inner)
    return weights


def _linear(table: Table, ours: str, theirs: str, rows: int | None, columns: int) -> Weights:
    weight = table.find(f"{theirs}.weight", (rows, columns))
    return {f"{ours}.weight": weight, f"{ours}.bias": table.find(f"{theirs}.bias", (len(weight),))}


def _batch_normed(table: Table, ours: str, theirs: str, shape: tuple[int | None, ...]) -> Weights:
    """Return a layer and the batch norm behind it (in evaluation mode) as one layer."""
    weight = table.find(f"{theirs}.0.weight", shape)
    rows = (len(weight),)
    norm = {kind: table.find(f"{theirs}.1.{kind}", rows) for kind in _NORM}
    scale = norm["weight"] / np.sqrt(norm["running_var"] + EPSILON)
    return {
        f"{ours}.weight": weight.reshape(len(weight), -1) * scale[:, None],
        f"{ours}.bias": (table.find(f"{theirs}.0.bias", rows) - norm["running_mean"]) * scale + norm["bias"],
    }


def _weight_normed(table: Table, name: str, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return g v / ||v||, row by row."""
    direction = table.find(f"{name}_v", shape)
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    if not length.all():
        raise ValueError(f"tensor {name}_v has a row of zeros, which has no direction")
    normed: NDArray[np.float64] = table.find(f"{name}_g", (shape[0], 1)) * direction / length
    return normed
