"""The banks of features that a skimmer attends over: interpolation between knots, keys, attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Interpolation:
    """Linear interpolation between knots, z_j = sum_m B_jm z_m (DESIGN 2).

    Args:
        times: [B, M], increasing within the length; later ones are never used.
        lengths: [B]; 0 stands for a missing modality, whose rows all count as zero.
        at: [N] or [B, N] seconds; before the first and after the last knot the nearest one holds.
    """

    def __init__(self, times: Tensor, lengths: Tensor, at: Tensor) -> None:
        rows = torch.arange(times.shape[1], device=times.device)
        self._used = rows < lengths[:, None]
        times = times.masked_fill(~self._used, float("inf"))
        at = at.expand(times.shape[0], -1).contiguous()
        last = (lengths - 1).clamp(min=0)[:, None]
        right = torch.searchsorted(times.contiguous(), at, right=True)
        self._left, self._right = (right - 1).clamp(min=0), torch.minimum(right, last)
        left_time, right_time = times.gather(1, self._left), times.gather(1, self._right)
        span = right_time - left_time
        inner = (span > 0) & torch.isfinite(span)
        self._share = torch.where(inner, (at - left_time) / torch.where(inner, span, 1.0), 0.0)

    def spread(self, scores: Tensor) -> Tensor:
        """B s: scores at the knots [B, M] to the timestamps [B, N]."""
        return torch.lerp(scores.gather(1, self._left), scores.gather(1, self._right), self._share)

    def rows(self, bank: Tensor) -> Tensor:
        """B z: features at the knots [B, M, D] to the timestamps [B, N, D]."""
        size = (-1, -1, bank.shape[2])
        left, right = (bank.gather(1, index[:, :, None].expand(size)) for index in (self._left, self._right))
        return torch.lerp(left, right, self._share[:, :, None])

    def collect(self, weights: Tensor) -> Tensor:
        """B^T w: weights over the timestamps [B, N] to the knots [B, M]."""
        collected = torch.zeros_like(self._used, dtype=weights.dtype)
        collected = collected.scatter_add(1, self._left, weights * (1 - self._share))
        return collected.scatter_add(1, self._right, weights * self._share) * self._used


class NormedLinear(nn.Module):
    """A layer and the batch norm behind it; in a plan they are one layer."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.linear = nn.Linear(columns, rows)
        self.norm = nn.BatchNorm1d(rows)

    def forward(self, inputs: Tensor) -> Tensor:
        """Turn [M, columns] into [M, rows]."""
        normed: Tensor = self.norm(self.linear(inputs))
        return normed

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return the weight and the bias of the one layer, from running statistics, in float64."""
        mean, variance = (self.norm.get_buffer(f"running_{name}").double() for name in ("mean", "var"))
        scale = self.norm.weight.double() / (variance + self.norm.eps).sqrt()
        bias = (self.linear.bias.double() - mean) * scale + self.norm.bias.double()
        return self.linear.weight.double() * scale[:, None], bias


class Bank:
    """One modality of some videos in a forward pass.

    Rows of B sum to 1, so where keys are affine in the features, scores at the timestamps are interpolated
    from those at the knots: the same numbers for a fraction of the memory. Keys behind a ReLU are not affine
    and are made for every timestamp.

    Args:
        rows: [B, M, D], features at the knots.
        between: From the knots to the timestamps.
        key: The key layer.
        seen: bool [B, N], the timestamps of videos that have this modality.
    """

    def __init__(self, rows: Tensor, between: Interpolation, key: nn.Module, seen: Tensor) -> None:
        self._rows, self._between = rows, between
        self._affine = not isinstance(key, NormedLinear)
        self._keys: Tensor = (
            _normed_keys(key, between.rows(rows), seen) if isinstance(key, NormedLinear) else key(rows)
        )

    def scores(self, query: Tensor) -> Tensor:
        """k_j . q / sqrt(d) for queries [B, K]: [B, N]."""
        products = torch.einsum("bmk,bk->bm", self._keys, query) / self._keys.shape[2] ** 0.5
        return self._between.spread(products) if self._affine else products

    def index(self, weights: Tensor) -> Tensor:
        """Index(w) of Eq. 7: the features under weights over the timestamps [B, N]; [B, D]."""
        return torch.einsum("bm,bmd->bd", self._between.collect(weights), self._rows)


def _normed_keys(key: NormedLinear, rows: Tensor, seen: Tensor) -> Tensor:
    """Return keys [B, N, K] with a ReLU; rows that nobody attends to are kept from the batch's statistics."""
    found = torch.relu(key(rows[seen])) if seen.any() else rows.new_zeros(0, key.linear.out_features)
    return rows.new_zeros(*seen.shape, found.shape[1]).masked_scatter(seen[:, :, None], found)


def attend(scores: Tensor, allowed: Tensor) -> Tensor:
    """Eq. 6: softmax over the allowed timestamps; both [B, N]."""
    return functional.softmax(scores.masked_fill(~allowed, float("-inf")), dim=1)


class Exclusion:
    """Moments that were an earlier step's argmax get no attention (preset ``released``).

    When every moment of a video is excluded, all are allowed again.
    """

    def __init__(self, valid: Tensor) -> None:
        self._valid, self._excluded = valid, torch.zeros_like(valid)

    def allowed(self) -> Tensor:
        """Return which timestamps may get attention at this step: bool [B, N]."""
        left = (self._valid & ~self._excluded).any(dim=1, keepdim=True)
        self._excluded = self._excluded & left
        return self._valid & ~self._excluded

    def visit(self, attention: Tensor) -> None:
        """Exclude the argmax, the lowest index among equals."""
        self._excluded = self._excluded.scatter(1, attention.argmax(dim=1, keepdim=True), True)
