"""L2-regularised logistic regression: one class of several, or one against the rest, many folds at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.learning.losses import class_loss
from training.learning.temperature import fit_temperature

STRENGTHS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6)
"""Weights of the penalty, for inputs of length about 1: from far too strong to hardly any."""

_MOST_STEPS = 80
_PATIENCE = 2
"""Strengths in a row that may be worse than the best before the weaker ones are given up."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """Inputs in the coordinates of their own span: there a regularised regression is the same, but smaller.

    Attributes:
        rows: float64 [V, r].
        basis: float64 [E, r]; ``inputs = rows @ basis.T``.
    """

    rows: Tensor
    basis: Tensor

    @classmethod
    def of(cls, inputs: Tensor) -> Reduced:
        """Reduce float64 [V, E] to at most V coordinates."""
        if inputs.shape[0] >= inputs.shape[1]:
            return cls(inputs, torch.eye(inputs.shape[1], dtype=inputs.dtype))
        # The eigenvectors of a V x V matrix cost far less than those of inputs as wide as these.
        values, left = torch.linalg.eigh(inputs @ inputs.T)
        keep = values > values[-1] * 1e-12
        sizes = values[keep].sqrt()
        return cls(left[:, keep] * sizes, inputs.T @ left[:, keep] / sizes)


def fit(
    rows: Tensor,
    labels: Tensor,
    shares: Tensor,
    strength: float,
    *,
    several: bool = False,
    start: Tensor | None = None,
) -> Tensor:
    """Fit regressions on the same rows, each with its own share of every row, by L-BFGS; deterministic.

    Each minimises sum_v shares[f, v] loss(v) / sum_v shares[f, v] + strength / 2 |W|^2; biases go free.

    Args:
        rows: float64 [V, r].
        labels: bool [V, C].
        shares: float64 [F, V], at least 0; 0 leaves a row out.
        strength: Of the penalty.
        several: Whether each class is told from the rest by itself.
        start: Where to begin, as it was returned.

    Returns:
        float64 [F, r + 1, C], the bias last.
    """
    folds, (count, size), classes = len(shares), rows.shape, labels.shape[1]
    shares = shares / shares.sum(dim=1, keepdim=True)
    weights = torch.zeros(folds, size + 1, classes, dtype=rows.dtype) if start is None else start.clone()
    weights.requires_grad_()
    solver = torch.optim.LBFGS(
        [weights],
        max_iter=_MOST_STEPS,
        history_size=20,
        tolerance_grad=1e-7,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )
    repeated = labels.repeat(folds, 1)

    def objective() -> Tensor:
        solver.zero_grad()
        logits = predict(rows, weights)
        losses = class_loss(logits.reshape(folds * count, classes), repeated, several)
        total = (losses.view(folds, count) * shares).sum() + strength / 2 * weights[:, :-1].square().sum()
        torch.autograd.backward(total)
        return total.detach()

    solver.step(objective)
    return weights.detach()


def predict(rows: Tensor, weights: Tensor) -> Tensor:
    """Return logits [F, V, C] of rows [V, r] by weights [F, r + 1, C]."""
    size = rows.shape[1]
    flat = rows @ weights[:, :-1].permute(1, 0, 2).reshape(size, -1)
    return flat.view(len(rows), len(weights), -1).permute(1, 0, 2) + weights[:, -1:]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A strength, and what was said of each row by a fit that did not learn from it.

    Attributes:
        strength: Of the penalty.
        held_out: float64 [V, C], logits.
        loss: Mean loss of these, at their best temperature.
    """

    strength: float
    held_out: Tensor
    loss: float


def choose_strength(
    rows: Tensor,
    labels: Tensor,
    folds: Tensor,
    *,
    several: bool = False,
    tested: Tensor | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> Chosen:
    """Choose the strength by cross-validation.

    Args:
        rows: float64 [V, r].
        labels: bool [V, C].
        folds: int64 [V], the fold of each row.
        several: Whether each class is told from the rest by itself.
        tested: float64 [V, r], rows that stand for these where they are held out; by default themselves.
        strengths: To choose from, the greatest first.
    """
    tested = rows if tested is None else tested
    count = int(folds.max()) + 1
    shares = (folds != torch.arange(count)[:, None]).to(rows.dtype)
    best: Chosen | None = None
    weights, worse = None, 0
    for strength in strengths:
        weights = fit(rows, labels, shares, strength, several=several, start=weights)
        said = predict(tested, weights)[folds, torch.arange(len(rows))]
        loss = scaled_loss(said, labels, several=several)
        if best is None or loss < best.loss:
            best, worse = Chosen(strength, said, loss), 0
        else:
            worse += 1
            if worse == _PATIENCE:
                break
    assert best is not None  # there is at least one strength
    return best


def scaled_loss(logits: Tensor, labels: Tensor, *, several: bool = False) -> float:
    """Return the mean loss of logits [V, C] at the temperature that suits them best.

    A probe's strength and scale are chosen for its order of classes; the temperature is fitted anyway.
    """
    target = labels if several else labels.int().argmax(dim=1)
    temperature = fit_temperature(logits.float(), target)
    return float(class_loss(logits / temperature, labels, several).mean())
