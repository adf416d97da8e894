"""The student: a clip classifier that sees one frame and hears one second."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from training.models.audio import AudioEncoder
from training.models.backbones import RESNET
from training.models.fusion import Fusion
from training.models.image import ImageEncoder
from training.models.stages import kept_parts, split


class Student(nn.Module):
    """Both encoders, Psi and a clip classifier (paper 3.2).

    Args:
        classes: Number of classes.
        image_width, audio_width: Widths of the encoders.
        image, image_side: Name and side of the image encoder, see :class:`ImageEncoder`.
        audio: Name of the audio encoder, see :class:`AudioEncoder`.
        audio_stem_stride: See :class:`AudioEncoder`.
        features: D, the size of z^I, z^A and of Psi's output.
        fusion: F, the hidden size of Psi.
        dropout: Share of Psi's output dropped before the classifier in training.
    """

    def __init__(
        self,
        classes: int,
        *,
        image_width: float = 1.0,
        audio_width: float = 1.0,
        audio_stem_stride: int = 2,
        features: int = 512,
        fusion: int = 1024,
        dropout: float = 0.0,
        image: str = RESNET,
        image_side: int | None = None,
        audio: str = RESNET,
    ) -> None:
        super().__init__()
        self._kept: list[nn.Module] = []
        self.image = ImageEncoder(image_width, features, name=image, side=image_side)
        self.audio = AudioEncoder(audio_width, features, stem_stride=audio_stem_stride, name=audio)
        self.fusion = Fusion(features, fusion)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(features, classes)

    def tune(self, which: Literal["none", "last", "all"]) -> None:
        """Let all weights of the trunks learn, those of the last stage, or none; all else always learns.

        What does not learn keeps the statistics of its batch norms too.
        """
        self._kept = []
        for encoder in (self.image, self.audio):
            encoder.requires_grad_(which == "all")
            if which != "all":
                encoder.project.requires_grad_(True)
                self._kept += kept_parts(encoder, all_of_it=which == "none")
            for block in split(encoder.trunk)[1] if which == "last" else ():
                block.requires_grad_(True)
        for part in self._kept:
            part.eval()

    def train(self, mode: bool = True) -> Student:
        """Set the mode of all that learns."""
        super().train(mode)
        for part in self._kept:
            part.eval()
        return self

    def forward(self, images: Tensor, samples: Tensor, has_image: Tensor, has_audio: Tensor) -> Tensor:
        """Return logits [B, C] of uint8 frames [B, H, W, 3] and samples [B, window].

        ``has_image`` and ``has_audio`` (bool [B]) say which modalities a pair has: an absent one counts
        as a zero feature, in training (modality dropout) as in the skimmer.
        """
        return self.classify(
            self.image(images) * has_image[:, None], self.audio(samples) * has_audio[:, None]
        )

    def classify(self, image: Tensor, audio: Tensor) -> Tensor:
        """Return logits [..., C] of features z^I and z^A [..., D]."""
        logits: Tensor = self.classifier(self.dropout(self.fusion(image, audio)))
        return logits
