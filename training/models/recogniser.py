"""The recogniser: what a plan answers with at the moments that the skimmer looked at."""

from __future__ import annotations

from torch import Tensor, nn

from training.models.encoder import Encoder
from training.models.image import ImageEncoder
from training.models.teacher import Teacher


class FrameRecogniser(Encoder):
    """An image encoder of its own with its own classifier: uint8 frames [B, H, W, 3] to logits [B, C].

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

    def front(self, inputs: Tensor) -> Tensor:
        """Pre-process, in float32 whatever the precision of the rest."""
        return self.encoder.front(inputs)

    def body(self, x: Tensor) -> Tensor:
        """Compute the network proper."""
        logits: Tensor = self.fc(self.encoder.body(x))
        return logits


class ClipRecogniser(Encoder):
    """A teacher's classes alone: uint8 clips [B, 16, H, W, 3] to logits [B, C].

    Args:
        teacher: A teacher that knows the target's classes.
    """

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher

    def front(self, inputs: Tensor) -> Tensor:
        """Pre-process, in float32 whatever the precision of the rest."""
        return self.teacher.front(inputs)

    def body(self, x: Tensor) -> Tensor:
        """Compute the network proper."""
        return self.teacher.body(x)[1]
