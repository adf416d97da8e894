"""Does a written plan say what PyTorch says, and how often is it right, in each of its precisions?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from l2l_engine import Classifier, Prediction
from l2l_engine.loading import Precision, load_encoders, load_skimmer
from l2l_engine.plan import Plan
from training.models import SkimBatch, SkimmingNetwork, Student
from training.videos.manifest import Video

LOGIT_TOLERANCE = 1e-3
"""Largest difference between the plan's logits in float32 and PyTorch's, as a share of the largest logit."""


@torch.inference_mode()
def logits_difference(
    plan: Plan,
    student: Student,
    skimmer: SkimmingNetwork,
    video: tuple[Tensor, Tensor],
    precision: Precision,
) -> float:
    """Return how far the plan's logits of one video are from PyTorch's, as a share of the largest.

    Args:
        plan: As it was written.
        student, skimmer: What it was made of.
        video: Frames [N, H, W, 3] and windows [N, samples] at its timestamps; what the plan has no use for is
            not read.
        precision: What the plan's encoders compute in.

    Raises:
        RuntimeError: If the difference is too large in float32.
    """
    images, samples = video
    hop, steps, n = plan.document.media.hop, plan.document.skim.steps, len(images)
    times = hop * torch.arange(n)[None]
    length = torch.tensor([n])
    parts = plan.document.modalities
    # What a skimmer of one modality does not read need not be computed.
    inputs = {"image": images, "audio": samples}
    nothing = torch.zeros(1, n, plan.dimensions.feature)
    image = student.image(images)[None] if "image" in parts else nothing
    audio = student.audio(samples)[None] if "audio" in parts else nothing
    batch = SkimBatch(image, audio, times, times, length, length, length, hop)
    expected = skimmer(batch, steps).logits.numpy()
    encoders = load_encoders(plan, torch.get_num_threads(), precision=precision)
    stamps = hop * np.arange(n, dtype=np.float64)[None]
    features = {m: encoders[m].encode(inputs[m].numpy())[None] for m in parts}
    knots = dict.fromkeys(parts, stamps)
    found = load_skimmer(plan, torch.get_num_threads()).run(
        features.get("image"),
        features.get("audio"),
        knots.get("image"),
        knots.get("audio"),
        stamps,
        steps,
        modality="both" if len(parts) > 1 else "audio" if "audio" in parts else "image",
    )
    difference = float(np.abs(found.logits - expected).max() / np.abs(expected).max())
    if precision == "fp32" and not difference <= LOGIT_TOLERANCE:
        raise RuntimeError(f"the plan's logits differ from PyTorch's by {difference:.2g}")
    return difference


def top1(plan: Plan, videos: Sequence[Video], precision: Precision, threads: int) -> dict[str, float]:
    """Return how often the plan is right on some videos, read and classified as a user would."""
    with Classifier(plan.path, precision=precision, threads=threads) as classifier:
        answers = classifier.predict_many([video.path for video in videos], on_error="yield")
        right = [
            isinstance(answer, Prediction) and answer.label in video.labels
            for answer, video in zip(answers, videos, strict=True)
        ]
    return {"top1": sum(right) / len(right), "videos": len(right)}
