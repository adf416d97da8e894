"""The recogniser: what a plan answers with at the moments that the skimmer looked at."""

from __future__ import annotations

from torch import Tensor, nn

from training.models.image import ImageEncoder
from training.models.teacher import Teacher


class FrameRecogniser(nn.Module):
    """An image encoder of its own with its own classifier.

    Args:
        classes: C.
        width, name, side: See :class:`ImageEncoder`.
    """

    def __init__(
        self, classes: int, width: float = 1.0, *, name: str = "resnet18", side: int | None = None
    ) -> None:
        super().__init__()
        self.encoder = ImageEncoder(width, name=name, side=side)
        self.fc = nn.Linear(self.encoder.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, C] of uint8 frames [B, H, W, 3]."""
        return self.body(self.front(images))

    def front(self, images: Tensor) -> Tensor:
        """Pre-processing, in float32 whatever the precision of the rest."""
        return self.encoder.front(images)

    def body(self, x: Tensor) -> Tensor:
        """The network proper."""
        return self.fc(self.encoder.body(x))


class ClipRecogniser(nn.Module):
    """A teacher's classes alone.

    Args:
        teacher: Of the target's classes.
    """

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B, C] of uint8 clips [B, 16, H, W, 3]."""
        return self.body(self.front(clips))

    def front(self, clips: Tensor) -> Tensor:
        """Pre-processing, in float32 whatever the precision of the rest."""
        return self.teacher.front(clips)

    def body(self, x: Tensor) -> Tensor:
        """The network proper."""
        return self.teacher.body(x)[1]
