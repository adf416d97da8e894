"""Eq. 2-4 against numbers worked out by hand."""

import math

import pytest
import torch

from training.learning.losses import distillation, feature_distance, soft_cross_entropy


def test_feature_distance_is_summed_over_the_features():
    teacher = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]])
    student = torch.tensor([[0.0, 1.0, 0.5], [0.25, -0.25, 0.5]])
    assert feature_distance(teacher, student).tolist() == [4.0, 1.0]


def test_soft_cross_entropy():
    # The teacher says 1/4 and 3/4; the student 1/2 and 1/2, then 1/5 and 4/5.
    teacher = torch.tensor([[0.0, math.log(3)], [7.0, 7.0 + math.log(3)]])
    student = torch.tensor([[2.0, 2.0], [0.0, math.log(4)]])
    by_hand = [math.log(2), -(0.25 * math.log(0.2) + 0.75 * math.log(0.8))]
    assert soft_cross_entropy(teacher, student).tolist() == pytest.approx(by_hand, rel=1e-6)


def test_distillation_weighs_the_classes_a_hundredfold_and_takes_means_over_the_batch():
    features = torch.tensor([[1.0, 1.0], [0.0, 2.0]]), torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    teacher, student = torch.zeros(2, 2), torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    classes = (math.log(2) + 0.5 * (math.log(4) + math.log(4 / 3))) / 2
    found = distillation(features[0], teacher, features[1], student)
    assert float(found.features) == 2.0
    assert float(found.classes) == pytest.approx(classes, rel=1e-6)
    assert float(found.total) == pytest.approx(2.0 + 100 * classes, rel=1e-6)


def test_a_student_that_agrees_has_no_gradient_and_the_least_loss():
    torch.manual_seed(0)
    teacher, logits = torch.randn(3, 4), torch.randn(3, 5)
    student, own = teacher.clone(), logits.clone().requires_grad_()
    found = distillation(teacher, logits, student, own)
    found.classes.backward()
    assert float(found.features) == 0
    assert own.grad.abs().max() < 1e-6
    assert distillation(teacher, logits, student, torch.randn(3, 5)).classes > found.classes
