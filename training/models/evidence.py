"""Preset ``evidence``: what every moment says for each class, smoothed over seconds, and its soft maximum.

The formulas are those of :mod:`l2l_engine.skim.evidence`. Evidence is linear in the embeddings of frozen
encoders, so that a few clips are enough to learn it from; a moment's logits against "none of the classes",
which has evidence 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

SECONDS = (0.0, 1.5, 2.5, 5.0)
"""Scales: a moment, and what lasts seconds. None is a multiple of the default hop, which would be a tie."""
STEPS = 2


class Pool(nn.Module):
    """The sum over S scales of a_s/b_s log(mean_j exp(b_s r_j^s)).

    Args:
        seconds: The scales s.
        weight: a_s to begin with, positive.
        sharpness: b_s to begin with.
    """

    seconds: Tensor

    def __init__(self, seconds: Sequence[float], weight: Sequence[float], sharpness: float = 2.0) -> None:
        super().__init__()
        self.register_buffer("seconds", torch.tensor(seconds, dtype=torch.float64))
        self.log_weight = nn.Parameter(torch.tensor([math.log(a) for a in weight]))
        self.log_sharpness = nn.Parameter(torch.full((len(seconds),), math.log(sharpness)))

    def forward(self, evidence: Tensor, valid: Tensor, hop: float) -> Tensor:
        """Pool evidence [B, N, C] at the timestamps j * hop to logits [B, C]; valid is bool [B, N]."""
        parts = zip(self.log_weight.exp(), self.log_sharpness.exp(), self.seconds.tolist(), strict=True)
        counts = valid.sum(dim=1).to(evidence.dtype).log()[:, None]
        logits = torch.zeros_like(evidence[:, 0])
        for weight, sharpness, seconds in parts:
            scaled = sharpness * smooth(evidence, valid, int((seconds / 2 + 1e-6) / hop))
            scaled = scaled.masked_fill(~valid[:, :, None], float("-inf"))
            logits = logits + weight / sharpness * (torch.logsumexp(scaled, dim=1) - counts)
        return logits


def smooth(evidence: Tensor, valid: Tensor, reach: int) -> Tensor:
    """Return the mean of the valid ones of a timestamp and ``reach`` on either side: [B, N, C]."""
    if reach == 0:
        return evidence
    rows = (evidence * valid[:, :, None]).transpose(1, 2)
    count = valid[:, None].to(evidence.dtype)
    sums = [functional.avg_pool1d(part, 2 * reach + 1, 1, reach) for part in (rows, count)]
    return (sums[0] / sums[1].clamp(min=1e-9)).transpose(1, 2)


class EvidenceNetwork(nn.Module):
    """Logits of videos from frozen encoders' embeddings of their moments.

    Args:
        classes: C.
        sizes: Size of an embedding by modality, "image" before "audio"; one or both.
        seconds: The scales of the pool.
    """

    def __init__(self, classes: int, sizes: Mapping[str, int], seconds: Sequence[float] = SECONDS) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({name: torch.zeros(classes, size) for name, size in sizes.items()})
        self.bias = nn.Parameter(torch.zeros(classes))
        # It begins with what lasts a few seconds.
        main = min(range(len(seconds)), key=lambda i: abs(seconds[i] - 2.5))
        self.pool = Pool(seconds, [0.85 if i == main else 0.05 for i in range(len(seconds))])

    def evidence(self, embeddings: Mapping[str, Tensor]) -> Tensor:
        """r_j of embeddings [B, N, E], by modality; zero rows where one has nothing: [B, N, C]."""
        parts = [embeddings[name] @ weight.T for name, weight in self.weights.items()]
        return torch.stack(parts).sum(dim=0) + self.bias

    def forward(self, embeddings: Mapping[str, Tensor], valid: Tensor, hop: float) -> Tensor:
        """Return logits [B, C] of videos at the timestamps j * hop; valid is bool [B, N]."""
        return self.pool(self.evidence(embeddings), valid, hop)

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """Return the plan's ``skim.`` tensors for encoders that project embeddings by ``weights`` to D = C.

        Psi is then the sum of both features: x = ReLU(x) - ReLU(-x).
        """
        classes = len(self.bias)
        one, names = torch.eye(classes), list(self.weights)
        sums = torch.cat([one] * len(names), dim=1)
        return {
            "fusion.0.weight": torch.cat([sums, -sums]),
            "fusion.0.bias": torch.zeros(2 * classes),
            "fusion.1.weight": torch.cat([one, -one], dim=1),
            "fusion.1.bias": torch.zeros(classes),
            "classifier.weight": one,
            "classifier.bias": self.bias.clone(),
            "pool.seconds": self.pool.seconds.float(),
            "pool.sharpness": self.pool.log_sharpness.exp(),
            "pool.weight": self.pool.log_weight.exp(),
        }
