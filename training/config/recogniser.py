"""The optional recogniser, which sees the moments that the skimmer looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.config.kinds import Positive, Share, Side
from training.config.pace import Pace


@dataclass(frozen=True, slots=True)
class RecogniserConfig(Pace):
    """Training of the recogniser on clips of the target (paper 4.2, Fig. 7 and Table 2).

    Attributes:
        kind: "frame", an image network with its own classifier; "clip", the teacher, trained further on the
            target, of the width and side that it has; or "none".
        train, validation: Names of sets; the student's by default.
        image, width, image_weights, image_side: The image network of kind "frame", as in the model's
            settings.
        side: Pixels of the square of a frame that kind "frame" is shown; by default what the image network
            sees, and another size is resized to that inside the graph.
        folder: A teacher that was trained on the target's clips, for kind "clip"; by default it is trained
            here, from the source's teacher where there is one.
    """

    kind: Literal["none", "frame", "clip"] = "none"
    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    image: str = "resnet18"
    width: Positive = 1.0
    image_weights: str | None = None
    image_side: Side | None = None
    side: Side | None = None
    folder: str | None = None
    label_smoothing: Share = 0.05
