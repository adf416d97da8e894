"""The losses of the paper: distillation (Eq. 2-4)."""

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
