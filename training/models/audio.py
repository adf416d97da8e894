"""The audio encoder: a window of samples in, z^A out. The log-mel spectrogram is part of the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.models.backbones import RESNET, published_classifier
from training.models.ears import build_ears, load_ears
from training.models.encoder import FeatureEncoder
from training.models.resnet import ResNetTrunk
from training.models.spectrogram import LogMel


class AudioEncoder(FeatureEncoder):
    """A network on log-mel spectrograms: float32 [B, window] in [-1, 1] to [B, features].

    Args:
        width: Factor on the trunk's channels, of "resnet18" alone.
        features: Size of z^A; a linear layer is added where the trunk's differs.
        stem_stride: Of "resnet18": 2 as published, or 1 for a finer spectrogram at four times the cost.
        name: The name of the network, ResNet-18 by default; see :func:`build_ears`.

    Attributes:
        sample_rate: Hz.
        window: Samples of A_j.

    Raises:
        InputError: If there is no such network, or not of that width or stride.
    """

    def __init__(
        self, width: float = 1.0, features: int | None = None, *, stem_stride: int = 2, name: str = RESNET
    ) -> None:
        super().__init__()
        self._ears, self._name = build_ears(name, width, stem_stride=stem_stride), name
        self.sample_rate, self.window = self._ears.sound.sample_rate, self._ears.sound.window
        self.logmel = LogMel(self._ears.sound)
        self.norm = self._ears.norm
        self.trunk = self._ears.backbone.network
        self._finish(self._ears.backbone.features, features)

    def start_from(self, weights: str) -> None:
        """Begin with published weights, see :func:`load_ears`.

        Raises:
            InputError: If they are not there, or are another network's.
        """
        load_ears(self._ears, self._name, weights)

    def published_classifier(self, weights: str) -> nn.Linear:
        """Return what the network's makers put behind it: from the embedding to AudioSet's 521 logits, say.

        Raises:
            InputError: If the weights are not there, or are another network's.
        """
        return published_classifier(self._ears.backbone, self._name, weights, part="audio")

    def front(self, inputs: Tensor) -> Tensor:
        """Return the normed spectrogram, in float32 whatever the precision of the rest."""
        # The spectrum spans more decades than bf16 keeps apart, so autocast stops at the trunk.
        with torch.autocast(inputs.device.type, enabled=False):
            spectrogram = self.logmel(inputs)
        normed: Tensor = self.norm(spectrogram)
        return normed


class ReleasedAudioEncoder(FeatureEncoder):
    """The audio stream of the ``released`` preset: a stem of stride 1, frequencies summed, time max-pooled.

    Args:
        width: Factor on the trunk's channels.
    """

    trunk: ResNetTrunk

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.logmel = LogMel()
        self.sample_rate, self.window = self.logmel.sound.sample_rate, self.logmel.sound.window
        self.trunk = ResNetTrunk(1, width, stem_stride=1)
        self.collapse = nn.Conv2d(1, 1, (1, 3))
        self._finish(self.trunk.features, None)

    def front(self, inputs: Tensor) -> Tensor:
        """Return the spectrogram, in float32 whatever the precision of the rest."""
        spectrogram: Tensor = self.logmel(inputs)
        return spectrogram

    def embed(self, inputs: Tensor) -> Tensor:
        """Return the feature, which nothing brings to another size."""
        return self.body(self.front(inputs))

    def body(self, x: Tensor) -> Tensor:
        """Compute the network proper."""
        maps = self.trunk.maps(x)
        # One weight a frequency, shared by all channels, so that channels count as the batch here.
        lines: Tensor = self.collapse(maps.flatten(0, 1)[:, None]).view(maps.shape[:3])
        return lines.amax(dim=2)
