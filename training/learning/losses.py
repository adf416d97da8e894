"""The losses of clips: distillation (Eq. 2-4), and classes one or several a clip."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

LAMBDA = 100.0
"""Weight of the classes beside the features in Eq. 4."""


@dataclass(frozen=True, slots=True)
class Distillation:
    """Eq. 4 and its two parts; scalars."""

    total: Tensor
    features: Tensor
    classes: Tensor


def feature_distance(teacher: Tensor, student: Tensor) -> Tensor:
    """Eq. 3: the L1 distance of z^V and Psi(z^I, z^A), both [B, D], summed over D; [B]."""
    return functional.l1_loss(student, teacher, reduction="none").sum(dim=1)


def soft_cross_entropy(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Eq. 2: cross-entropy of the student's classes with the teacher's soft ones, logits [B, C]; [B].

    It differs from the KL divergence by the teacher's entropy, which no student changes.
    """
    targets = functional.softmax(teacher_logits, dim=1)
    return functional.cross_entropy(student_logits, targets, reduction="none")


def distillation(
    teacher: Tensor, teacher_logits: Tensor, student: Tensor, student_logits: Tensor, weight: float = LAMBDA
) -> Distillation:
    """Eq. 4: L = sum |z^V - Psi|_1 + weight * CE(Omega, Phi), means over the batch.

    Args:
        teacher, student: Features [B, D].
        teacher_logits, student_logits: [B, C], of the source universe.
        weight: Lambda.
    """
    features = feature_distance(teacher, student).mean()
    classes = soft_cross_entropy(teacher_logits, student_logits).mean()
    return Distillation(features + weight * classes, features, classes)


def class_loss(logits: Tensor, labels: Tensor, multi_label: bool, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy of one class a row, or the sum of binary ones over the classes; [B].

    Args:
        logits: [B, C].
        labels: bool [B, C].
        multi_label: Whether a row may have several classes, or none.
        smoothing: How much labels are smoothed; binary ones move towards 1/2 by it.
    """
    if not multi_label:
        return functional.cross_entropy(
            logits, labels.int().argmax(dim=1), label_smoothing=smoothing, reduction="none"
        )
    targets = labels.float() * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1)
