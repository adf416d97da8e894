"""Networks that hear, by name, as they are before their classifier, and the weights that they start from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from training.models.backbones import RESNET, Backbone, build_backbone, load_published, only_resnet
from training.models.spectrogram import PAPER, Sound
from training.models.weights import LITE, YAMNET
from training.models.yamnet import SOUND as YAMNET_SOUND
from training.models.yamnet import Yamnet

PICTURE = Sound(mels=128, band=(0.0, 8000.0), fft=1024)
"""What image classifiers are shown of a second: finer bands than the paper's."""
_MEAN, _STD = -6.0, 4.0
"""Log-mel values of sounds lie around these."""
_COLOURS = 3


@dataclass(frozen=True, slots=True)
class Ears:
    """A network from log-mel spectrograms to [B, features], and the sound that they are of.

    Attributes:
        sound: Rate, window and form of the spectrogram.
        norm: From the spectrogram to what the network takes.
        backbone: The network.
    """

    sound: Sound
    norm: nn.Module
    backbone: Backbone


class Picture(nn.Module):
    """The norm of a spectrogram for a network that sees colours: grey, and of the side that it must have."""

    def __init__(self, side: int | None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        _expect(self.norm)
        self._side = side

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Turn [B, 1, columns, mels] into [B, 3, ...]."""
        normed: Tensor = self.norm(spectrogram)
        if self._side is not None:
            normed = nn.functional.interpolate(normed, size=(self._side, self._side), mode="bilinear")
        return normed.expand(-1, _COLOURS, -1, -1)


def sound_of(name: str) -> Sound:
    """Return what an audio encoder hears."""
    return {RESNET: PAPER, YAMNET: YAMNET_SOUND}.get(name, PICTURE)


def build_ears(name: str, width: float = 1.0, *, stem_stride: int = 2) -> Ears:
    """Return an audio network of random weights.

    Args:
        name: "resnet18", "yamnet", "efficientnet_lite0" or any image classifier of torchvision.
        width: Factor on the channels, of "resnet18" alone.
        stem_stride: Stride of the first convolution, of "resnet18" alone.

    Raises:
        InputError: If there is no such network, or not of that width or stride, or its package is missing.
    """
    if name == YAMNET:
        only_resnet("audio", name, width, stem_stride)
        network = Yamnet()
        return Ears(
            YAMNET_SOUND, nn.Identity(), Backbone(network, network.features, (), (), None, "classifier")
        )
    if name == RESNET:
        # Log-mel values lie around -6 +- 4; this brings them to the trunk's scale and folds into it.
        norm: nn.Module = nn.BatchNorm2d(1)
        backbone = build_backbone(name, width, part="audio", stem_stride=stem_stride)
    else:
        backbone = build_backbone(name, width, part="audio", stem_stride=stem_stride)
        # Made 224 pixels, a linear probe on ESC-10 has 78.5 % in place of 76.8 %, at three times the cost.
        norm = Picture(None if name == LITE else backbone.side)
    return Ears(sound_of(name), norm, backbone)


def load_ears(ears: Ears, name: str, source: str) -> None:
    """Put published weights into an audio network: AudioSet's into YAMNet, ImageNet's into the others.

    Args:
        ears: What :func:`build_ears` made of ``name``.
        name: Which of them it is.
        source: See :func:`training.models.weights.find_weights`.

    Raises:
        InputError: If there is no such file, with the address to get it from; or if it fits another network.
    """
    load_published(ears.backbone, name, source, part="audio")
    if isinstance(ears.norm, nn.BatchNorm2d):
        _expect(ears.norm)
        # The mean over the colours gives a third of what three equal colours would.
        nn.init.constant_(ears.norm.weight, _COLOURS)


def _expect(norm: nn.BatchNorm2d) -> None:
    """Let a norm begin with the statistics of sounds: an encoder that never learns keeps them."""
    norm.get_buffer("running_mean").fill_(_MEAN)
    norm.get_buffer("running_var").fill_(_STD**2)
