"""Backbones that look at pictures, by name, as they are before their classifier."""

from __future__ import annotations

from dataclasses import dataclass

import torchvision
from torch import Tensor, nn

from training.errors import InputError
from training.models.resnet import ResNetTrunk
from training.models.weights import LITE, LITE_PACKAGES, find_weights, read_weights

RESNET = "resnet18"

_SIDE = 224


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network from normed pictures [B, channels, H, W] to [B, features].

    Attributes:
        mean, std: Mean and deviation of RGB, in [0, 1], for which its weights were published, if it sees RGB.
        side: H and W if it takes no other.
        classifier: Name of the layer that was cut off.
    """

    network: nn.Module
    features: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int | None
    classifier: str


def build_backbone(name: str, width: float = 1.0, *, part: str = "image", stem_stride: int = 2) -> Backbone:
    """Return a backbone of random weights.

    Args:
        name: "resnet18", "efficientnet_lite0" or any image classifier of torchvision.
        width: Factor on the channels, of "resnet18" alone.
        part: "image", or "audio": then "resnet18" has one channel of input, and the others still three.
        stem_stride: Of "resnet18" alone.

    Raises:
        InputError: If there is no such backbone, or not of that width, or its package is missing.
    """
    if name == RESNET:
        trunk = ResNetTrunk(3 if part == "image" else 1, width, stem_stride=stem_stride)
        return Backbone(trunk, trunk.features, *_imagenet(name), None, "fc")
    if name != LITE and name not in torchvision.models.list_models(module=torchvision.models):
        raise InputError(
            f"model.{part} is {name!r}, which is neither {LITE} nor an image model of torchvision"
        )
    only_resnet(part, name, width, stem_stride)
    if name == LITE:
        network = _lite(f"model.{part}")
        classifier, features = _cut(network)
        return Backbone(network, features, (127 / 255,) * 3, (128 / 255,) * 3, _SIDE, classifier)
    # These two warn without it, or return more than logits.
    odd = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    network = torchvision.models.get_model(name, weights=None, **odd)
    classifier, features = _cut(network)
    side = _SIDE if name.startswith(("vit_", "maxvit_")) else None
    return Backbone(network, features, *_imagenet(name), side, classifier)


def only_resnet(part: str, name: str, width: float, stem_stride: int) -> None:
    """Refuse sizes for an encoder that has but its own."""
    if width != 1.0:
        raise InputError(f"model.{part}_width is {width:g}, but {name} has one width: set it to 1.0")
    if stem_stride != 2:
        raise InputError(
            f"model.{part}_stem_stride is {stem_stride}, which only {RESNET} can have: set it to 2"
        )


def published_side(name: str) -> int | None:
    """Return the pixels of the square that a backbone's weights were published for.

    "resnet18" has none: it sees what the paper shows it, and its published weights serve there too.
    """
    if name == RESNET or name not in torchvision.models.list_models(module=torchvision.models):
        return _SIDE if name == LITE else None
    if name.startswith(("vit_", "maxvit_")):
        return _SIDE
    (side,) = torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size
    return int(side)


def load_published(backbone: Backbone, name: str, source: str, *, part: str = "image") -> None:
    """Put published ImageNet weights into a backbone; its classifier's are left out.

    Args:
        backbone: What :func:`build_backbone` made of ``name``.
        name: Which of them it is.
        source: See :func:`training.models.weights.find_weights`.
        part: As in :func:`build_backbone`.

    Raises:
        InputError: If there is no such file, with the address to get it from; or if it fits another network.
    """
    setting = f"model.{part}_weights"
    named = read_weights(name, source, setting)
    cut = f"{backbone.classifier}."
    body: dict[str, Tensor] = {key: value for key, value in named.items() if not key.startswith(cut)}
    if part == "audio" and name == RESNET and "conv1.weight" in body:
        # Paper 4.1: one channel of sound in place of three of colour.
        body["conv1.weight"] = body["conv1.weight"].mean(dim=1, keepdim=True)
    try:
        backbone.network.load_state_dict(body)
    except RuntimeError as error:
        path = find_weights(name, source, setting)
        raise InputError(f"{path} fits another network than model.{part} {name}: {error}") from error


def published_classifier(backbone: Backbone, name: str, source: str, *, part: str = "image") -> nn.Linear:
    """Return the layer that was cut off, with its published weights: from the embedding to logits.

    Args:
        backbone, name, source, part: See :func:`load_published`.

    Raises:
        InputError: If there is no such file, or it has no such layer.
    """
    setting = f"model.{part}_weights"
    named = read_weights(name, source, setting)
    weight, bias = (named.get(f"{backbone.classifier}.{kind}") for kind in ("weight", "bias"))
    if weight is None or bias is None or weight.shape != (len(bias), backbone.features):
        path = find_weights(name, source, setting)
        raise InputError(f"{path} has no classifier of {name}'s embedding of {backbone.features} numbers")
    # Nothing random is drawn for what is overwritten at once.
    layer = nn.Linear(backbone.features, len(bias), device="meta").to_empty(device="cpu")
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _imagenet(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the deviation with which torchvision publishes a network."""
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    return tuple(preset.mean), tuple(preset.std)


def _lite(setting: str) -> nn.Module:
    try:
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 - optional
    except ImportError as error:
        raise InputError(f"{setting} {LITE} needs the packages {LITE_PACKAGES}") from error
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return network


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
