"""Checkpoints in the published modules' layout, every tensor made from its name."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
import torch

from training.models.resnet import ResNetTrunk
from training.released.layout import TRUNK


def made_from_its_name(name: str, shape: tuple[int, ...]) -> np.ndarray:
    n = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith(("running_var", "weight_g")):
        return 1 + 0.1 * np.abs(n)
    if name.endswith("running_mean"):
        return 0.1 * n
    if len(shape) >= 2:
        return n / np.sqrt(np.prod(shape[1:])) * (16 if "queryfeature_mlp.3" in name else 1)
    return 1 + 0.1 * n if name.endswith("weight") else 0.1 * n


def checkpoint(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, torch.Tensor]:
    return {
        name: torch.tensor(3)
        if name.endswith("num_batches_tracked")
        else torch.from_numpy(np.asarray(made_from_its_name(name, shape), np.float32))
        for name, shape in shapes
    }


def tiny_shapes(
    *,
    width: float = 0.125,
    fusion: int = 20,
    keys: int = 12,
    inner: int = 18,
    hidden: int = 16,
    classes: int = 5,
) -> dict[str, tuple[int, ...]]:
    """The layout of a much smaller network."""
    shapes: dict[str, tuple[int, ...]] = {"audio.conv1.weight": (8, 1, 7, 7)}
    for stream, channels in (("image", 3), ("audio", 1)):
        trunk = ResNetTrunk(channels, width)
        for name, value in trunk.state_dict().items():
            module, _, rest = name.partition(".")
            shapes[f"{stream}.feature_extraction.{TRUNK[module]}.{rest}"] = tuple(value.shape)
    d, modules = trunk.features, "skim."

    def linear(name: str, *shape: int) -> None:
        shapes[f"{modules}{name}.weight"] = shape
        shapes[f"{modules}{name}.bias"] = shape[:1]

    def norm(name: str, size: int) -> None:
        linear(name, size)
        shapes[f"{modules}{name}.running_mean"] = shapes[f"{modules}{name}.running_var"] = (size,)
        shapes[f"{modules}{name}.num_batches_tracked"] = ()

    shapes["audio.freq_conv1x1.weight"], shapes["audio.freq_conv1x1.bias"] = (1, 3, 1, 1), (1,)
    linear("net_imageAudio.imageAudio_fc1", fusion, 2 * d)
    linear("net_imageAudio.imageAudio_fc2", d, fusion)
    linear("net_classifier.classifier", classes, d)
    linear("prediction_fc", classes, hidden)
    linear("modality_attention", 2, hidden)
    for m in ("image", "audio"):
        linear(f"{m}_queryfeature_mlp.0", inner, hidden)
        norm(f"{m}_queryfeature_mlp.1", inner)
        linear(f"{m}_queryfeature_mlp.3", keys, inner)
        linear(f"{m}_key_conv1x1.0", keys, d, 1, 1)
        norm(f"{m}_key_conv1x1.1", keys)
    for side, columns in (("ih", d), ("hh", hidden)):
        shapes[f"skim.rnn.bias_{side}"] = (4 * hidden,)
        shapes[f"skim.rnn.weight_{side}_g"] = (4 * hidden, 1)
        shapes[f"skim.rnn.weight_{side}_v"] = (4 * hidden, columns)
    return shapes
